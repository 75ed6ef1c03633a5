# SPDX-License-Identifier: Apache-2.0
"""docs/gitops/argocd.md, walked with Argo CD's real application-controller and repo-server: `make
test-gitops`, which builds them. The seconds that it took are a table of docs/gitops."""

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import exception
from support.argocd import ArgoCD, missing
from support.argocd_shop import WAVE, ArgoShop
from support.gate import install
from support.kubelet import Kubelet
from support.team import IMAGE, INTENT

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(missing()), reason=missing())]


def _layout(name):
    return pytest.param(name, marks=pytest.mark.xdist_group(f"argocd-{name}"))


RETRIES = pytest.mark.parametrize("layout", [_layout("retries")])
WAVES = pytest.mark.parametrize("layout", [_layout("waves")])
LAYOUTS = pytest.mark.parametrize("layout", [_layout("retries"), _layout("waves")])


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running, Kubelet(running):
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    return install(cluster)


@pytest.fixture(scope="module")
def argocd(gate, tmp_path_factory):
    with ArgoCD(gate.cluster, tmp_path_factory.mktemp("argocd")) as running:
        yield running


@pytest.fixture
def shop(argocd, gate, namespace, tmp_path, layout, record_property):
    return ArgoShop(gate, namespace, tmp_path, layout, record_property)


@pytest.fixture
def installed(shop):
    """A team whose first release runs, approved by its score."""
    shop.wait_rolled_out("1.1", shop.push("first release"))
    return shop


def waiting(shop, tag="1.2"):
    """The request of a release that a robot pushed, once Argo CD waits for a person."""
    shop.tag(tag)
    revision = shop.push(f"{tag}, by a robot")
    request = shop.wait_for_person(tag)
    shop.wait_tried(revision)
    return request, revision


@LAYOUTS
def test_the_first_release_at_low_risk_needs_nobody(shop):
    step = "first release at low risk: after the push"
    shop.wait_rolled_out("1.1", shop.push("first release"), step)
    assert shop.request("AutoApproved")


@LAYOUTS
def test_what_waits_for_a_person_follows_the_approval(installed):
    request, revision = waiting(installed)
    installed.wait_health("Suspended")
    if installed.layout == "retries":
        installed.wait_told("ReviewPending: Deployment eu-checkout")
    assert f"{IMAGE}:1.2" not in installed.images()
    installed.decide(request)
    installed.wait_rolled_out("1.2", revision, "waits for a person: after the approval")


@LAYOUTS
def test_a_new_image_with_its_evidence_needs_nobody(installed):
    installed.release("1.2")
    installed.wait_rolled_out(
        "1.2",
        installed.push("1.2 and its evidence"),
        "image and evidence at low risk: after the push",
    )


@RETRIES
def test_a_revert_passes_while_another_release_waits(installed):
    installed.release("1.2")
    installed.wait_rolled_out("1.2", installed.push("1.2 and its evidence"))
    waiting(installed, "1.3")
    step = "`git revert` while another release waits: after the push"
    installed.wait_rolled_out("1.1", installed.revert(2), step)


@WAVES
def test_with_waves_a_revert_comes_after_the_waiting_sync_is_ended(installed):
    installed.release("1.2")
    installed.wait_rolled_out("1.2", installed.push("1.2 and its evidence"))
    _, waits = waiting(installed, "1.3")
    revision = installed.revert(2)
    installed.refresh()
    installed.wait_tried(waits)
    assert f"{IMAGE}:1.2" in installed.images()
    installed.terminate()
    step = "`git revert` while another release waits: after the end of the waiting sync"
    installed.wait_rolled_out("1.1", revision, step)


@LAYOUTS
def test_after_a_rejection_a_new_commit_is_taken_up(installed):
    """It has the image of the init container in common with what was rejected, so that a person
    decides again, however good its evidence is."""
    request, _ = waiting(installed)
    installed.decide(request, "Rejected")
    installed.wait_health("Degraded")
    if installed.layout == "retries":
        installed.wait_told("Rejected: Deployment eu-checkout")
    installed.release("1.3")
    revision = installed.push("1.3 and its evidence")
    installed.decide(installed.wait_for_person("1.3"))
    step = "rejected, then a new commit: after its approval"
    installed.wait_rolled_out("1.3", revision, step)


@LAYOUTS
def test_an_exception_goes_beside_its_intent(installed):
    installed.release("1.2")
    installed.write_evidence(
        testResults={"coveragePercent": 10, "passed": 1, "failed": 9},
        scanResults={"critical": 9, "high": 9},
        manualTesting={"status": "NotStarted"},
        scope={"affectedComponents": 50},
    )
    installed.push("1.2, which nobody should want")
    request = installed.request("ExceptionRequired", [f"{IMAGE}:1.2"])
    leave = exception(installed.namespace, request)
    if installed.layout == "waves":
        leave["metadata"]["annotations"] = {WAVE: "-1"}
    installed.write("exception.yaml", leave)
    revision = installed.push("an exception for 1.2")
    gate, name = installed.gate, "eu-leave"
    gate.wait_state("cabexception", name, installed.namespace, "Pending", timeout=150)
    gate.review("security", "cabexception", name, installed.namespace, "Approved")
    gate.wait_state("cabexception", name, installed.namespace, "Approved")
    installed.wait_rolled_out("1.2", revision, "exception in Git: after its approval")


@LAYOUTS
def test_what_waits_beside_a_workload(installed):
    """A scale in Git waits with its image. A setting beside it is applied and kept as Git has it,
    and waits only where there are waves."""
    installed.tag("1.2")
    setting = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    installed.write("settings.yaml", {**setting, "data": {"colour": "blue"}})
    installed.patch_workload(replicas=3)
    revision = installed.push("1.2, a setting and a scale")
    request = installed.wait_for_person("1.2")
    installed.wait_tried(revision)
    if installed.layout == "retries":
        wait_until(lambda: installed.has("configmaps", "eu-settings"), "the setting")
        body = {"data": {"colour": "red"}}
        installed.gate.patch("requester", "configmap", "eu-settings", installed.namespace, body)

        def put_right():
            found = installed.gate.get("configmap", "eu-settings", installed.namespace)
            return found["data"] == {"colour": "blue"}

        wait_until(put_right, "the next try puts the drift right", 120)
    else:
        assert not installed.has("configmaps", "eu-settings")
    assert installed.replicas() == 1
    installed.decide(request)
    installed.wait_rolled_out("1.2", revision)
    assert installed.has("configmaps", "eu-settings")
    assert installed.replicas() == 3


@RETRIES
def test_a_drift_of_the_scale_is_put_right_where_self_heal_is_on(installed):
    installed.patch_workload(replicas=2)
    installed.wait_rolled_out("1.1", installed.push("two replicas"))
    scale = ("scale", "deployment", INTENT, "-n", installed.namespace, "--replicas=5")
    installed.gate.kubectl("requester", *scale)
    installed.refresh()
    assert installed.replicas() == 5
    installed.set_policy(automated={"selfHeal": True})
    wait_until(lambda: installed.replicas() == 2, "the scale of Git", 120)


@LAYOUTS
def test_what_git_has_no_more_is_pruned(installed):
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}
    installed.write("kept.yaml", kept)
    installed.overlay.set(resources=["kept.yaml"], patches=[], images=[], transformers=[])
    revision = installed.push("the shop closes")
    wait_until(lambda: not installed.has("deployments", INTENT), "the workload is pruned", 90)
    wait_until(lambda: not installed.has("deploymentintents", INTENT), "the intent is pruned", 90)
    installed.wait_applied(revision, 90)


@LAYOUTS
def test_images_of_the_application_reach_the_intent(installed):
    installed.set_image("1.2")
    request = installed.wait_for_person("1.2")
    installed.decide(request)
    wait_until(lambda: f"{IMAGE}:1.2" in installed.images(), "the image of the Application", 120)


@RETRIES
def test_images_of_the_application_that_change_while_a_release_waits_come_after_it(installed):
    installed.set_image("1.2")
    installed.wait_for_person("1.2")
    tries = installed.tries()
    installed.set_image("1.3")
    wait_until(lambda: installed.tries() > tries + 1, "two more tries", 120)
    assert f"{IMAGE}:1.2" in installed.declared()
    installed.terminate()
    installed.wait_for_person("1.3")


@RETRIES
def test_exhausted_retries_are_never_taken_up(installed):
    installed.set_policy(retry={"limit": 1, "backoff": {"duration": "1s"}})
    request, revision = None, None
    installed.tag("1.2")
    revision = installed.push("1.2, by a robot")
    request = installed.wait_for_person("1.2")
    installed.wait_tried(revision, "Failed")
    installed.decide(request)
    installed.refresh()
    installed.wait_tried(revision, "Failed")
    assert f"{IMAGE}:1.2" not in installed.images()
    installed.sync()
    step = "retries exhausted: after the approval and a sync by hand"
    installed.wait_rolled_out("1.2", revision, step)


@LAYOUTS
def test_after_the_sync_timeout_an_approval_is_not_followed(installed, argocd):
    with argocd.flags("--sync-timeout=20"):
        installed.tag("1.2")
        revision = installed.push("1.2, by a robot")
        request = installed.wait_for_person("1.2")
        installed.wait_timed_out(revision)
        installed.decide(request)
        installed.refresh()
        installed.wait_tried(revision, "Failed")
        assert f"{IMAGE}:1.2" not in installed.images()
        installed.sync()
        step = "sync timeout over: after the approval and a sync by hand"
        installed.wait_rolled_out("1.2", revision, step)


@RETRIES
def test_self_heal_undoes_a_break(installed):
    installed.set_policy(automated={"selfHeal": True})
    installed.break_glass("1.9")
    wait_until(lambda: f"{IMAGE}:1.1" in installed.images(), "what was broken is undone", 120)


@LAYOUTS
def test_a_break_stands_until_what_git_has_is_approved(installed):
    installed.set_policy(automated={"selfHeal": True})
    installed.command('"automated":null')
    installed.break_glass("1.9")
    installed.refresh()
    assert f"{IMAGE}:1.9" in installed.images()
    installed.tag("1.9")
    revision = installed.push("1.9, the fix")
    installed.set_policy(automated={"prune": True, "selfHeal": True})
    request = installed.wait_for_person("1.9")
    # What runs already is not rolled out anew, so without waves nothing is left to wait for.
    installed.wait_tried(revision, "Succeeded" if installed.layout == "retries" else "Running")
    assert f"{IMAGE}:1.9" in installed.images()
    installed.decide(request)
    installed.wait_rolled_out("1.9", revision, "end of a break, the fix in Git: after its approval")


@LAYOUTS
def test_a_sync_that_waits_goes_on_without_automated(installed):
    """So before a break it is ended, too."""
    request, revision = waiting(installed)
    installed.command('"automated":null')
    installed.refresh()
    installed.wait_tried(revision)
    installed.terminate()
    installed.decide(request)
    installed.refresh()
    assert f"{IMAGE}:1.2" not in installed.images()
