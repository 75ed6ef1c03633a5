# SPDX-License-Identifier: Apache-2.0
"""What follows when the glass was broken: a request that waits until somebody else decides it."""

import copy
import json
import re
import urllib.request

import pytest
from click.testing import CliRunner

from cabgate.lifecycle.requests.break_glass import ID_ANNOTATION
from cabgate_cli.main import main
from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.installation import ROOT
from cabgate_samples.objects import GOOD
from support.gate import denial, install
from support.gated import ROLLOUT_CRD
from support.glass import WHY, Glass, annotated, events_about, image_of, warnings_of
from support.namespaces import create_namespace, set_ring
from support.reviews import OPERATOR

DOCS = (ROOT / "docs" / "break-glass.md").read_text()


@pytest.fixture(scope="module")
def cluster():
    """A cluster of our own: webhook and operator are going to be killed."""
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    made = install(cluster)
    for name, role in (("breaker-edit", "edit"), ("breaker", "cabgate-break-glass")):
        args = (name, f"--clusterrole={role}", "--user=breaker")
        cluster.kubectl("create", "clusterrolebinding", *args)
    # One who holds both verbs, as a cluster admin does.
    for role in ("view", "edit", "cabgate-cab-member", "cabgate-break-glass"):
        args = (f"both-{role}", f"--clusterrole={role}", "--user=both")
        cluster.kubectl("create", "clusterrolebinding", *args)
    args = ("auditor", "--clusterrole=cabgate-auditor", "--user=auditor")
    cluster.kubectl("create", "clusterrolebinding", *args)
    return made


@pytest.fixture(scope="module")
def glass(gate):
    made = Glass(gate)
    yield made
    made.close()


@pytest.fixture
def broken(glass, namespace):
    """The request of a glass that was broken."""
    glass.make(namespace)
    assert glass.breaks("breaker", namespace).status_code == 200
    (request,) = glass.opened(namespace)
    return request


def fresh(known, requests):
    """Requests, with one that is known before the others."""
    return sorted(requests, key=lambda each: each["metadata"]["uid"] != known["metadata"]["uid"])


def findings(gate):
    """What `cabgate ledger verify` finds."""
    args = ["ledger", "verify", "-o", "json", "--kubeconfig", str(gate.user("auditor"))]
    result = CliRunner().invoke(main, args)
    return json.loads(result.stdout)["findings"]


def counted(gate, namespace):
    """What the operator's metric says of a namespace."""
    url = gate.installation.operator_url("/metrics")
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own loopback URL
        text = answer.read().decode()
    found = re.search(rf'cabgate_break_glass_total{{namespace="{namespace}"}} (\S+)', text)
    return float(found[1]) if found else 0.0


def test_a_request_waits_and_everybody_is_told(gate, glass, namespace, broken):
    name, spec = broken["metadata"]["name"], broken["spec"]
    live = glass.get(namespace)
    assert re.fullmatch("break-glass-[0-9a-f]{16}", name)
    assert "intentRef" not in spec
    assert spec["breakGlass"] == {
        "ticket": "INC-1",
        "reason": "the shop is down",
        "by": "breaker",
        "uid": live["metadata"]["uid"],
        "id": live["metadata"]["annotations"][ID_ANNOTATION],
    }
    assert [(t["kind"], t["name"], t["images"]) for t in spec["targets"]] == [
        ("Deployment", "web", ["web:9"])
    ]
    assert spec["submittedBy"] == [{"username": "breaker"}]
    assert spec["correlationID"] == "INC-1"
    assessment = spec["assessment"]
    assert (assessment["gate"], assessment["score"]) == ("ManualReview", "100.00")
    assert [floor["name"] for floor in assessment["floors"]] == ["BreakGlass"]
    request = gate.wait_state("cabrequest", name, namespace, "Submitted")
    (said,) = request["status"]["decisions"]
    assert (said["verdict"], said["author"]["username"]) == ("GlassBroken", OPERATOR)
    listed = gate.kubectl("reviewer", "get", "cabrequests", "-n", namespace).stdout
    assert re.search(
        rf"{name} +Submitted +100.00 +ManualReview +Deployment/web +breaker +2", listed
    )
    for about in ("web", name):
        (event,) = wait_until(lambda a=about: events_about(gate, namespace, a), "an Event")
        assert "breaker broke the glass for INC-1: the shop is down" in event["message"]
        assert event["type"] == "Warning"
    wait_until(lambda: counted(gate, namespace) == 1, "the metric counts it")


def test_who_broke_it_does_not_decide_and_somebody_else_does(gate, glass, namespace):
    glass.make(namespace)
    assert glass.breaks("both", namespace).status_code == 200
    (request,) = glass.opened(namespace)
    name = request["metadata"]["name"]
    for verdict in ("Approved", "Rejected", "UnderReview"):
        said = denial(gate.review("both", "cabrequest", name, namespace, verdict, check=False))
        assert said.startswith("SelfApproval: "), said
    # What runs is not covered as long as nobody decides.
    change = {"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}}
    answer = glass.patch("requester", namespace, change)
    assert "GlassBroken: " in answer.text
    message = next(
        c["message"]
        for c in gate.get("cabrequest", name, namespace)["status"]["conditions"]
        if c["type"] == "Decided"
    )
    assert "both broke the glass for INC-1: the shop is down" in message
    command = message[message.index("kubectl patch cabrequest") :].replace("<why>", "It was right")
    assert gate.shell("both", command).returncode != 0
    result = gate.shell("reviewer", command)
    assert result.returncode == 0, result.stderr
    state = gate.get("cabrequest", name, namespace)["status"]["state"]
    assert state == "Approved"


def test_its_approval_is_of_what_was_broken_through_and_no_later_rollout(
    gate, glass, namespace, broken
):
    name = broken["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Approved", rationale="was right")
    change = {"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}}
    for user in ("requester", "breaker"):
        answer = glass.patch(user, namespace, change)
        assert "GlassBroken: " in answer.text
        assert f"cabgate intent -n {namespace} deployment/web --image web:9" in answer.text
    again = glass.breaks("breaker", namespace, image="web:9", why=WHY)
    assert again.is_success, "nothing changes"
    # The same words twice break nothing, and the answer says so.
    body = {**annotated(WHY), **change}
    answer = glass.patch("breaker", namespace, body)
    assert "GlassBroken: " in answer.text
    assert "the same words twice break nothing" in warnings_of(answer)
    answer = glass.breaks("breaker", namespace, image="web:evil")
    assert "ImagesNotCovered: " in answer.text
    assert "the same words twice break nothing" in warnings_of(answer)
    # Scaling, restarts and metadata pass as ever.
    for body in ({"spec": {"replicas": 3}}, {"metadata": {"labels": {"a": "b"}}}):
        assert glass.patch("requester", namespace, body).status_code == 200
    gate.kubectl("requester", "rollout", "restart", "deployment/web", "-n", namespace)
    # Other words break it again, and that is another request.
    answer = glass.patch("breaker", namespace, {**annotated("INC-1: and a label"), **change})
    assert answer.status_code == 200, answer.text
    assert "the glass is broken" in warnings_of(answer)
    _, second = fresh(broken, glass.opened(namespace, 2))
    assert second["spec"]["breakGlass"]["reason"] == "and a label"
    # An intent covers it, and then no glass is broken any more.
    gate.open(namespace, GOOD, "AutoApproved", images=("web:9",))
    change = {"spec": {"template": {"metadata": {"labels": {"x": "z"}}}}}
    assert glass.patch("requester", namespace, change).status_code == 200


def test_a_rejection_bars_the_images(gate, glass, namespace, broken):
    name = broken["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Rejected", rationale="not like this")
    change = {"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}}
    answer = glass.patch("requester", namespace, change)
    assert "Rejected: " in answer.text
    assert "not like this" in answer.text
    # Nor are they approved by score from now on.
    gate.open(namespace, GOOD, "Submitted", images=("web:9",))
    # A command of the denial begins an intent, since there is none to edit.
    assert f"cabgate intent -n {namespace} deployment/web" in answer.text


@pytest.mark.parametrize("who", ["operator", "operator and webhook"])
def test_a_break_is_found_by_whoever_comes_later(gate, glass, namespace, who):
    installation = gate.installation
    glass.make(namespace)
    installation.operator.kill()
    if who != "operator":
        installation.webhook.kill()
    try:
        assert glass.breaks("breaker", namespace).status_code == 200
        assert glass.requests(namespace) == []
    finally:
        installation.start_operator()
        if who != "operator":
            installation.start_webhook()
    (request,) = glass.opened(namespace)
    assert request["spec"]["breakGlass"]["by"] == "breaker"


def test_each_break_has_a_request_of_its_own(gate, glass, namespace, broken):
    """Also with the same words and the same images, and also when the first is decided."""
    name = broken["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    assert glass.patch("breaker", namespace, annotated(None)).status_code == 200
    assert glass.breaks("breaker", namespace, image="web:evil").status_code == 200
    first, second = fresh(broken, glass.opened(namespace, 2))
    assert first["spec"]["targets"][0]["images"] == ["web:9"]
    assert second["spec"]["targets"][0]["images"] == ["web:evil"]
    assert glass.patch("breaker", namespace, annotated(None)).status_code == 200
    assert glass.breaks("breaker", namespace, image="web:9").status_code == 200
    _, _, third = fresh(first, fresh(second, glass.opened(namespace, 3)))
    assert third["spec"]["evidenceDigest"] != first["spec"]["evidenceDigest"]
    for request in (second, third):
        name = request["metadata"]["name"]
        gate.review("reviewer", "cabrequest", name, namespace, "Approved")


def test_the_operator_can_open_nothing_else(gate, glass, namespace, broken):
    """With its token stolen, say: a request is what the live workload says, or is refused."""
    name = broken["metadata"]["name"]
    gate.installation.operator.pause()
    try:
        glass.make(namespace, name="other")
        assert glass.breaks("breaker", namespace, name="other").status_code == 200
        live = glass.get(namespace, name="other")
        fresh = {k: broken[k] for k in ("apiVersion", "kind", "spec")}
        fresh["metadata"] = {"name": name, "namespace": namespace}
        # The name of another workload, one that is whole, one that is not there.
        glass.make(namespace, name="whole")
        for target in ("whole", "nobody"):
            forged = copy.deepcopy(fresh)
            forged["spec"]["targets"][0]["name"] = target
            said = denial(gate.create(OPERATOR, forged, "--dry-run=server", check=False))
            assert said.startswith(
                f"WrongContent: spec.breakGlass: the glass of Deployment {target}"
            )
        for path, value in (
            (("breakGlass", "by"), "somebody-else"),
            (("breakGlass", "reason"), "none"),
            (("breakGlass", "uid"), live["metadata"]["uid"]),
            (("submittedBy",), [{"username": "somebody-else"}]),
            (("targets", 0, "images"), ["evil:1"]),
            (("assessment", "gate"), "AutoApprove"),
            (("assessment", "score"), "0.00"),
            (("evidence",), GOOD),
            (("evidenceDigest",), "v1:sha256:" + "0" * 64),
            (("intentRef",), {"name": "web", "uid": "u", "generation": 1}),
            (("breakGlass",), None),
        ):
            forged = copy.deepcopy(fresh)
            forged["metadata"]["labels"] = broken["metadata"]["labels"]
            part = forged["spec"]
            for step in path[:-1]:
                part = part[step]
            part[path[-1]] = value
            forged["metadata"]["name"] = name
            result = gate.create(OPERATOR, forged, "--dry-run=server", check=False)
            assert result.returncode != 0, path
            assert "AlreadyExists" not in result.stderr, path
    finally:
        gate.installation.operator.resume()
    glass.opened(namespace, 2)


def test_the_operator_does_not_decide_it(gate, glass, namespace, broken):
    name = broken["metadata"]["name"]
    live = gate.wait_state("cabrequest", name, namespace, "Submitted")
    (said,) = live["status"]["decisions"]
    for verdict in ("AutoApproved", "Superseded", "GlassBroken", "Approved"):
        entry = {**said, "sequence": 2, "verdict": verdict}
        body = {"status": {"decisions": [said, entry], "state": verdict}}
        result = gate.patch_status(OPERATOR, "cabrequest", name, namespace, body)
        assert result.returncode != 0, verdict


def test_the_ledger_has_it_all_and_verifies(gate, glass, namespace, broken):
    name = broken["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Approved", rationale="it was right")

    def records():
        found = [
            item["spec"]
            for item in gate.items("cabdecisions", namespace)
            if item["spec"]["subject"]["namespace"] == namespace
        ]
        found.sort(key=lambda spec: spec["sequence"])
        return found if len(found) >= 2 else None

    first, second = wait_until(records, "two records")
    assert (first["verdict"], second["verdict"]) == ("GlassBroken", "Approved")
    assert "breaker broke the glass for INC-1: the shop is down" in first["rationale"]

    def verified():
        assert [f for f in findings(gate) if namespace in f["where"] + f["message"]] == []
        return True

    wait_until(verified, timeout=60.0, what="the ledger verifies")


def test_rollouts_that_come_with_their_definition_later(gate, glass, namespace):
    """Without Argo Rollouts nothing of ours is in trouble; with it, its Rollouts are seen."""
    cluster = gate.cluster
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(ROLLOUT_CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd/rollouts.argoproj.io")
    args = ("rollouts", "--verb=*", "--resource=rollouts.argoproj.io")
    cluster.kubectl("create", "clusterrole", *args)
    args = ("rollouts", "--clusterrole=rollouts", "--user=breaker")
    cluster.kubectl("create", "clusterrolebinding", *args)
    installation = gate.installation
    installation.operator.kill()
    installation.start_operator()

    def created():
        answer = glass.creates("breaker", "Rollout", namespace)
        assert answer.status_code == 201, answer.text
        return True

    # The policy that stamps the break learns of a new kind within the minute; 503 until then.
    wait_until(created, timeout=180.0, what="the API server can stamp a Rollout")
    (request,) = glass.opened(namespace)
    assert request["spec"]["targets"][0]["kind"] == "Rollout"


def test_a_break_is_reviewed_although_the_ring_went_down_since(gate, glass, namespace):
    glass.make(namespace)
    gate.installation.operator.pause()
    try:
        assert glass.breaks("breaker", namespace).status_code == 200
        set_ring(gate.cluster, namespace, "1")
    finally:
        gate.installation.operator.resume()
    (request,) = glass.opened(namespace)
    assert request["spec"]["ring"] == 2


def commands(heading):
    """The command lines of a section of docs/break-glass.md."""
    section = DOCS.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    text = "".join(blocks).replace("\\\n", "")
    return [line for line in text.splitlines() if line.strip()]


def test_the_first_five_minutes_of_the_page_work(gate, glass):
    """With everything of ours dead; then the page's review."""
    namespace, installation = "shop", gate.installation
    create_namespace(gate.cluster, namespace)
    glass.make(namespace, name="checkout")
    installation.operator.kill()
    installation.webhook.kill()
    try:
        for command in commands("The first five minutes"):
            result = gate.shell("breaker", command)
            assert result.returncode == 0, (command, result.stderr)
            if "can-i" in command:
                assert re.search(r"(?m)^rings\.cabgate\.dev .*break-glass", result.stdout)
        assert image_of("Deployment", glass.get(namespace, name="checkout")) != "web:1"
    finally:
        installation.start_webhook()
        installation.start_operator()
    (request,) = glass.opened(namespace)
    name = request["metadata"]["name"]
    for line in commands("Afterwards"):
        command = re.sub("break-glass-[0-9a-f]{16}", name, line)
        result = gate.shell("reviewer", command)
        assert result.returncode == 0, (command, result.stderr)
    assert gate.get("cabrequest", name, namespace)["status"]["state"] == "Approved"
    gate.cluster.kubectl("delete", "namespace", namespace, "--wait=false")
