# SPDX-License-Identifier: Apache-2.0
"""Whether a target of an intent can ever be what somebody rolls out, and how it is spelt right.

An intent for something that the gate never asks about, or that no object can be called, covers
nothing, and looks as if it did.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cabgate.api.intent import DeploymentIntent
from cabgate.api.kinds import BUILT_IN, GatedKind, group_of
from cabgate.api.types import Target
from cabgate.rollout.workloads import ANY_NAME, GENERATED, kind_of
from cabgate.text.refusal import Refusal, RefusalReason, combined

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_GROUP = re.compile(rf"{_LABEL}(\.{_LABEL})+")
_KIND = re.compile(r"[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class TargetProblem:
    """Why a target covers nothing."""

    field: str
    """Its path in the intent."""
    message: str
    """What is wrong, and what to write."""
    final: bool
    """Whether it stays so, whatever is installed or configured later."""
    misspelt: bool = False
    """Whether something that is gated was meant, and can be told."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def target_problems(
    targets: Sequence[Target], configured: Sequence[GatedKind] = ()
) -> list[TargetProblem]:
    """What is wrong with targets, in their order; `configured` are the kinds that an installation
    gates beside those that always are."""
    found = []
    for index, target in enumerate(targets):
        path = f"spec.targets[{index}]"
        problem = kind_problem(target.api_version, target.kind, configured, path)
        found += [problem] if problem else []
        found += _name_problems(target, f"{path}.name")
    return found


def impossible_names(targets: Sequence[Target]) -> list[TargetProblem]:
    """The targets that are called what no object can be: no request that names one is ever stored.
    An older release let intents with them in."""
    found = []
    for index, target in enumerate(targets):
        found += _name_problems(target, f"spec.targets[{index}].name")
    return found


def check_targets(intent: DeploymentIntent, configured: Sequence[GatedKind] = ()) -> list[str]:
    """Refuse an intent with a target that can never match: raises `Refusal`.

    Returns what to warn of: targets of custom kinds that this installation does not gate as it is.
    """
    problems = target_problems(intent.spec.targets, configured)
    final = [problem for problem in problems if problem.final]
    if final:
        reason = RefusalReason.TARGET_NOT_GATED
        raise combined([Refusal(reason, each.message, each.field) for each in final])
    return [str(problem) for problem in problems]


def kind_problem(
    api_version: str, kind: str, configured: Sequence[GatedKind] = (), path: str = ""
) -> TargetProblem | None:
    """Why an object of a version and a kind is never gated, or is not as things are; None if it is
    gated. `path` is where both stand."""
    if kind_of(api_version, kind, configured) is not None:
        return None
    group, named = group_of(api_version), f"{api_version} {kind}"
    meant = meant_kind(api_version, kind, configured)
    same = meant is not None and meant.group == group
    # Definitions of custom kinds have a group with a dot in it, and a kind of letters and digits.
    may_come = _GROUP.fullmatch(group) is not None and _KIND.fullmatch(kind) is not None
    field = "apiVersion" if meant is not None and meant.kind == kind else "kind"
    where = f"{path}.{field}" if path else field
    if meant is not None and (same or not may_come):
        version = api_version if same else meant.api_version
        return TargetProblem(
            where,
            f"{named} is no kind that is gated, so an approval would cover nothing; write "
            f"apiVersion: {version} and kind: {meant.kind}",
            final=True,
            misspelt=True,
        )
    if not may_come:
        return TargetProblem(
            where,
            f"{named} is no kind that is gated, so an approval would cover nothing; allowed: "
            f"{_gated(configured)}, and custom kinds that the installation gates",
            final=True,
        )
    hint = "" if meant is None else f" (or is {meant.api_version} {meant.kind} meant?)"
    return TargetProblem(
        where,
        f"{named} is not gated by this installation, so an approval covers nothing of it: rollouts "
        f"of it pass unasked{hint}. A cluster admin gates it by the chart's value gatedKinds; or "
        "take the target out",
        final=False,
    )


def meant_kind(
    api_version: str, kind: str, configured: Sequence[GatedKind] = ()
) -> GatedKind | None:
    """The gated kind that somebody meant who misspelt it: its plural, its short name, another case,
    another group, a slip of the pen; None if nothing is like it."""
    group, word = group_of(api_version).lower(), kind.lower()
    known = (*BUILT_IN, *configured)
    nearest = sorted(known, key=lambda each: each.group != group)
    for each in nearest:
        if word in each.words:
            return each
    names = {each.kind.lower(): each for each in reversed(nearest)}
    close = get_close_matches(word, names, n=1, cutoff=0.85)
    return names[close[0]] if close else None


def _gated(configured: Sequence[GatedKind]) -> str:
    return ", ".join(f"{each.api_version} {each.kind}" for each in (*BUILT_IN, *configured))


def _name_problems(target: Target, path: str) -> list[TargetProblem]:
    prefix = target.name.removesuffix(ANY_NAME)
    if prefix != target.name and target.kind in GENERATED:
        # What is generated begins with anything that a name may begin with, a `-` at its end too.
        if _NAME.fullmatch(f"{prefix}0"):
            return []
    elif _NAME.fullmatch(target.name):
        return []
    spelt = re.sub(r"[^a-z0-9.]+", "-", prefix.lower()).strip("-.")
    hint = f", such as {spelt}" if _NAME.fullmatch(spelt) else ""
    return [
        TargetProblem(
            path,
            f"{target.name} is the name of no object: one has lower-case letters, digits, - and . "
            f"alone, and begins and ends with a letter or digit{hint}",
            final=True,
        )
    ]
