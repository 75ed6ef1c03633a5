# SPDX-License-Identifier: Apache-2.0
"""What the ledger records of each submission and decision."""

import pytest

from cabgate.ledger.pruning import export_line
from cabgate.ledger.shortening import MAX_RECORD
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent
from support.ledger import auditing
from support.reviews import OPERATOR


@pytest.fixture(scope="module")
def auditor(gate):
    with auditing(gate, "records-auditor") as made:
        yield made


def test_every_decision_is_recorded_once(gate, auditor, namespace):
    first = gate.open(namespace, MIDDLING, "Submitted")
    gate.apply("requester", intent(namespace, evidence=BAD))
    bad = gate.request_of(namespace, state="ExceptionRequired")["metadata"]["name"]
    gate.create("requester", exception(namespace, bad))
    gate.review("security", "cabexception", "leave", namespace, "Approved")
    gate.review("security", "cabexception", "leave", namespace, "Revoked")
    gate.apply("requester", intent(namespace, evidence=MIDDLING))
    gate.wait_state("cabrequest", first, namespace, "Submitted")
    gate.review("reviewer", "cabrequest", first, namespace, "UnderReview")
    conditions = [{"name": "watch", "description": "watch it"}]
    gate.review(
        *("reviewer", "cabrequest", first, namespace, "ConditionallyApproved"),
        conditions=conditions,
    )
    gate.review("security", "cabrequest", first, namespace, "Revoked")
    gate.open(namespace, GOOD, "AutoApproved", name="other", images=("web:2",))
    auditor.wait_complete(namespace)
    records = [record["spec"] for record in auditor.decisions(namespace)]
    verdicts = "Approved AutoApproved ConditionallyApproved Reopened Revoked Revoked Superseded"
    assert sorted(r["verdict"] for r in records) == [
        *verdicts.split(),
        "Superseded",
        "UnderReview",
    ]
    chain = [record["spec"]["sequence"] for record in auditor.records(namespace)]
    assert chain == list(range(1, len(chain) + 1))
    assert all(record["format"] == 2 for record in records)
    for record in records:
        person = record["author"]["type"] == "Person"
        assert person is ("signature" in record)
        if person:
            assert record["author"]["groups"] == ["system:authenticated"]
            assert record["author"]["credentialID"].startswith("X509SHA256=")
        else:
            assert record["author"] == {"type": "System", "username": OPERATOR}
        assert record["targets"][0]["images"][0].startswith("web:")
        assert record["correlationID"].startswith("CAB-")
        assert record["riskModel"]["digest"].startswith("sha256:")
    conditional = next(r for r in records if r["verdict"] == "ConditionallyApproved")
    assert conditional["conditions"] == conditions
    assert conditional["rationale"] == "reviewed"
    assert auditor.codes(namespace) == set()


def test_each_submission_is_recorded_before_anybody_decides(gate, auditor, namespace):
    gate.apply("requester", intent(namespace, evidence=BAD, summary="new tax rates"))
    bad = gate.request_of(namespace, state="ExceptionRequired")["metadata"]["name"]
    opened = auditor.submission(namespace, bad)
    assert (opened["verdict"], opened["summary"]) == ("Opened", "new tax rates")
    assert (opened["submittedBy"], opened["intent"]["name"]) == (["requester"], "web")
    assert opened["factors"][0]["name"] == "testCoverage"
    gate.create("requester", exception(namespace, bad))
    asked = auditor.submission(namespace, "leave")
    assert asked["verdict"] == "Asked"
    assert asked["exception"]["submittedBy"] == ["requester"]
    assert asked["exception"]["compensatingControls"] == ["a feature flag"]
    assert auditor.codes(namespace) == set()


def test_long_words_and_many_names_leave_a_record_of_6_kb(gate, auditor, namespace):
    images = [f"registry.example.com/{'x' * 400}/web:{number}" for number in range(50)]
    evidence = {**MIDDLING, "artifacts": [{"name": "web", "images": images}]}
    name = gate.open(
        *(namespace, evidence, "Submitted"), images=images, summary="s" * 4096, requester="r" * 256
    )
    auditor.submission(namespace, name)
    conditions = [{"name": f"c{n}", "description": "d" * 4096} for n in range(16)]
    gate.review(
        *("reviewer", "cabrequest", name, namespace, "ConditionallyApproved"),
        rationale="y" * 4096,
        conditions=conditions,
    )
    records = auditor.recorded(namespace, 2)
    for record in records:
        assert len(export_line(record)) <= MAX_RECORD
    spec = records[1]["spec"]
    cut = {each["field"]: each["size"] for each in spec["cut"]}
    assert (cut["targets"], cut["rationale"], cut["conditions"]) == (1, 4096, 16)
    assert spec["workloads"] == ["apps/v1 Deployment web"]
    assert spec["rationale"] == "y" * 512
    assert auditor.codes(namespace) == set()
