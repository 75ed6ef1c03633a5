# SPDX-License-Identifier: Apache-2.0
"""The description of the API is the one that the portal serves by."""

import json
from pathlib import Path

from unit.portal.portals import Made

PAGE = Path(__file__).resolve().parents[3] / "docs" / "api" / "openapi.json"


def test_the_description_is_current():
    found = json.loads(PAGE.read_text())
    assert found == Made().app._app.openapi(), "make manifests"
    assert found["openapi"].startswith("3.1")


def test_every_operation_wants_a_token_and_names_its_errors():
    for path in Made().app._app.openapi()["paths"].values():
        for operation in path.values():
            assert operation["security"] == [{"bearer": []}]
            assert "default" in operation["responses"]
            assert "422" not in operation["responses"]
