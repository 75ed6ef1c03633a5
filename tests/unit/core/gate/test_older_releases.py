# SPDX-License-Identifier: Apache-2.0
"""What the code of earlier releases makes of requests of this one: a webhook that was rolled back
denies them, and reads what rests on no new rule as ever.

The earlier code comes out of the history of this repository; a clone without it skips this, but for
`make test-downgrade`.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cabgate.api import CABException, CABRequest
from cabgate_samples.models import by_person, exception, request
from support import untraced
from support.policies import BOARD, BRIEF, ESCALATING, EXCEPTING, vote
from unit.core.by_terms import HALF_APPROVED, WATCHED

ROOT = Path(__file__).resolve().parents[4]
BEFORE_QUORUM = "0e14ff79f9fb17b0c8e81bfe00e390185b6915ff"
BEFORE_VALIDITY = "0c74b0149f5fb31a1c0703787c50b49032283d20"
PACKAGES = ("core", "kube", "webhook", "samples")

pytestmark = pytest.mark.slow

ASK = """
import json, sys
from cabgate.api import CABException, CABRequest
from cabgate.gate.decide import decide
from cabgate.lifecycle.state.requirements import check_known
from cabgate.lifecycle.state.standing import standings_of_exceptions
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NOW, rollout
from cabgate_webhook.client.stored import decode_requests

def refused(request):
    try:
        check_known(CABRequest.model_validate(request))
    except Refusal as refusal:
        return str(refusal.reason)
    return ""

answers = []
for request, exceptions in json.load(sys.stdin):
    # As the gate reads it, from the bytes of the API server.
    known = decode_requests(json.dumps({"items": [request]}).encode())
    leaves = standings_of_exceptions(map(CABException.model_validate, exceptions))
    answers.append([str(decide(rollout(), 2, known, leaves, NOW).reason), refused(request)])
json.dump(answers, sys.stdout)
"""
"""Run by the earlier code: what its gate decides, and why it refuses a review."""


@pytest.fixture(scope="module", params=[BEFORE_QUORUM, BEFORE_VALIDITY],
                ids=["before quorum", "before validity"])  # fmt: skip
def older(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The code of a commit: its name, and where it is."""
    archived = subprocess.run(["git", "archive", request.param, *PACKAGES], cwd=ROOT,
                              capture_output=True, check=False)  # fmt: skip
    if archived.returncode:
        if os.environ.get("CABGATE_TEST_HISTORY"):
            pytest.fail(archived.stderr.decode())
        pytest.skip("this clone has no history")
    tree = tmp_path_factory.mktemp("older")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as found:
        found.extractall(tree, filter="data")
    return request.param, tree


def asked(tree: Path, *cases: tuple[CABRequest, list[CABException]]) -> list[list[str]]:
    sent = [[found.to_dict(), [each.to_dict() for each in leaves]] for found, leaves in cases]
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps(sent),
        env=untraced.environment(*(tree / each for each in PACKAGES)),
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[list[str]] = json.loads(done.stdout)
    return answers


NEW = ["UnknownRequirement", "UnknownRequirement"]
OF_QUORUM = [
    (request("ManualReview", vote("ann"), policy=BOARD), []),
    (request("ManualReview", vote("ann"), vote("bob"), policy=BOARD), []),
    (request("ManualReview", vote("ann"), policy=ESCALATING), []),
]
OF_VALIDITY = [
    (request("ManualReview", vote("ann"), policy=BRIEF), []),
    (WATCHED, [HALF_APPROVED]),
    (WATCHED, [exception(WATCHED, by_person("Approved"))]),
]


def test_it_denies_what_rests_on_rules_that_it_does_not_know(older: Any) -> None:
    commit, tree = older
    cases = OF_VALIDITY if commit == BEFORE_VALIDITY else [*OF_QUORUM, *OF_VALIDITY]
    assert asked(tree, *cases) == [NEW] * len(cases)


def test_it_admits_what_rests_on_no_new_rule(older: Any) -> None:
    _, tree = older
    risky = request("ExceptionRequired")
    cases = [
        (request("ManualReview", by_person("Approved")), []),
        (risky, [exception(risky, by_person("Approved"))]),
    ]
    assert asked(tree, *cases) == [["RequestApproved", ""], ["ExceptionActive", ""]]


def test_one_that_knows_quorum_counts_as_this_one_does(older: Any) -> None:
    commit, tree = older
    both = request("ManualReview", vote("ann"), vote("bob"), policy=EXCEPTING)
    waits = request("ManualReview", vote("ann"), policy=EXCEPTING)
    counted = [["RequestApproved", ""], ["ReviewPending", ""]]
    expected = counted if commit == BEFORE_VALIDITY else [NEW, NEW]
    assert asked(tree, (both, []), (waits, [])) == expected
