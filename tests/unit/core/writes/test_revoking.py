# SPDX-License-Identifier: Apache-2.0
"""A reviewer knows what a revocation denies before it counts."""

import json
import shlex
from datetime import timedelta

import pytest

from cabgate.api import CABException, CABRequest
from cabgate.gate.commands import revoke_request
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.revoking import denied_by, images_to_revoke, warnings_of
from cabgate_samples.models import NAMESPACE, NOW, by_person, by_system, exception, request, target
from unit.core.standings import Surroundings, decide

HOUR = timedelta(hours=1)
WEB, DB = target("web", "web:2"), target("db", "postgres:16", kind="StatefulSet")
OLD_WEB = target("web", "web:1")


def release(name: str, *targets: dict[str, object], verdict: str = "Approved") -> CABRequest:
    return request("ManualReview", by_person(verdict, NOW - HOUR), targets=[*targets], name=name)


NEW, OLD = release("new", WEB, DB), release("old", OLD_WEB, DB)


def around(*requests: CABRequest, exceptions: tuple[CABException, ...] = ()) -> Surroundings:
    return Surroundings(requests, exceptions, NOW)


def seen(pairs: list[tuple[Workload, str]]) -> list[str]:
    return [f"{workload}: {image}" for workload, image in pairs]


def test_nothing_has_to_be_named_where_nothing_else_covers_an_image():
    assert images_to_revoke(NEW, [], around(NEW)) == ("*",)
    assert seen(denied_by(NEW, ["*"], around(NEW))) == [
        "Deployment web: web:2",
        "StatefulSet db: postgres:16",
    ]


def test_the_unchanged_image_beside_has_to_be_meant():
    with pytest.raises(Refusal) as refused:
        images_to_revoke(NEW, [], around(NEW, OLD))
    assert refused.value.reason is RefusalReason.IMAGES_NEEDED
    assert refused.value.field == "status.review.images"
    message = refused.value.message
    assert "covers StatefulSet db: postgres:16 (request old)" in message
    assert "The command below denies Deployment web: web:2. " in message
    both = "Deployment web: web:2, StatefulSet db: postgres:16"
    assert f'With "images":["*"] it denies {both}.' in message
    assert message.endswith(revoke_request(NEW, ["web:2"]))


@pytest.mark.parametrize(
    ("images", "stored"),
    [
        (["*"], ("*",)),
        (["web:2"], ("web:2",)),
        (["web:2", "postgres:16", "web:2"], ("postgres:16", "web:2")),
    ],
)
def test_what_is_named_is_taken(images, stored):
    assert images_to_revoke(NEW, images, around(NEW, OLD)) == stored


@pytest.mark.parametrize("images", [["web:1"], ["web:2", "*"], ["web:2 "], ["*", "*"]])
def test_an_image_that_is_not_of_the_request_is_refused(images):
    with pytest.raises(Refusal, match="not an image of request new; name some of postgres:16, web"):
        images_to_revoke(NEW, images, around(NEW, OLD))


@pytest.mark.parametrize(
    "other",
    [
        release("other", DB, verdict="Rejected"),
        request("ManualReview", targets=[DB], name="other"),
        request("ExceptionRequired", targets=[DB], name="other"),
        request("ManualReview", by_person("Approved", NOW - 2 * HOUR),
                by_person("Revoked", NOW - HOUR), targets=[target("db", "postgres:16",
                kind="StatefulSet")], name="other"),
        request("ManualReview", by_person("ConditionallyApproved", NOW - 2 * HOUR, conditions=[
            {"name": "sale", "description": "over", "notAfter": "2026-03-01T11:00:00Z"}]),
            targets=[DB], name="other"),
    ],
)  # fmt: skip
def test_what_is_not_in_force_covers_nothing(other):
    assert images_to_revoke(NEW, [], around(NEW, other)) == ("*",)


def test_an_approval_whose_conditions_are_still_to_be_met_is_in_force():
    for condition in ({"attestation": "Required"}, {"notBefore": "2027-01-01T00:00:00Z"}):
        conditions = [{"name": "c", "description": "d", **condition}]
        entry = by_person("ConditionallyApproved", conditions=conditions)
        other = request("ManualReview", entry, targets=[DB], name="other")
        with pytest.raises(Refusal, match="request other"):
            images_to_revoke(NEW, [], around(NEW, other))


def test_an_exception_is_an_approval_too_while_it_lasts():
    other = request("ExceptionRequired", targets=[DB], name="other")
    leave = exception(other, by_person("Approved", NOW - HOUR), age=2 * HOUR)
    with pytest.raises(Refusal, match="request other"):
        images_to_revoke(NEW, [], around(NEW, other, exceptions=(leave,)))


def test_what_only_this_request_approved_is_denied_with_it_and_told():
    assert seen(denied_by(NEW, ["web:2"], around(NEW))) == [
        "Deployment web: web:2",
        "StatefulSet db: postgres:16",
    ]
    assert seen(denied_by(NEW, ["web:2"], around(NEW, OLD))) == ["Deployment web: web:2"]


def test_images_that_no_other_approval_covers_together_are_told():
    three = release("three", target("web", "a", "b", "c"))
    apart = [release("one", target("web", "a")), release("two", target("web", "b"))]
    found = denied_by(three, ["c"], around(three, *apart))
    assert [image for _, image in found] == ["a", "b", "c"]


@pytest.mark.parametrize("images", [["web:2"], ["*"], ["postgres:16"]])
@pytest.mark.parametrize("others", [[], [OLD], [release("same", WEB, DB)]])
def test_what_is_told_is_what_the_gate_then_denies(images, others):
    pairs = [(Workload("apps", "Deployment", "web"), "web:2"),
             (Workload("apps", "StatefulSet", "db"), "postgres:16")]  # fmt: skip
    denied = denied_by(NEW, images, around(NEW, *others))
    entry = by_person("Revoked", NOW, images=images)
    after = request("ManualReview", by_person("Approved", NOW - HOUR), entry, targets=[WEB, DB],
                    name="new")  # fmt: skip
    for workload, image in pairs:
        rollout = Rollout(NAMESPACE, workload, (image,))
        allowed = decide(rollout, 2, [after, *others], [], NOW + HOUR).allowed
        assert allowed == ((workload, image) not in denied)


def test_a_warning_lists_each_and_counts_the_rest():
    lines = warnings_of(NEW, ["*"], around(NEW))
    assert lines == [
        "denied from then on: Deployment web: web:2",
        "denied from then on: StatefulSet db: postgres:16",
    ]
    wide = release("wide", target("web", *(f"web:{n:02}{'x' * 400}" for n in range(40))))
    lines = warnings_of(wide, ["*"], around(wide))
    assert len(lines) == 11
    assert lines[-1] == "denied from then on: 30 more, 40 in all"
    assert all(len(line) <= 240 for line in lines)


def test_the_message_has_an_end_however_long_the_images_are():
    wide = release("wide", target("web", *(f"web:{n:02}{'x' * 400}" for n in range(40))))
    other = request("AutoApprove", by_system("AutoApproved"), name="other",
                    targets=[target("web", f"web:00{'x' * 400}")])  # fmt: skip
    with pytest.raises(Refusal) as refused:
        images_to_revoke(wide, [], around(wide, other))
    assert len(str(refused.value).encode()) <= 1000


def test_an_image_does_not_end_the_argument_of_a_command():
    odd = "web:2'; echo"
    command = revoke_request(release("odd", target("web", odd)), [odd])
    body = shlex.split(command)[-1]
    assert json.loads(body)["status"]["review"]["images"] == [odd]
