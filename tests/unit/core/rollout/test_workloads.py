# SPDX-License-Identifier: Apache-2.0
"""What an object of each gated kind rolls out, and under whose name it can be approved."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.kinds import BUILT_IN, GatedKind
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import (
    GatedKindError,
    configured_kind,
    kind_of,
    reference_of,
    rollout_of,
)

KINDS = {kind.kind: kind for kind in BUILT_IN}
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True)


def pod(*images: str, **fields: Any) -> dict[str, Any]:
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {"spec": {"containers": containers, **fields}}


def made(kind: GatedKind, template: Any, **metadata: Any) -> dict[str, Any]:
    """An object of a kind whose pod template is as given."""
    found: dict[str, Any] = {"apiVersion": kind.api_version, "kind": kind.kind}
    here = found
    path = kind.templates[0]
    if not path:
        found |= template
    else:
        *steps, last = path.split(".")
        for step in steps:
            here = here.setdefault(step, {})
        here[last] = template
    return {**found, "metadata": {"name": "web", **metadata}}


def rolled_out(kind: GatedKind, obj: Any, old: Any = None, referred: Any = None) -> Any:
    return rollout_of(kind, "shop", obj, old, referred)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_every_image_of_every_kind_counts(kind: GatedKind) -> None:
    template = pod(
        "a",
        initContainers=[{"image": "init"}, {"image": "sidecar", "restartPolicy": "Always"}],
        ephemeralContainers=[{"image": "debug"}],
        volumes=[{"name": "v", "image": {"reference": "volume"}}, {"name": "e", "emptyDir": {}}],
    )
    found = rolled_out(kind, made(kind, template))
    assert found.images == ("a", "debug", "init", "sidecar", "volume")
    assert found.workload == Workload(kind.group, kind.kind, "web")
    assert found.also == ()


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("template", [None, [], "x", {}, {"spec": {}}, {"spec": {"containers": 1}},
                                      {"spec": {"containers": [{"name": "c"}]}}])  # fmt: skip
def test_a_kind_without_a_readable_pod_template_is_an_error(kind: GatedKind, template: Any) -> None:
    if kind.is_pod and not isinstance(template, dict):
        return  # the object itself is always an object
    with pytest.raises(PodTemplateError):
        rolled_out(kind, made(kind, template))


def test_of_a_pod_that_exists_only_new_images_count() -> None:
    kind = KINDS["Pod"]
    old = made(kind, pod("a", "b"))
    assert rolled_out(kind, made(kind, pod("b", "a")), old).images == ()
    assert rolled_out(kind, made(kind, pod("a", "evil")), old).images == ("evil",)
    debugged = made(kind, pod("a", "b", ephemeralContainers=[{"image": "debug"}]))
    assert rolled_out(kind, debugged, old).images == ("debug",)


def test_of_everything_else_that_exists_all_images_count() -> None:
    kind = KINDS["Deployment"]
    old = made(kind, pod("a", "b"))
    assert rolled_out(kind, made(kind, pod("a", "c")), old).images == ("a", "c")


@pytest.mark.parametrize("name", ["Job", "Pod"])
def test_a_generated_name_is_told_by_its_prefix(name: str) -> None:
    kind = KINDS[name]
    obj = made(kind, pod("a"), name="migrate-x7k2p", generateName="migrate-")
    assert rolled_out(kind, obj).workload.name == "migrate-*"
    # What exists has the name it has: a Pod of a ReplicaSet was never created by hand.
    assert rolled_out(kind, obj, obj).workload.name == "migrate-x7k2p"
    chosen = made(kind, pod("a"), name="other", generateName="migrate-")
    assert rolled_out(kind, chosen).workload.name == "other"


def test_a_generated_name_of_another_kind_is_no_prefix() -> None:
    kind = KINDS["Deployment"]
    obj = made(kind, pod("a"), name="web-x7k2p", generateName="web-")
    assert rolled_out(kind, obj).workload.name == "web-x7k2p"


def test_a_job_from_a_cron_job_is_approved_as_either() -> None:
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "controller": True}
    found = rolled_out(KINDS["Job"], made(KINDS["Job"], pod("a"), ownerReferences=[owner]))
    assert found.workloads == (
        Workload("batch", "Job", "web"),
        Workload("batch", "CronJob", "nightly"),
    )


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
@pytest.mark.parametrize(
    ("api_version", "owner"), [("apps/v1", "Deployment"), ("apps/v1", "ReplicaSet"),
                               ("evil/v1", "CronJob"), ("batch/v1", "Job")]
)  # fmt: skip
def test_no_other_owner_lends_its_name(kind: GatedKind, api_version: str, owner: str) -> None:
    reference = {"apiVersion": api_version, "kind": owner, "name": "web", "controller": True}
    assert rolled_out(kind, made(kind, pod("a"), ownerReferences=[reference])).also == ()


def referring(kind: str, api_version: str = "apps/v1", **spec: Any) -> dict[str, Any]:
    reference = {"apiVersion": api_version, "kind": kind, "name": "web"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "ro"},
        "spec": {"workloadRef": reference, **spec},
    }


def test_a_rollout_that_refers_takes_the_images_of_what_it_refers_to() -> None:
    obj = referring("Deployment")
    found = rolled_out(KINDS["Rollout"], obj, None, made(KINDS["Deployment"], pod("a")))
    assert found.images == ("a",)
    assert found.workloads == (
        Workload("argoproj.io", "Rollout", "ro"),
        Workload("apps", "Deployment", "web"),
    )
    both = referring("Deployment", template=pod("own"))
    found = rolled_out(KINDS["Rollout"], both, None, made(KINDS["Deployment"], pod("a")))
    assert found.images == ("a", "own")
    assert rolled_out(KINDS["Rollout"], obj).images == ()


@pytest.mark.parametrize(("kind", "api_version"), [("Secret", "v1"), ("Deployment", "evil/v1"),
                                                   ("StatefulSet", "apps/v1")])  # fmt: skip
def test_a_rollout_refers_to_nothing_that_is_not_gated(kind: str, api_version: str) -> None:
    with pytest.raises(PodTemplateError, match=r"spec\.workloadRef: .* allowed: Deployment"):
        reference_of(KINDS["Rollout"], referring(kind, api_version))


@pytest.mark.parametrize("name", ["../../other/deployments/web", "..%2fweb", "web?a=b", "web#",
                                  "..", "WEB", "web\n", "a/b", "x" * 254])  # fmt: skip
def test_a_rollout_refers_by_nothing_that_would_lead_elsewhere_in_a_url(name: str) -> None:
    obj = referring("Deployment")
    obj["spec"]["workloadRef"]["name"] = name
    with pytest.raises(PodTemplateError, match=r"spec\.workloadRef\.name: "):
        reference_of(KINDS["Rollout"], obj)


def test_a_configured_kind_may_have_several_templates_in_lists() -> None:
    kind = configured_kind(
        "jobset.x-k8s.io/JobSet=spec.replicatedJobs[*].template.spec.template, spec.leader"
    )
    jobs = [{"template": {"spec": {"template": pod(image)}}} for image in ("a", "b")]
    obj = {"metadata": {"name": "s"}, "spec": {"replicatedJobs": jobs, "leader": pod("c")}}
    assert rolled_out(kind, obj).images == ("a", "b", "c")
    obj["spec"].pop("leader")
    assert rolled_out(kind, obj).images == ("a", "b")
    with pytest.raises(PodTemplateError, match=r"spec\.replicatedJobs: not a list"):
        rolled_out(kind, {"metadata": {}, "spec": {"replicatedJobs": {}}})
    with pytest.raises(PodTemplateError, match="no pod template"):
        rolled_out(kind, {"metadata": {}, "spec": {}})
    assert kind_of("jobset.x-k8s.io/v1alpha2", "JobSet", [kind]) is kind
    assert kind_of("jobset.x-k8s.io/v1alpha2", "JobSet") is None


@pytest.mark.parametrize(
    "text", ["", "CloneSet=spec.template", "apps.kruise.io/CloneSet", "a.b/C=", "a.b/C=spec..x",
             "a.b/C=[*]", "apps/Deployment=spec.template", "/C=x", "a.b/=x", "a.b/C=x,"]
)  # fmt: skip
def test_a_kind_that_cannot_be_gated_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(GatedKindError, match=r"allowed|gated already|empty step"):
        configured_kind(text)


@given(NAMES, NAMES, st.lists(NAMES, min_size=1, max_size=3))
def test_what_a_setting_names_is_read_from_where_it_says(
    group: str, name: str, path: list[str]
) -> None:
    kind = configured_kind(f"{group}.io/{name.title()}={'.'.join(path)}")
    assert rolled_out(kind, made(kind, pod("a"))).images == ("a",) or path[0] == "metadata"


def owned(api_version: str, kind: str, name: str, **labels: str) -> dict[str, Any]:
    """Metadata of a Pod that says it was made by something."""
    owner = {"apiVersion": api_version, "kind": kind, "name": name, "controller": True}
    return {"ownerReferences": [owner], "labels": labels}


DEPLOYMENT = Workload("apps", "Deployment", "web")
REPLICA_SET = Workload("apps", "ReplicaSet", "web-5d4f")
ROLLOUT = Workload("argoproj.io", "Rollout", "web")
HASHED = {"pod-template-hash": "5d4f"}


@pytest.mark.parametrize(
    ("metadata", "makers"),
    [
        (owned("apps/v1", "ReplicaSet", "web-5d4f", **HASHED), (REPLICA_SET, DEPLOYMENT)),
        (
            owned("apps/v1", "ReplicaSet", "web-5d4f", **{"rollouts-pod-template-hash": "5d4f"}),
            (REPLICA_SET, ROLLOUT),
        ),
        (owned("apps/v1", "ReplicaSet", "web-5d4f"), (REPLICA_SET,)),
        (owned("apps/v1", "ReplicaSet", "web", **HASHED), (Workload("apps", "ReplicaSet", "web"),)),
        (owned("apps/v1", "StatefulSet", "db"), (Workload("apps", "StatefulSet", "db"),)),
        (
            owned("batch/v1", "Job", "nightly-29387520"),
            (
                Workload("batch", "Job", "nightly-29387520"),
                Workload("batch", "CronJob", "nightly"),
            ),
        ),
        (owned("batch/v1", "Job", "migrate"), (Workload("batch", "Job", "migrate"),)),
        (
            owned("batch/v1", "Job", "train-x7k2p"),
            (Workload("batch", "Job", "train-x7k2p"), Workload("batch", "Job", "train-*")),
        ),
        ({"name": "shell-x7k2p", "generateName": "shell-"}, (Workload("", "Pod", "shell-*"),)),
        (owned("apps.kruise.io/v1alpha1", "CloneSet", "web"), ()),
        (owned("example.com/v1", "ReplicaSet", "web-5d4f", **HASHED), ()),
        (owned("v1", "Pod", "web"), ()),
        ({"ownerReferences": [{"kind": "StatefulSet", "apiVersion": "apps/v1", "name": "db"}]}, ()),
        ({}, ()),
    ],
)
def test_a_running_pod_may_run_what_is_approved_for_what_made_it(
    metadata: dict[str, Any], makers: tuple[Workload, ...]
) -> None:
    kind = KINDS["Pod"]
    old = made(kind, pod("web:1"), **metadata)
    new = made(kind, pod("web:1", ephemeralContainers=[{"image": "busybox"}]), **metadata)
    found = rolled_out(kind, new, old)
    assert (found.images, found.also) == (("busybox",), makers)
    # What it says only now lends nothing, and a new Pod is covered under its own name alone: that,
    # and its prefix where it was generated.
    assert rolled_out(kind, new, made(kind, pod("web:1"))).also == ()
    own = Workload("", "Pod", new["metadata"].get("name", ""))
    found = rolled_out(kind, new)
    assert found.also == (() if found.workload == own else (own,))


def test_a_pod_of_a_kind_that_is_gated_by_configuration_may_run_what_is_approved_for_it() -> None:
    kind, clones = KINDS["Pod"], configured_kind("apps.kruise.io/CloneSet=spec.template")
    metadata = owned("apps.kruise.io/v1beta1", "CloneSet", "web")
    old = made(kind, pod("web:1"), **metadata)
    new = made(kind, pod("web:1", ephemeralContainers=[{"image": "busybox"}]), **metadata)
    found = rollout_of(kind, "shop", new, old, configured=[clones])
    assert found.also == (Workload("apps.kruise.io", "CloneSet", "web"),)


def test_owners_that_cannot_be_read_are_a_doubt() -> None:
    for kind in (KINDS["Pod"], KINDS["Job"]):
        obj = made(kind, pod("web:1"), ownerReferences={"kind": "CronJob"})
        with pytest.raises(PodTemplateError, match="ownerReferences: not a list"):
            rolled_out(kind, obj, obj)
