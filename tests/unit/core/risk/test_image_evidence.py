# SPDX-License-Identifier: Apache-2.0
"""Evidence is about the images that it names, and old evidence approves no new image."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABRequest, Evidence, RiskModel
from cabgate.api.riskmodel import FloorModel
from cabgate.api.types import Tier
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.risk.evidence import evidence_digest
from cabgate.risk.image_evidence import STALE_EVIDENCE, UNNAMED_IMAGES, unnamed_images
from cabgate.risk.improvements import improvements
from cabgate_samples.models import by_system, intent, request, target
from cabgate_samples.objects import GOOD
from unit.core.standings import assessment_of, floors_now, request_for

OLD, NEW, SIDE = "shop/web:1", "shop/web:2", "shop/side:1"
AUTO, MANUAL = Tier.AUTO_APPROVE, Tier.MANUAL_REVIEW

LENIENT = DEFAULT_RISK_MODEL.model_copy(
    update={"spec": DEFAULT_RISK_MODEL.spec.model_copy(update={"floors": []})}
)
"""A model of a cluster admin's own, without floors."""

FIGURES = {
    "testResults": {"coveragePercent": 95, "passed": 120, "failed": 0},
    "scanResults": {"critical": 0, "high": 0},
}


def release(
    *images: str, name: str = "web", named: bool = True, **reports: dict[str, Any]
) -> CABRequest:
    """The request of a release, as it would be without any before it. A report is its figures with
    what is said of where it is."""
    parts = {
        part: {**figures, **reports.get(part, {})}
        for part, figures in FIGURES.items()
        if reports.get(part, {}) is not None
    }
    return request(
        "AutoApprove", of=intent({**GOOD, **parts}, [target(name, *images)], named=named)
    )


def later(new: CABRequest, *before: CABRequest, model: RiskModel = DEFAULT_RISK_MODEL) -> Tier:
    """The gate of a request after others."""
    return assessment_of(new.spec, model, before).gate


def floors(new: CABRequest, *before: CABRequest) -> list[str]:
    return [floor.name for floor in assessment_of(new.spec, others=before).floors]


def test_an_image_that_no_artifact_names_is_missing_and_waits_for_a_person() -> None:
    found = assessment_of(release(OLD, SIDE, named=False).spec)
    assert (found.score, found.gate) == ("0.00", MANUAL)
    assert found.missing == [f"artifacts[].images: {SIDE}", f"artifacts[].images: {OLD}"]
    [floor] = found.floors
    assert floor.name == UNNAMED_IMAGES
    assert OLD in floor.explanation
    assert str(improvements(found)) == f"AutoApprove would take: resolve: {floor.explanation}"


def test_the_artifacts_name_the_images_of_all_targets_together() -> None:
    artifacts = [
        {"name": "a", "images": [OLD]},
        {"name": "b", "images": [SIDE, SIDE]},
        {"name": "c"},
    ]
    targets = [target("web", OLD), target("side", SIDE, OLD)]
    made = intent({**GOOD, "artifacts": artifacts}, targets)
    assert unnamed_images(made.spec.targets, made.spec.evidence) == []
    assert assessment_of(made.spec).gate is AUTO
    # Compared exactly, as the gate compares them.
    near = intent({**GOOD, "artifacts": [{"name": "a", "images": [f"{OLD}0"]}]}, targets[:1])
    assert unnamed_images(near.spec.targets, near.spec.evidence) == [OLD]


def test_what_is_missing_has_room_however_many_images_there_are() -> None:
    images = [f"shop/{n:03}:{'x' * 400}" for n in range(50)]
    targets = [target(f"web-{n}", *(f"{n}/{image}" for image in images)) for n in range(50)]
    made = request_for(intent({}, targets), ring=2)
    stored = CABRequest.model_validate(made.to_dict())
    assert stored.spec.assessment == made.spec.assessment
    assert stored.spec.assessment.missing[-1] == "artifacts[].images: and 2484 more"


def test_a_riskier_gate_stays_what_it_is() -> None:
    made = intent({}, [target("web", OLD)])
    assert assessment_of(made.spec).gate is Tier.EXCEPTION_REQUIRED


@pytest.mark.parametrize("gate", list(Tier))
def test_no_model_lowers_either_floor(gate: Tier) -> None:
    floored = [FloorModel(name="IncompleteEvidence", gate=gate)]
    spec = DEFAULT_RISK_MODEL.spec.model_copy(update={"floors": floored})
    own = DEFAULT_RISK_MODEL.model_copy(update={"spec": spec})
    for model in (LENIENT, own):
        assert later(release(OLD), model=model) is AUTO
        assert later(release(OLD, named=False), model=model) is MANUAL
        assert later(release(NEW), release(OLD), model=model) is MANUAL


def test_images_count_in_the_digest_in_any_order_and_only_where_they_are_named() -> None:
    def digest(images: list[str] | None) -> str:
        artifact = {"name": "web"} if images is None else {"name": "web", "images": images}
        return evidence_digest(intent({**GOOD, "artifacts": [artifact]}, named=False).spec)

    assert digest([OLD, SIDE]) == digest([SIDE, OLD, SIDE])
    assert digest([OLD]) != digest([OLD, SIDE])
    assert digest([]) == digest(None) != digest([OLD])


URI, SHA = {"uri": "https://ci/1"}, {"sha256": "a" * 64}
OTHER_URI, OTHER_SHA = {"uri": "https://ci/2"}, {"sha256": "b" * 64}


@pytest.mark.parametrize(
    ("before", "now", "stale"),
    [
        # where neither is given, the figures
        ({}, {}, True),
        ({}, {"passed": 121}, False),
        ({}, {"skipped": 3}, True),  # one that was not given says nothing
        ({}, {"coveragePercent": 95.0}, True),
        # the same report
        (URI, URI, True),
        (URI, {**URI, "passed": 121}, True),
        (SHA, SHA, True),
        (SHA, {"sha256": "A" * 64}, True),
        (URI | SHA, OTHER_URI | SHA, True),
        (URI | SHA, URI, True),
        (URI, URI | SHA, True),
        # another one
        (URI, OTHER_URI, False),
        (SHA, OTHER_SHA, False),
        (URI | SHA, URI | OTHER_SHA, False),  # what is read there changed
        # named now, and not before, which says nothing of whether it is another.
        ({}, URI, True),
        ({}, SHA, True),
        ({}, {**URI, "passed": 121}, False),
        # no longer said which, or said in another way: the figures
        (URI, {}, True),
        (SHA, OTHER_URI, True),
        (SHA, {**OTHER_URI, "passed": 121}, False),
    ],
)
def test_a_new_image_with_an_old_report_waits_for_a_person(
    before: dict[str, Any], now: dict[str, Any], stale: bool
) -> None:
    found = later(release(NEW, testResults=now), release(OLD, testResults=before))
    assert found is (MANUAL if stale else AUTO)


def test_one_old_report_of_the_two_is_enough() -> None:
    scan = {"uri": "https://ci/scan"}
    before = release(OLD, testResults=URI, scanResults=scan)
    assert floors(release(NEW, testResults=OTHER_URI, scanResults=scan), before) == [STALE_EVIDENCE]
    own = release(NEW, testResults=OTHER_URI, scanResults={"uri": "https://ci/scan/2"})
    assert floors(own, before) == []


def test_evidence_without_reports_has_none_that_is_old() -> None:
    """It is for the model to say whether they may be missing."""
    bare = {key: value for key, value in GOOD.items() if not key.endswith("Results")}
    before, now = (
        request("AutoApprove", of=intent(bare, [target("web", image)])) for image in (OLD, NEW)
    )
    assert assessment_of(now.spec, LENIENT, [before]).floors == []


def test_a_new_image_counts_for_its_workload_and_that_of_another_name() -> None:
    before = release(OLD, SIDE)
    assert floors(release(OLD), before) == []
    # A Job with the release in its name, and a workload that an intent names from now on.
    assert floors(release(NEW, name="other"), before) == [STALE_EVIDENCE]
    assert floors(release(OLD, name="other"), before) == [], "what the reports were for"
    targets = [target("web", OLD), target("api", NEW)]
    also = request("AutoApprove", of=intent({**GOOD, **FIGURES}, targets))
    assert floors(also, before) == [STALE_EVIDENCE]
    assert floors(release(OLD, SIDE), before) == []
    assert floors(release(OLD, SIDE, NEW), before) == [STALE_EVIDENCE]
    # A version of its API is no other workload, whether it is the first that is named or not.
    both = [target("web", OLD, apiVersion="apps/v1beta1"), target("web", SIDE)]
    older = request("AutoApprove", of=intent({**GOOD, **FIGURES}, both))
    assert floors(release(OLD, SIDE), older) == []
    assert floors(release(NEW), older) == [STALE_EVIDENCE]


def test_other_doings_of_the_containers_count_under_whichever_api_version() -> None:
    def doing(*digits: str) -> CABRequest:
        said = [
            {**target("web", OLD, apiVersion=version), "template": f"t1:sha256:{digit * 64}"}
            for version, digit in zip(("apps/v1", "apps/v2"), digits, strict=False)
        ]
        return request("AutoApprove", of=intent({**GOOD, **FIGURES}, said))

    assert floors(doing("1"), doing("1")) == []
    assert floors(doing("2"), doing("1")) == [STALE_EVIDENCE]
    # What was approved does not cover for what stands beside it.
    assert floors(doing("2", "1"), doing("1")) == [STALE_EVIDENCE]
    assert floors(doing("1", "2"), doing("1")) == [STALE_EVIDENCE]
    assert floors(doing("1"), doing("1", "2")) == []


def test_other_doings_under_another_name_count_as_a_new_image_does() -> None:
    def doing(**digits: str) -> CABRequest:
        said = [
            {**target(name, OLD), **({"template": f"t1:sha256:{digit * 64}"} if digit else {})}
            for name, digit in digits.items()
        ]
        return request("AutoApprove", of=intent({**GOOD, **FIGURES}, said))

    # A Job with the release in its name, or with a prefix that fits the one which is approved.
    assert floors(doing(other="1"), doing(web="1")) == []
    assert floors(doing(other="2"), doing(web="1")) == [STALE_EVIDENCE]
    assert floors(doing(web="1", other="2"), doing(web="1")) == [STALE_EVIDENCE]
    # Where nothing was said there is nothing else.
    assert floors(doing(web="1"), doing(web="")) == []
    assert floors(doing(web="1", other="2"), doing(web="", other="2")) == []
    assert floors(doing(other="2"), doing(web="")) == []


def test_of_several_targets_one_with_a_new_image_is_enough() -> None:
    def pair(web: str, database: str) -> CABRequest:
        targets = [target("web", web), target("db", database)]
        return request("AutoApprove", of=intent({**GOOD, **FIGURES}, targets))

    assert floors(pair(NEW, "db:1"), pair(OLD, "db:1")) == [STALE_EVIDENCE]
    explained = assessment_of(pair(NEW, "db:1").spec, others=[pair(OLD, "db:1")]).floors[0]
    assert explained.explanation.startswith(f"image {NEW} comes with all figures of the test")
    assert pair(OLD, "db:1").metadata.name in explained.explanation


def test_what_became_of_the_earlier_request_does_not_matter() -> None:
    before = request(
        "AutoApprove", by_system("Superseded"), of=intent({**GOOD, **FIGURES}, [target("web", OLD)])
    )
    assert floors(release(NEW), before) == [STALE_EVIDENCE]


def test_evidence_first_and_the_image_afterwards_is_seen_as_well() -> None:
    """A release in two writes: its reports stood under the images before it."""
    between = release(OLD, testResults=OTHER_URI)
    assert floors(release(NEW, testResults=OTHER_URI), between) == [STALE_EVIDENCE]


def aged(made: CABRequest, hours: int) -> CABRequest:
    when = made.metadata.creation_timestamp
    assert when is not None
    moved = {"creation_timestamp": when - timedelta(hours=hours)}
    return made.model_copy(update={"metadata": made.metadata.model_copy(update=moved)})


def test_what_came_later_and_the_request_itself_are_no_earlier_ones() -> None:
    old, new = aged(release(OLD), 2), aged(release(NEW), 1)
    assert floors_now(old, [old, new], DEFAULT_RISK_MODEL) == []
    assert [floor.name for floor in floors_now(new, [old, new], DEFAULT_RISK_MODEL)] == [
        STALE_EVIDENCE
    ]


def test_of_two_that_were_opened_together_one_waits() -> None:
    """Each was opened without seeing the other: the approval looks again."""
    one, other = release(OLD), release(NEW)
    held = [bool(floors_now(each, [one, other], DEFAULT_RISK_MODEL)) for each in (one, other)]
    assert sorted(held) == [False, True]


def test_a_request_of_the_release_before_this_one_is_not_approved_by_score_now() -> None:
    [floor] = floors_now(release(OLD, named=False), [], DEFAULT_RISK_MODEL)
    assert floor.name == UNNAMED_IMAGES


def test_going_back_to_what_was_before_is_no_new_release() -> None:
    first, second = release(OLD, testResults=URI), release(NEW, testResults=OTHER_URI)
    again = intent(
        {
            **GOOD,
            **FIGURES,
            "testResults": {**FIGURES["testResults"], **URI},
            "rollbackPlan": {"validated": True, "uri": "https://wiki.example.com/tried-again"},
        },
        [target("web", OLD)],
    )
    assert assessment_of(again.spec, others=[first, second]).gate is AUTO
    # What is built again after it comes with its own reports, or waits.
    rebuilt = "shop/web:2-1"
    assert later(release(rebuilt, testResults=OTHER_URI), first, second) is MANUAL
    assert later(release(rebuilt, testResults={"uri": "https://ci/3"}), first, second) is AUTO


NAMES = st.text("abcdef0123456789", min_size=1, max_size=8)
IMAGES = st.lists(st.sampled_from([OLD, NEW, SIDE, "shop/x:1"]), min_size=1, unique=True)


@given(st.lists(st.tuples(IMAGES, NAMES), max_size=5, unique_by=lambda each: each[1]), IMAGES)
def test_good_releases_with_reports_of_their_own_stay_approved_by_score(
    history: list[tuple[list[str], str]], images: list[str]
) -> None:
    def made(images: list[str], number: str) -> CABRequest:
        uri = {"uri": f"https://ci.example.com/{number}"}
        return release(*images, testResults=uri, scanResults=uri)

    before = [made(*each) for each in history]
    assert later(made(images, "own"), *before) is AUTO


@given(IMAGES, IMAGES, st.sampled_from([URI, SHA, URI | SHA, {}]), st.data())
def test_a_new_image_never_passes_on_what_was_said_of_the_last(
    before: list[str], now: list[str], report: dict[str, Any], data: st.DataObject
) -> None:
    """However much else of the evidence is changed."""
    other = {
        "manualTesting": {"status": "Completed", "by": data.draw(NAMES)},
        "deploymentPlan": {"uri": data.draw(NAMES)},
    }
    results = {**FIGURES["testResults"], **report}
    first = intent({**GOOD, **FIGURES, "testResults": results}, [target("web", *before)])
    second = intent({**GOOD, **FIGURES, "testResults": results, **other}, [target("web", *now)])
    found = assessment_of(second.spec, LENIENT, [request("AutoApprove", of=first)])
    assert found.gate is (MANUAL if set(now) - set(before) else AUTO)


@given(st.lists(IMAGES, min_size=1, max_size=4), st.lists(IMAGES, max_size=3))
def test_by_score_goes_only_what_has_evidence_for_every_image(
    targets: list[list[str]], artifacts: list[list[str]]
) -> None:
    named = [{"name": f"a{n}", "images": images} for n, images in enumerate(artifacts)]
    made = intent(
        {**GOOD, "artifacts": [{"name": "first"}, *named]},
        [target(f"web-{n}", *images) for n, images in enumerate(targets)],
        named=False,
    )
    covered = {image for images in artifacts for image in images}
    complete = all(image in covered for images in targets for image in images)
    assert assessment_of(made.spec, LENIENT).gate is (AUTO if complete else MANUAL)


def test_evidence_of_before_reads_as_it_did() -> None:
    found = Evidence.model_validate({"artifacts": [{"name": "web"}]})
    assert found.to_dict() == {"artifacts": [{"name": "web"}]}
