# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent: no fault, and no call of the API server but those that a portal makes."""

import asyncio
import copy

import httpx
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from cabgate_portal.app import create_api
from unit.portal.portals import BASE, Made, manifest, stored

REQUEST, DIGEST = stored()
ID = f"{REQUEST['metadata']['namespace']}.{REQUEST['metadata']['name']}"
OPERATIONS = [
    (method, path)
    for path, methods in create_api().openapi()["paths"].items()
    for method in methods
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
IDS = st.just(ID) | st.text(max_size=30) | st.from_regex(r"[a-z.%/-]{0,12}", fullmatch=True)
PARAMETERS = st.dictionaries(
    st.sampled_from(
        [
            "dryRun",
            "wait",
            "namespace",
            "intent",
            "limit",
            "continue",
            "state",
            "workload",
            "image",
            "correlationID",
            "x",
        ]
    ),
    st.text(max_size=12)
    | st.sampled_from(["true", "0", "shop", "checkout", "10", "deployment/checkout", "web:1"]),
    max_size=3,
)


@st.composite
def bodies(draw):
    """Bodies as they should be, with something in them that should not."""
    decision = {"evidenceDigest": DIGEST, "rationale": "x", "uid": "u-1", "condition": "watch"}
    body = copy.deepcopy(draw(st.sampled_from([manifest(), decision, {}])))
    keys = draw(st.lists(st.sampled_from([*body, "x"]) if body else st.text(), max_size=2))
    for key in keys:
        body[key] = draw(JSON)
    return body


@pytest.mark.slow
@given(st.sampled_from(OPERATIONS), IDS, PARAMETERS, bodies() | JSON)
def test_there_is_no_fault_and_no_other_call(operation, name, parameters, body):
    method, path = operation
    parameters = parameters | ({"wait": "0"} if "wait" in parameters else {})

    options = {"json": body} if method == "post" else {}
    where = path.replace("{id}", name.replace("?", "%3F").replace("#", "%23"))
    try:
        httpx.Request(method, f"https://portal{where}", params=parameters, **options)
    except (ValueError, httpx.InvalidURL):  # no client sends it
        reject()

    async def tried():
        made = Made()
        made.api.put("cabrequests", REQUEST)
        answer = await made.call(method, where, params=parameters, **options)
        assert answer.status_code < 500, answer.text
        assert made.api.wrong == []
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert {"status", "code", "detail", "title"} <= answer.json().keys()

    asyncio.run(tried())


def test_every_operation_is_tried():
    assert len(OPERATIONS) == 20
    assert all(path.startswith(BASE) for _, path in OPERATIONS)
