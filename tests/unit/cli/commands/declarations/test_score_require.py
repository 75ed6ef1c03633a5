# SPDX-License-Identifier: Apache-2.0
"""`cabgate score --require`: an exit code for pipelines."""

import pytest

from unit.cli.support import EXAMPLES, run

TIERS = ("AutoApprove", "ManualReview", "ExceptionRequired")
OF_EXAMPLE = {
    "auto-approve": "AutoApprove",
    "manual-review": "ManualReview",
    "exception-required": "ExceptionRequired",
}


def of(name: str) -> str:
    return str(EXAMPLES / name / "intent.yaml")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", OF_EXAMPLE)
def test_a_tier_is_kept_to_or_not(name: str, tier: str) -> None:
    above = TIERS.index(OF_EXAMPLE[name]) > TIERS.index(tier)
    result = run("score", "-f", of(name), "--require", tier, code=int(above))
    assert result.stdout == run("score", "-f", of(name)).stdout


def test_every_intent_has_to_keep_to_it() -> None:
    files = ["-f", of("auto-approve"), "-f", of("manual-review")]
    run("score", *files, "--require", "AutoApprove", code=1)
    run("score", *files, "--require", "ManualReview")


def test_a_tier_that_there_is_none_of_is_wrong_usage() -> None:
    run("score", "-f", of("auto-approve"), "--require", "Low", code=2)
