# SPDX-License-Identifier: Apache-2.0
"""What of the rings before is frozen into a request, and which rows make sense."""

from pathlib import Path

import pytest
import yaml

from cabgate.api.changepolicy import ChangePolicy
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.limits.promotion import need_for
from cabgate.lifecycle.requests.opening import request_for
from cabgate.lifecycle.requests.terms import choose_policy, policy_problems, policy_warnings
from cabgate.lifecycle.state.requirements import unknown_words
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.system import check_created
from cabgate_samples.models import NOW, intent, rollout
from cabgate_samples.objects import MIDDLING
from cabgate_webhook.client.stored import decode_requests
from support.policies import change_policy
from support.promotion import IMAGE, policy, promoted, rings, row
from unit.core.standings import decide

EXAMPLE = Path(__file__).resolve().parents[5] / "examples/promotion/policy.yaml"


def test_all_rows_are_frozen_with_the_release_whatever_the_ring_is():
    rows = [row(3, 2, "30m", ["b", "a"]), row(4, 3)]
    found = promoted(rows=rows).spec
    assert found.terms.promotion.to_dict() == {
        "release": "shop",
        "needs": [
            {"ring": 3, "from": 2, "soakSeconds": 1800, "successPercent": "99.00", "minPods": 2,
             "incidents": 0, "namespaces": ["a", "b"]},
            {"ring": 4, "from": 3, "soakSeconds": 259200, "successPercent": "99.00", "minPods": 2,
             "incidents": 0},
        ],
    }  # fmt: skip
    assert found.requires == ["Promotion"]


def test_a_policy_without_rows_is_what_it_was():
    """Digests of policies and requests of before stay, and no older release denies them."""
    plain = ChangePolicy.model_validate(change_policy("board"))
    assert "promotion" not in plain.spec.to_dict()
    made = request_for(intent(MIDDLING, release="shop"), 3, policy=plain)
    assert "promotion" not in made.spec.terms.to_dict()
    assert made.spec.requires == ["Quorum"]
    assert made.spec.evidence_digest == request_for(intent(MIDDLING), 3).spec.evidence_digest


@pytest.mark.parametrize("lost", ["terms", "requires", "promotion"])
def test_what_an_older_release_dropped_admits_nothing(lost):
    found = promoted()
    spec = {
        "terms": {"terms": None},
        "requires": {"requires": []},
        "promotion": {"terms": found.spec.terms.model_copy(update={"promotion": None})},
    }[lost]
    found = found.model_copy(update={"spec": found.spec.model_copy(update=spec)})
    assert unknown_words(found) == ["Promotion"]
    verdict = decide(rollout(IMAGE), 3, [found], [], NOW, earlier_rings=rings())
    assert verdict.reason is Reason.UNKNOWN_REQUIREMENT


def test_the_operator_freezes_the_rows_of_the_policy_and_the_release_of_the_intent():
    of = intent(MIDDLING, release="shop")
    honest = request_for(of, 2, policy=policy())

    def created(made, now=of):
        check_created(made, now, [], DEFAULT_RISK_MODEL, policy=policy(), ring=2)

    created(honest)
    weaker = request_for(of, 2, policy=policy(row(soak="1s")))
    none = request_for(of, 2, policy=ChangePolicy.model_validate(change_policy("board")))
    for made in (weaker, none, request_for(intent(MIDDLING, release="b"), 2, policy=policy())):
        with pytest.raises(Refusal) as raised:
            created(made)
        assert raised.value.reason is RefusalReason.WRONG_CONTENT


def test_the_gate_reads_them_as_they_are_stored():
    found = promoted(rows=[row(namespaces=["shop-2"])])
    (read,) = decode_requests(
        f'{{"items": [{found.model_dump_json(by_alias=True, exclude_none=True)}]}}'.encode()
    )
    need = need_for(read.spec.terms, 3)
    assert (need.from_, need.soak_seconds, need.success_percent) == (2, 259200, "99.00")
    assert (need.min_pods, need.incidents, need.namespaces) == (2, 0, ["shop-2"])
    assert read.spec.terms.promotion.release == "shop"


def test_two_rows_for_one_ring_make_no_sense():
    (problem,) = policy_problems(policy(row(), row(3, 1, namespaces=["canary"])))
    assert str(problem) == "spec.promotion[1].ring: a row for ring 3 stands there already"


def test_whoever_writes_a_row_for_every_namespace_is_told_what_counts():
    (warning,) = policy_warnings(policy(row(), row(4, 3, namespaces=["a"])))
    assert warning.startswith("spec.promotion[0]: names no namespaces")


@pytest.mark.parametrize("key", ["team", "cabgate.dev/ring", "cabgate.dev/change-policy"])
def test_a_label_that_whoever_creates_a_namespace_chooses_is_a_problem(key):
    made = row()
    made["namespaceSelector"] = {
        "matchExpressions": [{"key": key, "operator": "In", "values": ["a"]}]
    }
    (problem,) = policy_problems(policy(made))
    assert "kubernetes.io/metadata.name" in problem.message


def test_the_example_has_the_numbers_of_eucora():
    raw = yaml.safe_load(EXAMPLE.read_text())
    found = choose_policy({"cabgate.dev/change-policy": "rings"}, [raw])
    rows = found.spec.promotion
    assert policy_problems(found) == policy_warnings(found) == []
    assert [(each.ring, each.from_) for each in rows] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert [each.soak for each in rows] == ["24h", "48h", "72h", "168h"]
    assert [str(each.success_percent) for each in rows] == ["98.00", "97.00", "99.00", "99.00"]
    assert {each.incidents for each in rows} == {0}
