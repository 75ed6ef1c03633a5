# SPDX-License-Identifier: Apache-2.0
"""An intent brought up to date: what stays of its evidence, and that nothing comes to it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.evidence import Evidence
from cabgate.api.intent import DeploymentIntentSpec
from cabgate.api.types import Target
from cabgate.risk.image_evidence import unnamed_images
from cabgate.risk.next_release import REPORTS, about, next_release
from cabgate_samples.models import intent, target
from cabgate_samples.objects import GOOD

WHOLE = {**GOOD, "artifacts": [{"name": "web", "images": ["web:1"], "uri": "https://ci/1"}]}


def spec(evidence: dict[str, Any], *targets: dict[str, Any]) -> DeploymentIntentSpec:
    return intent(evidence, list(targets), named=False, summary="more", correlationID="C").spec


def named(*targets: dict[str, Any]) -> list[Target]:
    return [Target.model_validate(each) for each in targets]


def test_other_images_take_the_evidence_about_those_before_with_them() -> None:
    made = next_release(spec(WHOLE, target("web", "web:1")), named(target("web", "web:2")))
    assert [each.images for each in made.targets] == [["web:2"]]
    assert set(made.evidence.to_dict()) == {"rollbackPlan", "deploymentPlan", "scope"}
    assert (made.summary, made.correlation_id) == ("more", "C")
    assert unnamed_images(made.targets, made.evidence) == ["web:2"]


def test_an_artifact_that_names_an_image_that_stays_is_kept_without_the_others() -> None:
    artifacts = [
        {"name": "both", "images": ["web:1", "proxy:1"], "sha256": "a" * 64},
        {"name": "old", "images": ["web:1"]},
        {"name": "chart", "uri": "https://ci/chart"},
    ]
    before = spec({**GOOD, "artifacts": artifacts}, target("web", "web:1", "proxy:1"))
    made = next_release(before, named(target("web", "proxy:1", "web:2")))
    assert made.targets[0].images == ["proxy:1", "web:2"]
    assert made.evidence.to_dict() == {
        **before.evidence.to_dict(),
        "artifacts": [{**artifacts[0], "images": ["proxy:1"]}, artifacts[2]],
    }


def test_what_nobody_names_stays_and_what_is_new_comes_last() -> None:
    before = spec(WHOLE, target("db", "db:1"), target("web", "web:1", apiVersion="apps/v1beta2"))
    made = next_release(before, named(target("job", "job:1"), target("web", "web:1")))
    assert [(each.name, each.images, each.api_version) for each in made.targets] == [
        ("db", ["db:1"], "apps/v1"),
        ("web", ["web:1"], "apps/v1"),
        ("job", ["job:1"], "apps/v1"),
    ]
    assert made.evidence == before.evidence


@pytest.mark.parametrize("artifacts", [None, [], [{"name": "web"}], [{"name": "w", "images": []}]])
def test_evidence_that_says_of_no_image_that_it_is_about_it_stays(artifacts: Any) -> None:
    evidence = {**GOOD, "artifacts": artifacts}
    before = spec(evidence, target("web", "web:1"))
    assert next_release(before, named(target("web", "web:2"))).evidence == before.evidence


IMAGES = st.lists(st.sampled_from(["a:1", "a:2", "b:1", "b:2", "c:1"]), unique=True)
TARGETS = st.lists(
    st.tuples(st.sampled_from(["web", "db", "job"]), IMAGES.filter(bool)),
    min_size=1,
    unique_by=lambda each: each[0],
).map(lambda found: [target(name, *images) for name, images in found])
ARTIFACTS = st.lists(
    st.tuples(st.sampled_from(["one", "two", "three"]), st.none() | IMAGES),
    unique_by=lambda each: each[0],
).map(lambda found: [{"name": name, "images": images} for name, images in found])


@given(TARGETS, ARTIFACTS, TARGETS)
def test_whatever_is_declared_and_named(
    declared: list[dict[str, Any]], artifacts: list[dict[str, Any]], release: list[dict[str, Any]]
) -> None:
    before = spec({**GOOD, "artifacts": artifacts}, *declared)
    after = next_release(before, named(*release))
    assert next_release(after, named(*release)) == after
    runs = {each.name: set(each.images) for each in after.targets}
    assert runs == {each["name"]: set(each["images"]) for each in (*declared, *release)}
    _invents_nothing(before.evidence, after.evidence, set().union(*runs.values()))


def _invents_nothing(before: Evidence, after: Evidence, images: set[str]) -> None:
    known = {each.name: each for each in before.artifacts or ()}
    for artifact in after.artifacts or ():
        assert (
            artifact.model_copy(update={"images": known[artifact.name].images})
            == (known[artifact.name])
        )
        assert set(artifact.images or ()) == set(known[artifact.name].images or ()) & images
    for name, artifact in known.items():
        gone = artifact.images and not set(artifact.images) & images
        assert (name in {each.name for each in after.artifacts or ()}) == (not gone)
    for part in type(before).model_fields:
        if part != "artifacts":
            kept = getattr(after, part)
            assert kept == getattr(before, part) or (part in REPORTS and kept is None)
    about_any = any(each.images for each in known.values())
    if about_any and not any(each.images for each in after.artifacts or ()):
        assert all(getattr(after, part) is None for part in REPORTS)
    assert about(after, images) == after
