# SPDX-License-Identifier: Apache-2.0
"""An intent brought up to date for the next release: what is to run is named anew, and what the
evidence says of other images goes. Nothing comes to the evidence: an image that is new has none."""

from collections.abc import Iterable, Sequence

from cabgate.api.evidence import Artifact, Evidence
from cabgate.api.intent import DeploymentIntentSpec
from cabgate.api.types import Target
from cabgate.risk.image_evidence import images_by_workload
from cabgate.rollout.targets import Workload

REPORTS = ("test_results", "scan_results", "manual_testing")
"""Parts of the evidence that say what was found out about images."""


def next_release(spec: DeploymentIntentSpec, named: Sequence[Target]) -> DeploymentIntentSpec:
    """The spec of an intent with the images of some workloads as they are named, those that it did
    not have added, and without evidence that was about images which no target has then.

    Workloads that are not named stay as they are, and so does what their containers do where it is
    not said anew. To do it twice changes nothing more.
    """
    targets = _targets(spec.targets, named)
    images = {image for target in targets for image in target.images}
    evidence = about(spec.evidence, images)
    if evidence != spec.evidence or targets != spec.targets:  # what was signed is about others
        evidence = evidence.model_copy(update={"attestations": None})
    return spec.model_copy(update={"targets": targets, "evidence": evidence})


def about(evidence: Evidence, images: Iterable[str]) -> Evidence:
    """Evidence without what was about none of some images.

    An artifact keeps those of its images that are among them, and goes with the last. The reports
    go where no artifact is left of those that said which images they are about. What says of no
    image that it is about it stays, and so do plans and scope.
    """
    wanted, found = set(images), evidence.artifacts or []
    kept = [_of(artifact, wanted) for artifact in found]
    artifacts = [artifact for artifact in kept if artifact is not None]
    left: dict[str, object] = {}
    if artifacts != found:
        left["artifacts"] = artifacts or None
    if any(each.images for each in found) and not any(each.images for each in artifacts):
        left |= dict.fromkeys(REPORTS)
    return evidence.model_copy(update=left)


def _of(artifact: Artifact, images: set[str]) -> Artifact | None:
    if not artifact.images:
        return artifact
    kept = [image for image in artifact.images if image in images]
    return artifact.model_copy(update={"images": kept}) if kept else None


def _targets(before: Iterable[Target], named: Sequence[Target]) -> list[Target]:
    """The targets from before, each once and in its place, and after them those that are new."""
    images = images_by_workload(named)
    saying = {Workload.of(target): target for target in named if target.template is not None}
    versions = {Workload.of(target): target.api_version for target in named}
    result: list[Target] = []
    done: set[Workload] = set()
    for target in (*before, *named):
        workload = Workload.of(target)
        if workload not in images:
            result.append(target)
        elif workload not in done:  # two may name it, under two API versions
            done.add(workload)
            wanted = images[workload]
            kept = [image for image in target.images if image in wanted]
            update: dict[str, object] = {
                "images": [*kept, *sorted(wanted - set(kept))],
                "api_version": versions[workload],
            }
            if workload in saying:
                update["template"] = saying[workload].template
                fields = saying[workload].template_fields
                same = [each for each in target.template_fields if each in fields]
                update["template_fields"] = [*same, *(each for each in fields if each not in same)]
            result.append(target.model_copy(update=update))
    return result
