# SPDX-License-Identifier: Apache-2.0
"""The chart on a real API server, by the real Helm: installed, upgraded, rolled back, uninstalled
and installed again. Each test begins where it has to, by its fixtures; together they go through the
steps once, in this order."""

import contextlib
import json
import re
import shutil

import pytest
import yaml

from cabgate_devcluster import DevCluster, people, wait_until
from cabgate_devcluster.installed.chart import CHART, NAMESPACE
from cabgate_devcluster.installed.installation import PROBE, ROOT
from cabgate_samples.objects import GOOD, MIDDLING, intent, target, workload
from support.gate import Gate
from support.helm import Released
from support.load import Load
from support.namespaces import create_namespace
from support.work import Work

BOT = "system:serviceaccount:flux-system:kustomize-controller"
CRD = "cabrequests.cabgate.dev"
STARTED = 2
"""The revision that the processes were first started from."""

UNINSTALL = (ROOT / "docs/operations/upgrade.md").read_text().partition("## Uninstall")[2]


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        create_namespace(running, "shop")
        yield running


@pytest.fixture(scope="module")
def release(cluster):
    made = Released(cluster)
    yield made
    made.close()


@pytest.fixture(scope="module")
def gate(cluster, release):
    return Gate(cluster, release)


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """The chart as it was before a column was added to a definition."""
    folder = tmp_path_factory.mktemp("older") / "cabgate"
    shutil.copytree(CHART, folder)
    path = folder / "files" / "crds" / f"{CRD}.yaml"
    definition = yaml.safe_load(path.read_text())
    definition["spec"]["versions"][0]["additionalPrinterColumns"].pop()
    path.write_text(yaml.safe_dump(definition))
    return folder


@pytest.fixture(scope="module")
def installed(release, gate, older):
    """The older chart, installed, with no process of it running yet; what Helm said."""
    assert rolled_out(gate, "web:1", "--dry-run=server") == ""
    return release.install(older)


@pytest.fixture(scope="module")
def started(cluster, release, installed, older):
    """Every process runs."""
    release.start(older)
    people.bind(cluster)


@pytest.fixture(scope="module")
def approved(gate, started):
    """In the namespace of ring 2 one image is approved."""
    gate.open("shop", GOOD, "AutoApproved", name="web", images=["web:1"])


@pytest.fixture(scope="module")
def removed(cluster, release, gate, approved):
    """Uninstalled; what Helm said, and the uids of what was there before."""
    wait_until(lambda: gate.items("cabdecisions", "shop"), timeout=60.0, what="the ledger has it")
    before = kept(gate)
    release.stop_all()
    said = release.helm("uninstall", "cabgate")
    return said.stdout + said.stderr, before


def kept(gate):
    """The uids of what outlives the release."""
    kinds = "deploymentintents,cabrequests,cabdecisions,riskmodels"
    return {each["metadata"]["uid"] for each in gate.items(kinds, "shop")}


def columns(cluster):
    found = json.loads(cluster.kubectl("get", "crd", CRD, "-o", "json").stdout)
    return len(found["spec"]["versions"][0]["additionalPrinterColumns"])


def rolled_out(gate, image, *args):
    """What the API server says to a rollout in the namespace of ring 2; empty if it passes."""
    body = json.dumps(workload("shop", images=[image]))
    args = ("apply", "-f", "-", *args)
    return gate.cluster.kubectl(*args, stdin=body, check=False).stderr


def gated_at_once(gate):
    """No webhook runs yet: what it would say is not known, so it is no, as soon as the API server
    has the configuration."""
    wait_until(
        lambda: "failed calling webhook" in rolled_out(gate, "web:1", "--dry-run=server"),
        timeout=60.0,
        what="the API server asks a webhook",
    )
    assert "failed calling webhook" in rolled_out(gate, "web:1")


def bundles(cluster):
    found = cluster.kubectl("get", "validatingwebhookconfiguration", "cabgate", "-o", "json")
    webhooks = json.loads(found.stdout)["webhooks"]
    return {each["clientConfig"].get("caBundle", "") for each in webhooks}


def test_once_it_is_installed_nothing_passes_ungated(gate, installed):
    gated_at_once(gate)
    for command in (
        "kubectl rollout status deployment -n cabgate-system",
        "kubectl label namespace NAME cabgate.dev/ring=2",
        "kubectl create deployment web --image=web:1 -n NAME --dry-run=server",
    ):
        assert command in installed


def test_it_is_not_in_the_way_of_its_own_start(gate, installed, request):
    """In a namespace that takes restricted Pods alone, the gate in force and no webhook there."""

    def pods():
        found = gate.items("pods", NAMESPACE)
        return len(found) == 4 and found

    made = wait_until(pods, "two Pods of each")
    for pod in made:
        assert pod["spec"]["automountServiceAccountToken"] is True
        assert pod["spec"]["serviceAccountName"] in pod["metadata"]["name"]
    events = gate.items("events", NAMESPACE)
    assert not [each["message"] for each in events if each["reason"] == "FailedCreate"]
    request.getfixturevalue("started")
    assert "NoRequest: " in rolled_out(gate, "web:1")
    budgets = gate.items("poddisruptionbudgets", NAMESPACE)
    assert {each["metadata"]["name"] for each in budgets} == {"cabgate-operator", "cabgate-webhook"}


def test_two_webhooks_judge_by_what_is_decided(release, gate, approved):
    assert rolled_out(gate, "web:1") == ""
    assert "ImagesNotCovered: " in rolled_out(gate, "web:2")
    name = gate.open("shop", MIDDLING, "Submitted", name="web", images=["web:2"])
    gate.review("reviewer", "cabrequest", name, "shop", "Approved")
    assert rolled_out(gate, "web:2") == ""
    for backend in release.backends:
        assert release.stop_replica(backend) == 0
        assert "ImagesNotCovered: " in rolled_out(gate, "web:3"), "the other one answers"
        release.start_replica(backend)


def test_one_of_two_operators_leads_and_the_other_takes_over(release, gate, approved):
    lease = gate.get("lease", "cabgate-operator", NAMESPACE)["spec"]["holderIdentity"]
    leader = wait_until(release.leading, timeout=60.0, what="one of them leads")
    release.operators[leader].kill()
    targets = [target(["later:1"], name="later")]
    gate.open("shop", GOOD, "AutoApproved", name="later", targets=targets)
    assert gate.get("lease", "cabgate-operator", NAMESPACE)["spec"]["holderIdentity"] != lease
    release.start_manager(leader)


@contextlib.contextmanager
def nothing_fails(cluster, gate, name):
    """Admissions without end meanwhile, and people at work, in a namespace made for them: none
    fails, and nothing that was decided is lost."""
    create_namespace(cluster, name)
    gate.open(name, GOOD, "AutoApproved")
    user = gate.user("requester")
    with Load(user, workload(name)) as load, Work(gate, name) as work:
        yield
        work.goes_on()
    assert load.failures == []
    work.lost_nothing()


def every(release, component, argument):
    lines = release.command_lines(component)
    return len(lines) == 2 and all(argument in line for line in lines)


def test_an_upgrade_brings_definitions_and_values_and_breaks_nothing(
    cluster, release, gate, approved
):
    before, trusted = columns(cluster), bundles(cluster)
    values = (f"lowerRingServiceAccounts={{{BOT}}}", "keepApproved=5", "webhook.drainSeconds=3")
    with nothing_fails(cluster, gate, "upgraded"):
        release.upgrade(*(word for value in values for word in ("--set", value)))
        release.restart_in_turn()
    assert columns(cluster) == before + 1
    assert bundles(cluster) == trusted, "what the operator wrote stays"
    assert every(release, "operator", "--keep-approved=5")
    assert every(release, "webhook", "--drain-seconds=3")
    policy = cluster.kubectl("get", "validatingadmissionpolicy", "rings.cabgate.dev", "-o", "yaml")
    assert BOT in policy.stdout
    wait_until(lambda: "ImagesNotCovered: " in rolled_out(gate, "web:3"), "it judges")
    assert rolled_out(gate, "web:1") == "", "a rollback to what was approved"
    heads = gate.get("configmap", "cabgate-ledger-heads", NAMESPACE)
    assert heads["data"], "what the operator wrote stays"


def test_a_rollback_breaks_nothing(cluster, release, gate, approved):
    requests = {each["metadata"]["uid"] for each in gate.items("cabrequests", "shop")}
    with nothing_fails(cluster, gate, "rolled-back"):
        release.rollback(STARTED)
        release.restart_in_turn()
    assert every(release, "operator", "--keep-approved=10")
    assert every(release, "webhook", "--drain-seconds=10")
    policy = cluster.kubectl("get", "validatingadmissionpolicy", "rings.cabgate.dev", "-o", "yaml")
    assert BOT not in policy.stdout
    wait_until(lambda: "ImagesNotCovered: " in rolled_out(gate, "web:3"), "it judges")
    assert {each["metadata"]["uid"] for each in gate.items("cabrequests", "shop")} == requests


def test_without_it_records_are_kept_and_nothing_is_stuck(cluster, gate, removed):
    said, before = removed
    assert "kept due to the resource policy" in said
    assert len(before) >= 4
    assert kept(gate) == before
    for name in ("cabgate-ledger-heads", "cabgate-ledger-checkpoints", "cabgate-signing-keys"):
        gate.get("configmap", name, NAMESPACE)
    for kind in ("validatingadmissionpolicies", "mutatingadmissionpolicies", "clusterroles"):
        names = cluster.kubectl("get", kind, "-o", "name").stdout
        assert "cabgate" not in names
    wait_until(lambda: rolled_out(gate, "web:3") == "", "nothing is gated any more")
    cluster.kubectl("create", "namespace", "leaving")
    gate.apply("admin", intent("leaving"))
    for namespace in ("leaving", "shop"):
        cluster.kubectl("delete", "namespace", namespace, "--timeout=60s")
    decisions = json.loads(cluster.kubectl("get", "cabdecisions", "-o", "json").stdout)
    assert decisions["items"], "the ledger outlives its namespaces"


@pytest.fixture(scope="module")
def archive(release, tmp_path_factory):
    """The chart as a release has it: one file."""
    folder = tmp_path_factory.mktemp("archive")
    release.helm("package", CHART, "--destination", folder)
    (made,) = folder.glob("cabgate-*.tgz")
    return made


@pytest.fixture(scope="module")
def again(cluster, release, removed, archive):
    """Installed once more, over what the first one left, and from the archive."""
    release.helm("install", "cabgate", archive)
    cluster.kubectl("delete", "namespace", "shop", "--ignore-not-found", "--timeout=60s")
    create_namespace(cluster, "shop")


def test_from_the_archive_it_is_installed_again_over_what_was_kept(release, gate, again):
    gated_at_once(gate)
    release.start()
    gate.open("shop", GOOD, "AutoApproved", name="web", images=["web:1"])
    assert rolled_out(gate, "web:1") == ""


def test_the_page_says_how_to_be_rid_of_everything(cluster, release, again):
    release.stop_all()
    uninstall, *rest = re.findall(r"^(?:helm|kubectl) .+$", UNINSTALL, re.MULTILINE)
    assert uninstall == "helm uninstall cabgate -n cabgate-system"
    release.helm("uninstall", "cabgate")
    assert len(rest) == 2
    for line in rest:
        cluster.kubectl(*line.split()[1:], "--timeout=120s")
    left = cluster.kubectl("get", "crd,namespace,clusterrole,clusterrolebinding", "-o", "name")
    probe = f"namespace/{PROBE}"  # of the test's own installation
    ours = [each for each in left.stdout.split() if "cabgate" in each and each != probe]
    assert [each for each in ours if not each.startswith("clusterrolebinding")] == []
