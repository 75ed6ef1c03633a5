# SPDX-License-Identifier: Apache-2.0
"""docs/gitops/flux.md, walked with Flux's real kustomize-controller. What takes long is in `make
test-gitops` alone, and the seconds that it took are a table of that page."""

import pytest

from cabgate_devcluster import DevCluster, program_at_hand, wait_until
from cabgate_samples.objects import exception
from support.flux import Flux
from support.flux_shop import FluxShop
from support.gate import install
from support.kubelet import Kubelet
from support.team import IMAGE, INTENT

pytestmark = pytest.mark.skipif(
    not program_at_hand("kustomize-controller"),
    reason="Flux's kustomize-controller is not built: make flux-tools",
)


def _layout(name):
    return pytest.param(name, marks=pytest.mark.xdist_group(name))


ONE = pytest.mark.parametrize("layout", [_layout("one")])
TWO = pytest.mark.parametrize("layout", [_layout("two")])
LAYOUTS = pytest.mark.parametrize("layout", [_layout("one"), _layout("two")])


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running, Kubelet(running):
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    return install(cluster)


@pytest.fixture(scope="module")
def flux(gate, tmp_path_factory):
    with Flux(gate.cluster, tmp_path_factory.mktemp("flux")) as running:
        yield running


@pytest.fixture
def shop(flux, gate, namespace, tmp_path, layout, record_property):
    return FluxShop(flux, gate, namespace, tmp_path, layout, record_property)


@pytest.fixture
def installed(shop):
    """A team whose first release runs, approved by its score."""
    shop.wait_rolled_out("1.1", shop.push("first release"))
    return shop


@LAYOUTS
def test_the_first_release_at_low_risk_needs_nobody(shop):
    shop.wait_rolled_out(
        "1.1", shop.push("first release"), "first release at low risk: after the push"
    )
    assert shop.request("AutoApproved")


@LAYOUTS
def test_what_waits_for_a_person_follows_the_approval(installed):
    installed.tag("1.2")
    revision = installed.push("1.2, by a robot")
    request = installed.wait_for_person("1.2")
    if installed.layout == "one":
        installed.flux.wait_told(installed.last, "ReviewPending: Deployment eu-checkout")
    assert f"{IMAGE}:1.2" not in installed.images()
    installed.decide(request)
    installed.follow()
    installed.wait_rolled_out("1.2", revision, "waits for a person: after the approval")


@LAYOUTS
@pytest.mark.long
def test_a_new_image_with_its_evidence_needs_nobody(installed):
    installed.release("1.2")
    installed.wait_rolled_out(
        "1.2",
        installed.push("1.2 and its evidence"),
        "image and evidence at low risk: after the push",
    )


@ONE
@pytest.mark.long
def test_an_approval_that_nobody_tells_flux_of_is_followed_at_the_next_retry(installed):
    installed.tag("1.2")
    revision = installed.push("1.2, by a robot")
    installed.decide(installed.wait_for_person("1.2"))
    step = "waits for a person: after the approval, told by nobody"
    installed.wait_rolled_out("1.2", revision, step)


@LAYOUTS
@pytest.mark.long
def test_a_revert_passes_while_another_release_waits(installed):
    installed.release("1.2")
    installed.wait_rolled_out("1.2", installed.push("1.2 and its evidence"))
    installed.tag("1.3")
    waits = installed.push("1.3, by a robot")
    installed.wait_for_person("1.3")
    installed.wait_seen(waits)
    step = "`git revert` while another release waits: after the push"
    installed.wait_rolled_out("1.1", installed.revert(2), step)


@TWO
@pytest.mark.long
def test_without_the_feature_gate_a_newer_commit_waits_for_the_timeout(installed):
    with installed.flux.flags():
        installed.set_kustomization(installed.first, timeout="5s")
        installed.tag("1.2")
        installed.push("1.2, by a robot")
        installed.wait_for_person("1.2")
        seen = ("timeout waiting for: [DeploymentIntent/", "status: 'InProgress'")
        installed.flux.wait_told(installed.first, *seen)
        installed.set_kustomization(installed.first, timeout="30s")
        installed.wait_checking()
        step = "the same without the three flags, with `timeout: 30s`"
        installed.wait_rolled_out("1.1", installed.revert(), step)


@LAYOUTS
@pytest.mark.long
def test_after_a_rejection_a_new_commit_is_taken_up(installed):
    """It has the image of the init container in common with what was rejected, so that a person
    decides again, however good its evidence is."""
    installed.tag("1.2")
    installed.push("1.2, by a robot")
    installed.decide(installed.wait_for_person("1.2"), "Rejected")
    if installed.layout == "one":
        installed.reconcile()
        installed.flux.wait_told(installed.last, "Rejected: Deployment eu-checkout")
    else:
        installed.flux.wait_told(installed.first, "Failed")
    installed.release("1.3")
    revision = installed.push("1.3 and its evidence")
    installed.decide(installed.wait_for_person("1.3"))
    installed.follow()
    step = "rejected, then a new commit: after its approval"
    installed.wait_rolled_out("1.3", revision, step)


@LAYOUTS
@pytest.mark.long
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
    installed.write("exception.yaml", leave)
    revision = installed.push("an exception for 1.2")
    gate, name = installed.gate, "eu-leave"
    gate.wait_state("cabexception", name, installed.namespace, "Pending", timeout=150)
    gate.review("security", "cabexception", name, installed.namespace, "Approved")
    gate.wait_state("cabexception", name, installed.namespace, "Approved")
    installed.follow()
    installed.wait_rolled_out("1.2", revision, "exception in Git: after its approval")


@LAYOUTS
@pytest.mark.long
def test_everything_beside_a_workload_waits_with_it(installed):
    """A setting, and a scale that Git undoes elsewhere."""
    installed.tag("1.2")
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    installed.write("settings.yaml", settings)
    installed.patch_workload(replicas=3)
    revision = installed.push("1.2, a setting and a scale")
    request = installed.wait_for_person("1.2")
    installed.wait_seen(revision)
    installed.reconcile()
    assert not installed.has("configmaps", "eu-settings")
    assert installed.replicas() == 1
    installed.decide(request)
    installed.follow()
    installed.wait_rolled_out("1.2", revision)
    assert installed.has("configmaps", "eu-settings")
    assert installed.replicas() == 3


@LAYOUTS
@pytest.mark.long
def test_a_drift_of_the_scale_is_put_right(installed):
    installed.patch_workload(replicas=2)
    installed.wait_rolled_out("1.1", installed.push("two replicas"))
    scale = ("scale", "deployment", INTENT, "-n", installed.namespace, "--replicas=5")
    installed.gate.kubectl("requester", *scale)
    installed.reconcile()
    wait_until(lambda: installed.replicas() == 2, "the scale of Git")


@LAYOUTS
@pytest.mark.long
def test_what_git_has_no_more_is_pruned(installed):
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}
    installed.write("kept.yaml", kept)
    installed.overlay.set(resources=["kept.yaml"], patches=[], images=[], transformers=[])
    for half in ("intent", "workload"):
        installed.overlay.set(f"production-{half}", transformers=[])
    revision = installed.push("the shop closes")
    wait_until(lambda: not installed.has("deployments", INTENT), "the workload is pruned", 90)
    wait_until(lambda: not installed.has("deploymentintents", INTENT), "the intent is pruned", 90)
    installed.flux.wait_applied(installed.last, revision)


@LAYOUTS
@pytest.mark.long
def test_images_of_the_kustomization_reach_the_intent(installed):
    for name in {installed.first, installed.last}:
        installed.set_kustomization(name, images=[{"name": IMAGE, "newTag": "1.2"}])
    request = installed.wait_for_person("1.2")
    installed.decide(request)
    installed.follow()
    wait_until(lambda: f"{IMAGE}:1.2" in installed.images(), "the image of spec.images", 120)


@pytest.fixture
def broken(installed):
    """A team that has paused Flux, and broken the glass to run 1.9."""
    for each in {installed.first, installed.last}:
        installed.set_kustomization(each, suspend=True)
    installed.break_glass("1.9")
    assert f"{IMAGE}:1.9" in installed.images()
    return installed


@LAYOUTS
@pytest.mark.long
def test_a_break_stands_until_what_git_has_is_approved(broken):
    broken.tag("1.9")
    revision = broken.push("1.9, the fix")
    broken.set_kustomization(broken.first, suspend=False)
    request = broken.wait_for_person("1.9")
    broken.wait_seen(revision)
    assert f"{IMAGE}:1.9" in broken.images()
    broken.decide(request)
    broken.set_kustomization(broken.last, suspend=False)
    broken.follow()
    broken.wait_rolled_out("1.9", revision, "end of a break, the fix in Git: after its approval")


@LAYOUTS
@pytest.mark.long
def test_flux_that_goes_on_too_early_undoes_a_break(broken):
    for each in {broken.first, broken.last}:
        broken.set_kustomization(each, suspend=False)
    wait_until(lambda: f"{IMAGE}:1.1" in broken.images(), "Flux rolls back what was broken", 90)


@ONE
@pytest.mark.long
def test_a_ring_lowered_in_git_waits_for_a_person(installed):
    name = installed.namespace
    home = {"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"cabgate.dev/ring": "1"}}}  # fmt: skip
    installed.write("namespace.yaml", home)
    revision = installed.push("a lower ring")
    installed.flux.wait_told(name, "cabgate.dev/ring")
    installed.gate.cluster.kubectl("label", "namespace", name, "cabgate.dev/ring=1", "--overwrite")
    installed.reconcile()
    installed.flux.wait_applied(name, revision)


@ONE
@pytest.mark.long
def test_without_the_flag_one_kustomization_stands_still(shop):
    """An intent beside its workload is not applied, however good its evidence is."""
    with shop.flux.flags():
        shop.push("first release")
        shop.flux.wait_told(shop.last, "NoRequest: Deployment eu-checkout")
        for _ in range(2):
            shop.reconcile()
        assert not shop.has("deploymentintents", INTENT)
