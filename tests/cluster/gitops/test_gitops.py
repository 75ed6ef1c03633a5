# SPDX-License-Identifier: Apache-2.0
"""The kustomize and Helm examples, rendered by the real tools and applied to the real API server;
and what GitOps tools do to intents, again and again."""

import json
import shutil

import pytest
import yaml

from cabgate_samples.objects import GOOD, MIDDLING, exception, intent, target, workload
from support.gate import denial
from support.gitops import ARGOCD, DOCS, FLUX, Overlay, helm, images_of, rendered

REGISTRY = "registry.example.com/shop"


@pytest.fixture
def overlay(cluster, namespace, tmp_path):
    """The kustomize example, for a namespace of ring 2."""
    made = Overlay(cluster, tmp_path)
    made.set(namespace=namespace)
    return made


def apply_as(gate, manager, obj, *args, check=True):
    """What a GitOps tool does to an object at each turn."""
    flags = ("--server-side", "--force-conflicts", f"--field-manager={manager}", *args)
    return gate.apply("requester", obj, *flags, check=check)


def diff_as(gate, manager, obj):
    """What a GitOps tool would change of an object."""
    flags = ("--server-side", "--force-conflicts", f"--field-manager={manager}")
    args = ("diff", "-f", "-", *flags)
    result = gate.kubectl("requester", *args, stdin=json.dumps(obj), check=False)
    assert result.returncode in (0, 1), result.stderr
    return result.stdout


def test_kustomize_images_and_names_reach_the_intent(overlay):
    overlay.set(
        namePrefix="eu-",
        nameSuffix="-blue",
        images=[
            {"name": f"{REGISTRY}/checkout", "newTag": "2.0", "digest": "sha256:" + "a" * 64},
            {"name": f"{REGISTRY}/migrate", "newName": "mirror.example.com/migrate"},
        ],
    )
    made = overlay.render()
    wanted = {f"{REGISTRY}/checkout:2.0@sha256:" + "a" * 64, "mirror.example.com/migrate:1.0"}
    assert images_of(made["Deployment"]) == wanted
    [found] = made["DeploymentIntent"]["spec"]["targets"]
    assert set(found["images"]) == wanted
    assert found["name"] == made["Deployment"]["metadata"]["name"] == "eu-checkout-blue"


def test_kustomize_reaches_the_name_of_every_kind_of_target(cluster, tmp_path):
    base = yaml.safe_load((DOCS / "kustomize" / "base" / "cabgate.yaml").read_text())
    kinds = [(each.get("group", ""), each["kind"]) for each in base["nameReference"]]
    versions = {"argoproj.io": "argoproj.io/v1alpha1", "": "v1"}
    for group, kind in kinds:
        version = versions.get(group, f"{group}/v1")
        named = {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}}
        declared = intent("x", targets=[target(["web:1"], kind=kind, api_version=version)])
        del declared["metadata"]["namespace"]
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "all.yaml").write_text(yaml.safe_dump_all([named, declared]))
        (folder / "cabgate.yaml").write_text(yaml.safe_dump(base))
        (folder / "kustomization.yaml").write_text(
            yaml.safe_dump(
                {
                    "resources": ["all.yaml"],
                    "configurations": ["cabgate.yaml"],
                    "namePrefix": "eu-",
                    "nameSuffix": "-x",
                }
            )
        )
        made = rendered(cluster.kubectl("kustomize", folder).stdout)
        names = [made["DeploymentIntent"]["spec"]["targets"][0]["name"], "eu-web-x"]
        assert names == [made[kind]["metadata"]["name"]] * 2, kind


def test_the_overlay_of_the_docs_passes_the_gate(gate, namespace, overlay):
    """The whole overlay as one, as Flux with its flag and Argo CD with its waves apply it."""
    made = overlay.render()
    first = apply_as(gate, FLUX, made["Deployment"], check=False)
    assert denial(first).startswith("NoRequest: ")
    apply_as(gate, FLUX, made["DeploymentIntent"])
    request = gate.request_of(namespace, "eu-checkout", "AutoApproved")
    assert request["spec"]["requester"] == "ann@example.com"
    apply_as(gate, FLUX, made["Deployment"])
    # A tag that the intent does not have yet.
    overlay.set(images=[{"name": f"{REGISTRY}/checkout", "newTag": "1.2"}])
    made = overlay.render()
    early = apply_as(gate, FLUX, made["Deployment"], check=False)
    assert denial(early).startswith("ImagesNotCovered: ")
    # The image alone, as a robot writes it: nothing was found of it, so a person decides.
    apply_as(gate, FLUX, made["DeploymentIntent"])
    gate.request_of(namespace, "eu-checkout", "Submitted")
    early = apply_as(gate, FLUX, made["Deployment"], check=False)
    assert denial(early).startswith("ReviewPending: ")
    overlay.release("1.2", *images_of(made["Deployment"]))
    apply_as(gate, FLUX, overlay.render()["DeploymentIntent"])
    gate.request_of(namespace, "eu-checkout", "AutoApproved")
    apply_as(gate, FLUX, made["Deployment"])
    live = gate.get("deployment", "eu-checkout", namespace)
    assert f"{REGISTRY}/checkout:1.2" in images_of(live)


def test_the_two_halves_of_the_overlay_are_the_whole(overlay):
    """What Flux takes in two Kustomizations."""
    whole = overlay.render()
    halves = [overlay.render(f"production-{part}") for part in ("intent", "workload")]
    assert [list(half) for half in halves] == [["DeploymentIntent"], ["Deployment"]]
    assert halves[0] | halves[1] == whole


def test_a_half_takes_images_of_its_own_and_the_intent_half_takes_nothing_else(overlay):
    """As Flux's `spec.images` sets them, in the kustomization that a Kustomization names."""
    production = overlay.folder / "overlays" / "production"
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    leave = exception("any", "eu-checkout-1")
    (production / "more.yaml").write_text(yaml.safe_dump_all([settings, leave]))
    overlay.set(resources=["../../base", "more.yaml"])
    for part in ("intent", "workload"):
        newer = [{"name": f"{REGISTRY}/checkout", "newTag": "1.9"}]
        overlay.set(f"production-{part}", images=newer)
    first, second = (overlay.render(f"production-{part}") for part in ("intent", "workload"))
    assert set(first) == {"DeploymentIntent", "CABException"}
    assert set(second) == {"Deployment", "ConfigMap"}
    [found] = first["DeploymentIntent"]["spec"]["targets"]
    assert set(found["images"]) == images_of(second["Deployment"])
    assert f"{REGISTRY}/checkout:1.9" in found["images"]


def test_flux_dry_runs_everything_first_and_so_never_applies_an_intent_beside_its_workload(
    gate, namespace, overlay
):
    """Why the workload needs a Kustomization, or a stage, after the intent's."""
    made = overlay.render()
    alone = apply_as(gate, FLUX, made["DeploymentIntent"], "--dry-run=server")
    assert "serverside-applied (server dry run)" in alone.stdout
    denied = apply_as(gate, FLUX, made["Deployment"], "--dry-run=server", check=False)
    assert denial(denied).startswith("NoRequest: ")
    assert gate.items("deploymentintent", namespace) == []
    assert gate.items("cabrequest", namespace) == []
    # The dry-run of an intent that stands opens nothing either.
    apply_as(gate, FLUX, made["DeploymentIntent"])
    gate.request_of(namespace, "eu-checkout", "AutoApproved")
    overlay.set(images=[{"name": f"{REGISTRY}/checkout", "newTag": "1.2"}])
    made = overlay.render()
    apply_as(gate, FLUX, made["DeploymentIntent"], "--dry-run=server")
    denied = apply_as(gate, FLUX, made["Deployment"], "--dry-run=server", check=False)
    assert denial(denied).startswith("ImagesNotCovered: ")
    assert len(gate.items("cabrequest", namespace)) == 1


def template(cluster, namespace, *sets):
    """What Helm renders of the example."""
    args = [arg for each in sets for arg in ("--set", each)]
    result = helm(cluster, "template", "any", DOCS / "helm", "-n", namespace, *args)
    assert result.returncode == 0, result.stderr
    return rendered(result.stdout)


def test_helm_renders_the_same_images_into_both(cluster):
    digest = "sha256:" + "b" * 64
    made = template(
        cluster, "shop", "images.checkout.tag=2.0", f"images.migrate.digest={digest}", "name=till"
    )
    wanted = {f"{REGISTRY}/checkout:2.0", f"{REGISTRY}/migrate@{digest}"}
    assert images_of(made["Deployment"]) == wanted
    [found] = made["DeploymentIntent"]["spec"]["targets"]
    assert set(found["images"]) == wanted
    assert found["name"] == made["Deployment"]["metadata"]["name"] == "till"
    linted = helm(cluster, "lint", "--strict", DOCS / "helm")
    assert linted.returncode == 0, linted.stdout


def test_what_helm_renders_passes_the_gate(gate, cluster, namespace):
    made = template(cluster, namespace)
    gate.apply("requester", made["DeploymentIntent"])
    gate.request_of(namespace, "checkout", "AutoApproved")
    gate.apply("requester", made["Deployment"])


def test_a_tag_alone_waits_for_a_person(gate, cluster, namespace):
    """Nothing fills the image in where the evidence says what it is about."""
    gate.apply("requester", template(cluster, namespace)["DeploymentIntent"])
    gate.request_of(namespace, "checkout", "AutoApproved")
    made = template(cluster, namespace, "images.checkout.tag=1.2")
    gate.apply("requester", made["DeploymentIntent"])
    request = gate.request_of(namespace, "checkout", "Submitted")
    missing = f"artifacts[].images: {REGISTRY}/checkout:1.2"
    assert request["spec"]["assessment"]["missing"] == [missing]


def release(gate, namespace, name, *args):
    """`helm upgrade --install` of the example, by the team."""
    return helm(
        gate.cluster,
        *("upgrade", "--install", name, DOCS / "helm", "-n", namespace, *args),
        user=gate.user("deployer"),
    )


def test_two_helm_releases_one_after_the_other(gate, namespace):
    gate.user("deployer")
    gate.bind("deployer", "admin", namespace)  # Helm keeps its releases in Secrets
    waits = ("--set", "only=intent", "--wait", "--timeout", "60s")
    first = release(gate, namespace, "checkout-intent", *waits)
    assert first.returncode == 0, first.stderr
    assert gate.get("deploymentintent", "checkout", namespace)["status"]["state"] == "AutoApproved"
    second = release(gate, namespace, "checkout", "--set", "only=workload")
    assert second.returncode == 0, second.stderr
    newer = ("--values", DOCS / "helm" / "release.yaml")
    early = release(gate, namespace, "checkout", "--set", "only=workload", *newer)
    assert "ImagesNotCovered: Deployment checkout" in early.stderr
    first = release(gate, namespace, "checkout-intent", *waits, *newer)
    assert first.returncode == 0, first.stderr
    second = release(gate, namespace, "checkout", "--set", "only=workload", *newer)
    assert second.returncode == 0, second.stderr


def test_one_helm_release_of_both_passes_at_the_next_try(gate, namespace):
    """Helm 4 stops at the denial, and has applied the intent all the same."""
    gate.user("deployer")
    gate.bind("deployer", "admin", namespace)
    later = ["ImagesNotCovered", "--values", DOCS / "helm" / "release.yaml"]
    for reason, *newer in (["NoRequest"], later):
        first = release(gate, namespace, "checkout", *newer)
        assert f"{reason}: Deployment checkout" in first.stderr
        gate.request_of(namespace, "checkout", "AutoApproved")
        again = release(gate, namespace, "checkout", *newer)
        assert again.returncode == 0, again.stderr


def test_repeated_applies_of_a_gitops_tool_change_nothing(gate, namespace):
    """Flux and Argo CD force conflicts; the submitters are the webhook's and not theirs."""
    obj = intent(namespace, evidence=MIDDLING)
    apply_as(gate, FLUX, obj)
    gate.request_of(namespace, state="Submitted")
    before = gate.get("deploymentintent", "web", namespace)
    for manager in (FLUX, ARGOCD, FLUX, ARGOCD):
        assert diff_as(gate, FLUX, obj) == "", manager
        apply_as(gate, manager, obj, "--dry-run=server")
        apply_as(gate, manager, obj)
    after = gate.get("deploymentintent", "web", namespace)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert (after["spec"], after["status"]) == (before["spec"], before["status"])
    apply_as(gate, FLUX, obj)
    again = gate.get("deploymentintent", "web", namespace)
    assert again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    # The same after a decision, when a change of the content would begin the list anew.
    name = after["status"]["requestName"]
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    gate.request_of(namespace, state="Approved")
    for manager in (FLUX, ARGOCD):
        assert diff_as(gate, manager, obj) == "", manager
        apply_as(gate, manager, obj)
    last = gate.get("deploymentintent", "web", namespace)
    assert last["metadata"]["generation"] == before["metadata"]["generation"]
    assert last["spec"] == before["spec"]
    assert last["status"]["state"] == "Approved"


def test_repeated_plain_applies_change_nothing_either(gate, namespace):
    """By client-side apply, as Argo CD does unless told otherwise."""
    obj = intent(namespace, evidence=MIDDLING)
    gate.apply("requester", obj)
    gate.request_of(namespace, state="Submitted")
    before = gate.get("deploymentintent", "web", namespace)
    for _ in range(2):
        diff = gate.kubectl("requester", "diff", "-f", "-", stdin=json.dumps(obj), check=False)
        assert (diff.returncode, diff.stdout) == (0, ""), diff.stderr
        gate.apply("requester", obj)
    after = gate.get("deploymentintent", "web", namespace)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_a_drift_is_seen_and_put_right(gate, namespace):
    """And a release by the tool alone is another generation: no more and no less."""
    obj = intent(namespace, evidence=MIDDLING)
    apply_as(gate, FLUX, obj)
    gate.request_of(namespace, state="Submitted")
    body = {"spec": {"summary": "by hand"}}
    gate.patch("requester", "deploymentintent", "web", namespace, body)
    newer = intent(namespace, evidence=MIDDLING, summary="from Git")
    assert "summary: from Git" in diff_as(gate, FLUX, newer)
    before = gate.get("deploymentintent", "web", namespace)["metadata"]["generation"]
    apply_as(gate, FLUX, newer)
    assert diff_as(gate, FLUX, newer) == ""
    after = gate.get("deploymentintent", "web", namespace)
    assert after["metadata"]["generation"] == before + 1
    assert after["spec"]["summary"] == "from Git"


def test_a_workload_that_passed_shows_no_drift_either(gate, namespace):
    obj = workload(namespace)
    apply_as(gate, FLUX, intent(namespace))
    gate.request_of(namespace, state="AutoApproved")
    apply_as(gate, FLUX, obj)
    before = gate.get("deployment", "web", namespace)["metadata"]["generation"]
    for manager in (FLUX, ARGOCD):
        apply_as(gate, manager, obj)
        assert diff_as(gate, manager, obj) == ""
    assert gate.get("deployment", "web", namespace)["metadata"]["generation"] == before


def test_what_a_tool_applies_is_edited_in_git(gate, namespace):
    apply_as(gate, FLUX, intent(namespace, evidence=MIDDLING))
    request = gate.request_of(namespace, "web", "Submitted")
    assert request["spec"]["intentRef"]["appliedBy"] == "Flux"
    other = workload(namespace, images=["web:other"])
    message = denial(gate.apply("requester", other, check=False))
    assert message.startswith("ImagesNotCovered: ")
    assert message.endswith("edit DeploymentIntent web in Git, from where Flux applies it")


def test_a_chart_with_a_hook_gets_its_approval_by_an_intent_of_its_own(gate, namespace, tmp_path):
    """As docs/gitops/helm has it. No kubelet runs the Job, so it is one that needs no Pod."""
    chart = tmp_path / "chart"
    shutil.copytree(DOCS / "helm", chart)
    hook = chart / "templates" / "hook.yaml"
    hook.write_text(hook.read_text().replace("spec:\n", "spec:\n  completions: 0\n", 1))
    gate.user("deployer")
    gate.bind("deployer", "admin", namespace)

    def upgrade(name, *args):
        return helm(
            gate.cluster,
            *("upgrade", "--install", name, chart, "-n", namespace, "--set", "hook=true", *args),
            user=gate.user("deployer"),
        )

    for _ in range(2):
        alone = upgrade("checkout")
        assert "NoRequest: Job checkout-migrate" in alone.stderr
        assert gate.items("deploymentintents", namespace) == []
    waits = ("--set", "only=intent", "--wait", "--timeout", "60s")
    first = upgrade("checkout-intent", *waits)
    assert first.returncode == 0, first.stderr
    second = upgrade("checkout", "--set", "only=workload")
    assert second.returncode == 0, second.stderr
    assert gate.get("deployment", "checkout", namespace)


def test_what_deletes_first_leaves_nothing_where_the_new_one_is_denied(gate, namespace):
    """As docs/limits.md says of `kubectl replace --force`; its dry run deletes nothing."""
    gate.open(namespace, GOOD, "AutoApproved")
    gate.create("requester", workload(namespace))
    new = json.dumps(workload(namespace, images=["web:2"]))
    replace = ("replace", "--force", "-f", "-")
    dry = gate.kubectl(
        "requester", "replace", "-f", "-", "--dry-run=server", stdin=new, check=False
    )
    assert "ImagesNotCovered: " in dry.stderr
    assert gate.get("deployment", "web", namespace)
    denied = gate.kubectl("requester", *replace, stdin=new, check=False)
    assert "ImagesNotCovered: " in denied.stderr
    assert gate.items("deployments", namespace) == []
    gate.create("requester", workload(namespace))
