# SPDX-License-Identifier: Apache-2.0
"""What the rules of change answer to a rollout, for each kind that is gated: each situation is made
on a real API server. `docs/coverage.md` shows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from support.always import rolled_out
from support.gated import KINDS, gated, url
from support.rings import image, manifest

IMAGE = "web:2"
"""What is rolled out; what runs is `web:1`."""

WITH_REPLICAS = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "Rollout")


@dataclass(frozen=True)
class Step:
    """A situation, and what every kind is answered in it."""

    what: str
    reason: str = ""
    """Of a denial; empty: it is let in."""
    passes: tuple[str, ...] = ()
    """Kinds that are let in all the same."""
    of_kind: Mapping[str, str] = field(default_factory=dict)
    """Kinds that are denied for a reason of their own."""

    def expected(self, kind):
        """The reason that a kind is denied for; empty if it is let in."""
        return self.of_kind.get(kind, "" if kind in self.passes else self.reason)


@dataclass(frozen=True)
class Course:
    """What becomes of the rollouts of one namespace, step by step."""

    name: str
    policy: dict
    """More of the spec of its change policy."""
    steps: tuple[Step, ...]
    ring: int = 2
    excepted: int = 0
    """How many people approve the exception that its request is under; none: it takes approvals."""
    constraints: dict = field(default_factory=dict)
    """Of that exception."""
    ends_soon: bool = False
    """Whether its reviewer has it end in some seconds; otherwise it has its days."""
    freeze: str = ""
    """Kind of the freeze that is declared once it is approved."""
    image: str = IMAGE
    """What is rolled out."""
    container: Mapping[str, Any] = field(default_factory=dict)
    """More of what is rolled out."""
    promoted: bool = False
    """Whether another ring comes first, in which a Deployment of the release soaks."""


def _quorum(count):
    people = "1 person has" if count == 1 else f"{count} people have"
    waits = tuple(
        Step(f"{people} to approve, {votes} did", "ReviewPending") for votes in range(count)
    )
    rules = [{"count": count, "verb": "approve"}]
    return Course(f"quorum-{count}", {"approvals": rules},
                  (*waits, Step(f"{people} to approve, and did")))  # fmt: skip


def _excepted(count):
    said = f"under an exception that {count} people approve"
    waits = tuple(Step(f"{said}, {votes} did", "ExceptionPending") for votes in range(count))
    return Course(f"exceptions-{count}", {"approvals": ONE, "exceptions": {"count": count}},
                  (*waits, Step(f"{said}, and did")), excepted=count)  # fmt: skip


ONE = [{"count": 1, "verb": "approve"}]
FAR = {"from": "2090-01-01T00:00:00Z", "until": "2090-01-02T00:00:00Z"}
PAST = {"from": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"}
OPEN = {"from": PAST["from"], "until": FAR["until"]}

RELEASED = manifest("", 2)["spec"]["template"]["spec"]["containers"][0]
"""The container of a release that soaked as a Deployment: each kind runs the same."""

A_POD = {"Pod": "PreviousRingPending"}
"""What is said of a Pod that is given another image: nobody compares the rest of it, which is what
it was."""

COURSES = (
    *map(_quorum, (1, 2, 3)),
    Course(
        "freeze",
        {"approvals": ONE},
        (Step("approved, within a Freeze", "Frozen"), Step("within a Freeze that is overridden")),
        freeze="Freeze",
    ),
    Course(
        "window",
        {"approvals": [{**ONE[0], "validFor": "9999h"}]},
        (
            Step("approved, outside of every Window", "Frozen"),
            Step("within a Window that is open, before `validFor` ends"),
            Step("outside of a Window that is overridden"),
        ),
        freeze="Window",
    ),
    Course(
        "valid",
        {"approvals": [{**ONE[0], "validFor": "1s"}]},
        (Step("approved, after `validFor`", "ApprovalEnded"),),
    ),
    _excepted(2),
    Course(
        "within",
        {"approvals": ONE},
        (Step("under an exception, within its `maxRing` and `windows` and before its `until`"),),
        excepted=1,
        constraints={"maxRing": 2, "windows": [PAST, OPEN], "until": FAR["until"]},
    ),
    Course(
        "until",
        {"approvals": ONE},
        (Step("under an exception, after its `until`", "ExceptionEnded"),),
        excepted=1,
        ends_soon=True,
    ),
    Course(
        "replicas",
        {"approvals": ONE, "exceptions": {"require": ["maxReplicas"]}},
        (Step("under an exception with `maxReplicas`, with fewer", "ConstraintViolated",
              WITH_REPLICAS),),
        excepted=1,
        constraints={"maxReplicas": 1},
    ),
    Course(
        "ring",
        {"approvals": ONE},
        (Step("under an exception with `maxRing`, in a higher one", "ConstraintViolated"),),
        ring=3,
        excepted=1,
        constraints={"maxRing": 2},
    ),
    Course(
        "windows",
        {"approvals": ONE},
        (Step("under an exception, outside of its `windows`", "ConstraintViolated"),),
        excepted=1,
        constraints={"windows": [FAR]},
    ),
    Course(
        "promotion",
        {"approvals": ONE},
        (
            Step("approved, and not in the ring before yet", "PreviousRingPending"),
            Step("once it has soaked in the ring before, as a Deployment", of_kind=A_POD),
            Step("after an incident in the ring before", "PreviousRingFailed", of_kind=A_POD),
            Step("after that incident, with an override"),
        ),
        ring=3,
        image=image(2),
        container={"readinessProbe": RELEASED["readinessProbe"]},
        promoted=True,
    ),
)  # fmt: skip


def targets(course):
    """One of each kind, with the image that is to come; a Job comes under another name."""
    return [
        {
            "apiVersion": KINDS[kind].api_version,
            "kind": kind,
            "name": "next" if kind == "Job" else "web",
            "images": [course.image],
        }
        for kind in KINDS
    ]


def tried(client, kind, namespace, course):
    """Roll a kind's object out, by a dry run; the answer."""
    if kind != "Job":
        return rolled_out(client, kind, namespace, image=course.image, **course.container)
    containers = [{"name": "c0", "image": course.image, **course.container}]
    body = gated(kind, namespace, "next", containers=containers)
    return client.post(url(kind, namespace), json=body, params={"dryRun": "All"})


def reason_of(answer):
    """The reason that a rollout is denied for; empty if it is let in."""
    if answer.is_success:
        return ""
    return answer.json()["message"].partition("denied the request: ")[2].split(":")[0]


def table():
    """The steps as a Markdown table: what, and which kinds are answered what."""
    lines = ["| situation | answer |", "|---|---|"]
    for step in (step for course in COURSES for step in course.steps):
        answers = {}
        for kind in KINDS:
            answers.setdefault(step.expected(kind) or "let in", []).append(kind)
        cell = "; ".join(
            answer if len(kinds) == len(KINDS) else f"{answer}: {', '.join(kinds)}"
            for answer, kinds in answers.items()
        )
        lines.append(f"| {step.what} | {cell} |")
    return "\n".join(lines) + "\n"
