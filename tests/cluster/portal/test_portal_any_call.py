# SPDX-License-Identifier: Apache-2.0
"""Calls made up from docs/api/openapi.json, against a real API server: none is a fault, and each
answer is one that is described. `make test-portal` makes ten thousand."""

import collections
import math
import os
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cabgate_samples.objects import BAD, MIDDLING, exception, intent
from support.portal import People

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "api" / "openapi.json"
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
SHORT = 300
CASES = int(os.environ.get("PORTAL_CASES", SHORT))
OPERATIONS = [each.ok() for each in schemathesis.openapi.from_path(DOCUMENT).get_all_operations()]
EACH = math.ceil(CASES / len(OPERATIONS))
"""How many calls of each operation are made, at least."""


@pytest.fixture(scope="module")
def stage(gate, portal, people_tokens):
    """What calls may be about: a namespace with objects of each kind, and who may do all there."""
    people = People(gate, portal, {"tess": people_tokens["tess"], "rita": people_tokens["rita"]})
    shop = people.shop()
    for role in ("cabgate-cab-member", "cabgate-security-reviewer", "view"):
        gate.bind("tess", role, shop)
    ids, digest = [], ""
    for name, evidence, state in (
        ("web", MIDDLING, "Submitted"),
        ("bad", BAD, "ExceptionRequired"),
    ):
        which, digest = people.submitted(shop, evidence, name, state)
        ids.append(which)
    made = people("tess", "POST", "/exceptions", exception(shop, ids[1].partition(".")[2]))
    assert made.status_code == 201, made.text
    people.close()
    known = {
        "id": [*ids, made.json()["id"], f"{shop}.missing"],
        "namespace": [shop],
        "intent": ["web", "bad"],
        "workload": ["deployment/web", "job/migrate-*"],
    }
    bodies = [
        intent(shop, evidence=MIDDLING, images=("web:1",)),
        exception(shop, ids[1].partition(".")[2]),
        {"evidenceDigest": digest, "rationale": "tried"},
        {"evidenceDigest": digest, "rationale": "tried", "uid": made.json()["uid"]},
    ]
    return people_tokens["tess"], known, bodies


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.label)
def test_no_call_is_a_fault(operation, portal, stage):
    token, known, bodies = stage
    codes = collections.Counter()

    @settings(
        max_examples=EACH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def tried(data):
        case = data.draw(operation.as_strategy())
        for where in (case.path_parameters, case.query):
            for name, values in known.items():
                if where and name in where and data.draw(st.booleans()):
                    where[name] = data.draw(st.sampled_from(values))
        if case.query and "wait" in case.query:
            case.query["wait"] = data.draw(st.sampled_from(["", "0", "1s"]))
        if operation.method.upper() == "POST" and data.draw(st.booleans()):
            case.body = {**data.draw(st.sampled_from(bodies)), **data.draw(_more(case.body))}
        answer = case.call(
            base_url=portal.url, headers={"Authorization": f"Bearer {token}"}, timeout=120
        )
        codes[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    tried()
    assert codes.total() >= EACH, f"of {EACH} calls {codes.total()} were made"
    assert max(codes) < 500, codes
    assert codes[429] == 0, "the portal is to be tried, not its limit"
    assert portal.process.running


def _more(body):
    """Some fields of a body that was made up."""
    fields = list(body.items()) if isinstance(body, dict) else []
    if not fields:
        return st.just({})
    return st.lists(st.sampled_from(range(len(fields))), max_size=1).map(
        lambda chosen: dict(fields[number] for number in chosen)
    )
