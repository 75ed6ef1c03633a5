# SPDX-License-Identifier: Apache-2.0
"""Changes with planted scores and failures, which a seed makes."""

import random
from datetime import UTC, datetime, timedelta

from cabgate.api.types import Tier
from cabgate.calibration.changes import Approval, Change, RequestKey
from cabgate.calibration.outcomes import Matched, Observed

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FACTORS = ("changeScope", "rollback", "testCoverage")
RISKS = ("0", "0.5", "1")


def change(number: int = 0, **more: object) -> Change:
    found: dict[str, object] = {
        "key": RequestKey("shop", f"web-{number:05d}"),
        "opened": BEGIN + timedelta(hours=number),
        "score": 2500,
        "tier": Tier.AUTO_APPROVE,
        "risks": (("rollback", "0.5"),),
        "model": "default 1 (sha256:00000000)",
        "approval": Approval.SCORE,
        "rejected": False,
        "for_break": False,
        "decisions": 1,
        **more,
    }
    return Change(**found)  # type: ignore[arg-type]


def planted(seed: int, size: int = 400) -> tuple[list[Change], Matched]:
    """Changes that fail more often the higher their score is, and a quarter of as many requests
    without an outcome."""
    numbers = random.Random(seed)  # noqa: S311
    changes, observed = [], []
    for number in range(size + size // 4):
        score = numbers.choice([0, 999, 1000, 9999, 10000, numbers.randrange(10001)])
        made = change(
            number,
            score=score,
            tier=numbers.choice(list(Tier)),
            risks=tuple((name, numbers.choice(RISKS)) for name in FACTORS),
            model=numbers.choice(["default 1 (sha256:a)", "strict 1 (sha256:b)"]),
            approval=numbers.choice(list(Approval)),
        )
        changes.append(made)
        if number < size:
            failed = numbers.random() < 0.15 + score / 25_000
            observed.append(Observed(made, failed, made.opened or BEGIN))
    return changes, Matched(observed, [])
