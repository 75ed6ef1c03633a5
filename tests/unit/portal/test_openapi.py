# SPDX-License-Identifier: Apache-2.0
"""The description of the API is the one that the portal serves by."""

import json
from pathlib import Path

from cabgate_portal.app import create_api

PAGE = Path(__file__).resolve().parents[3] / "docs" / "api" / "openapi.json"


def test_the_description_is_current():
    found = json.loads(PAGE.read_text())
    assert found == create_api().openapi(), "make manifests"
    assert found["openapi"].startswith("3.1")


def test_every_operation_wants_a_token_and_describes_its_answers():
    for path in create_api().openapi()["paths"].values():
        for operation in path.values():
            assert operation["security"] == [{"bearer": []}]
            kinds = {
                code: set(answer.get("content", {}))
                for code, answer in operation["responses"].items()
            }
            for code in ("400", "401", "403", "422", "429", "502", "503"):
                assert kinds[code] == {"application/problem+json"}
            for code in set(kinds) & {"200", "201"}:
                schema = operation["responses"][code]["content"]["application/json"]["schema"]
                assert schema.keys() == {"$ref"}, operation["operationId"]
