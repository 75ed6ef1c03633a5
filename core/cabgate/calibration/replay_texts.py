# SPDX-License-Identifier: Apache-2.0
"""A replay for terminals and for programs: text, and data for JSON and YAML."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cabgate.api.types import Tier
from cabgate.calibration.outcomes import FAILURE
from cabgate.calibration.replay import Replay, Replayed
from cabgate.calibration.texts import aligned, names

CAUGHT = (
    "They would have gone to a person, or needed an exception, before they ran. Whether anybody "
    "would have stopped them, nobody knows."
)
"""What is said of failures that another model would have caught."""

FROZEN = (
    "Frozen evidence is scored anew: who signed it, what was decided before and which images had "
    "none are as the requests record them. Nothing is changed."
)
"""What a replay does."""


class Listed(NamedTuple):
    """Requests that have something in common."""

    name: str
    title: str
    items: Sequence[Replayed]


def lists(found: Replay) -> Iterator[Listed]:
    """What becomes of single requests."""
    yield Listed("approvalsNotGiven", "Approvals that would not have been given", found.not_given)
    yield Listed("approvedByScore", "Went to people, would be approved by score", found.by_score)
    yield Listed(
        "rejectedApprovedByScore",
        "Of these, rejected by a person",
        found.rejected_by_score,
    )
    if found.failed is not None:
        yield Listed("failuresCaught", "Failures that would have been caught", found.caught)
        yield Listed(
            "failuresLetThrough",
            "Failures that went to people, and would be approved by score",
            found.let_through,
        )


def as_text(found: Replay) -> str:
    """A replay as text, ending in a line feed."""
    spec, more = found.model.spec, found.more_to_people
    lines = [
        f"{len(found.items)} requests by risk model {found.model.name} {spec.version}",
        FROZEN,
        "",
        *aligned(
            [
                ("NOW", *(f"-> {tier}" for tier in Tier), "ALL"),
                *(
                    [
                        tier,
                        *(str(found.moves[tier, new]) for new in Tier),
                        str(found.before(tier)),
                    ]
                    for tier in Tier
                ),
                ("all", *(str(found.after(tier)) for tier in Tier), str(len(found.items))),
            ]
        ),
        "",
        f"{abs(more)} {'fewer' if more < 0 else 'more'} would go to people.",
    ]
    for each in lists(found):
        keys = [str(item.change.key) for item in each.items]
        lines += ["", f"{each.title}: {len(keys)}", *([f"  {names(keys)}"] if keys else [])]
    lines += ["", *_about_failures(found)]
    return "\n".join(lines) + "\n"


def _about_failures(found: Replay) -> list[str]:
    if found.failed is None:
        return ["Which failures would have been caught: give their outcomes, --outcomes FILE."]
    known = sum(1 for each in found.items if each.change.key in found.failed)
    lines = [
        f"{known} of {len(found.items)} requests have an outcome, {len(found.failures)} failed. "
        f"A change failed if {FAILURE}",
        f"Of those that would have been caught: {CAUGHT}",
    ]
    if found.unknown:
        lines.append(f"Not counted, since no such request was given: {names(found.unknown)}.")
    return lines


def as_data(found: Replay) -> dict[str, Any]:
    """A replay as data for JSON and YAML, with the name of each request that is counted apart."""
    spec = found.model.spec
    data: dict[str, Any] = {
        "model": {"name": found.model.name, "version": spec.version, "digest": found.model.digest},
        "requests": len(found.items),
        "tiers": [
            {"from": old.value, "to": new.value, "requests": found.moves[old, new]}
            for old in Tier
            for new in Tier
        ],
        "moreToPeople": found.more_to_people,
        **{each.name: [_item(item) for item in each.items] for each in lists(found)},
        "moved": [_item(item) for item in found.items if item.tier is not item.change.tier],
    }
    if found.failed is not None:
        data |= {"failure": FAILURE, "failures": len(found.failures)}
        data["notCounted"] = {"unknown": list(found.unknown)}
    return data


def _item(item: Replayed) -> dict[str, str]:
    change = item.change
    return {
        "namespace": change.key.namespace,
        "name": change.key.name,
        "approval": change.approval.value,
        "from": change.tier.value,
        "to": item.tier.value,
        "scoreFrom": _score(change.score),
        "scoreTo": _score(item.score),
    }


def _score(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"
