# SPDX-License-Identifier: Apache-2.0
"""Break-glass where it matters: with every process of cabgate dead, against the real API server."""

import json
import re

import pytest
import yaml

from cabgate.lifecycle.requests.break_glass import (
    ANNOTATION,
    BREAKABLE,
    BY_ANNOTATION,
    EARLIER_ANNOTATION,
    ID_ANNOTATION,
    RING_ANNOTATION,
    STAMPS,
)
from cabgate_devcluster import DevCluster, wait_until
from support.gate import install
from support.gated import ROLLOUT_CRD, gated, url
from support.glass import MALFORMED, WHY, Glass, annotated, image_of, refusal, rolled, warnings_of
from support.namespaces import set_ring

KINDS = [kind.kind for kind in BREAKABLE]
CHANGEABLE = [kind for kind in KINDS if kind != "Job"]
ROBOT = "system:serviceaccount:robots:deployer"
TYPES = {"application/merge-patch+json", "application/strategic-merge-patch+json"}
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [{"level": "Metadata", "verbs": ["create", "patch", "update"]}],
}


@pytest.fixture(scope="module")
def audit_log(tmp_path_factory):
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="module")
def cluster(audit_log):
    """A cluster of our own, with an audit log: its webhook is going to be killed."""
    policy = audit_log.with_name("policy.yaml")
    policy.write_text(yaml.safe_dump(AUDIT))
    arguments = [f"--audit-policy-file={policy}", f"--audit-log-path={audit_log}"]
    with DevCluster(apiserver_args=arguments) as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(ROLLOUT_CRD))
    made = install(cluster)
    cluster.kubectl("create", "namespace", "robots")
    for name, role, subject in (
        ("breaker-edit", "edit", "--user=breaker"),
        ("breaker", "cabgate-break-glass", "--user=breaker"),
        ("robot", "cluster-admin", "--serviceaccount=robots:deployer"),
    ):
        cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={role}", subject)
    # Beyond what the stock role edit has: Rollouts, and the status of each kind.
    resources = [f"{kind.resource}.{kind.group}/status".replace("./", "/") for kind in BREAKABLE]
    resources.append("rollouts.argoproj.io")
    args = ("--verb=*", f"--resource={','.join(resources)}")
    cluster.kubectl("create", "clusterrole", "more-than-edit", *args)
    for user in ("breaker", "requester"):
        args = (f"more-{user}", "--clusterrole=more-than-edit", f"--user={user}")
        cluster.kubectl("create", "clusterrolebinding", *args)
    return made


@pytest.fixture(scope="module")
def glass(gate):
    made = Glass(gate)
    yield made
    made.close()


@pytest.fixture
def dead(gate):
    """The webhook killed, and no replica left."""
    gate.installation.webhook.kill()
    yield
    gate.installation.start_webhook()


def unreachable(answer):
    """Whether the API server asked the webhook, and found nobody."""
    return answer.status_code == 500 and "failed calling webhook" in answer.text


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_webhook_dead_only_who_may_breaks_the_glass(glass, namespace, dead, kind):
    without = glass.creates("breaker", kind, namespace, None)
    assert unreachable(without), without.text
    said = refusal(glass.creates("requester", kind, namespace))
    assert said.startswith("BreakGlassDenied: ")
    broken = glass.creates("breaker", kind, namespace)
    assert broken.status_code == 201, broken.text
    assert "the glass is broken: a retrospective review follows" in warnings_of(broken)
    plural = url(kind, namespace).rpartition("/")[2]
    assert glass.annotations(namespace, kind) == {
        ANNOTATION: WHY,
        BY_ANNOTATION: "breaker",
        ID_ANNOTATION: f"{plural}/new",
        RING_ANNOTATION: "2",
    }
    # What stands there opens nothing any more, for nobody.
    if kind in CHANGEABLE:
        for user in ("breaker", "requester"):
            again = glass.patch(user, namespace, rolled(kind, "web:10"), kind=kind)
            assert unreachable(again), again.text
            same = glass.breaks(user, namespace, image="web:10", kind=kind)
            assert unreachable(same), same.text
            # Whoever may break it is told why that was no break; nobody else could.
            said = "the same words twice break nothing" in warnings_of(same)
            assert said is (user == "breaker")
        assert image_of(kind, glass.get(namespace, kind)) == "web:1"


@pytest.mark.parametrize("kind", CHANGEABLE)
def test_another_reason_breaks_the_glass_again(glass, namespace, dead, kind):
    glass.make(namespace, kind)
    assert refusal(glass.breaks("requester", namespace, kind=kind)).startswith("BreakGlassDenied: ")
    assert glass.breaks("breaker", namespace, kind=kind).status_code == 200
    first = glass.annotations(namespace, kind)
    assert re.fullmatch(r"[a-z]+/[0-9]+-template", first[ID_ANNOTATION])
    other = "INC-1: the fix was wrong"
    said = refusal(glass.breaks("requester", namespace, other, "web:10", kind=kind))
    assert said.startswith("BreakGlassDenied: ")
    answer = glass.breaks("breaker", namespace, other, "web:10", kind=kind)
    assert answer.status_code == 200, answer.text
    second = glass.annotations(namespace, kind)
    assert second[ANNOTATION] == other
    assert second[ID_ANNOTATION] != first[ID_ANNOTATION]
    live = glass.get(namespace, kind)
    assert image_of(kind, live) == "web:10"
    # The first is written down beside it, with what ran until now.
    line = "\t".join([first[ID_ANNOTATION], "2", "breaker", "1", "web:9", WHY])
    assert live["metadata"]["annotations"][EARLIER_ANNOTATION] == line


def test_every_way_to_write_breaks_the_glass(glass, namespace, dead):
    path = url("Deployment", namespace, "web")
    client = glass.client("breaker")
    number = 0

    def why():
        nonlocal number
        number += 1
        return f"INC-{number}: the shop is down"

    obj = gated("Deployment", namespace)

    def with_annotation(body):
        return {**body, "metadata": {**body["metadata"], "annotations": {ANNOTATION: why()}}}

    def sent(method, content, kind, **params):
        headers = {"Content-Type": kind}
        body = json.dumps(content)
        answer = client.request(method, path, content=body, headers=headers, params=params)
        assert answer.status_code in (200, 201), answer.text
        assert "the glass is broken" in warnings_of(answer)
        assert glass.annotations(namespace)[BY_ANNOTATION] == "breaker"

    # Server-side apply creates it, then changes it.
    for image in ("web:1", "web:2"):
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = image
        sent("PATCH", with_annotation(obj), "application/apply-patch+yaml",
             fieldManager="tests", force="true")  # fmt: skip
    for kind in sorted(TYPES):
        sent("PATCH", {**annotated(why()), **rolled("Deployment", f"web:{number}0")}, kind)
    steps = [
        {"op": "add", "path": f"/metadata/annotations/{ANNOTATION.replace('/', '~1')}",
         "value": why()},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:50"},
    ]  # fmt: skip
    sent("PATCH", steps, "application/json-patch+json")
    live = glass.get(namespace)
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "web:60"
    sent("PUT", with_annotation({**live, "metadata": {"name": "web", "namespace": namespace}}),
         "application/json")  # fmt: skip
    assert image_of("Deployment", glass.get(namespace)) == "web:60"


def test_a_malformed_reason_opens_nothing_and_is_explained(glass, namespace, dead):
    glass.make(namespace)
    for why in MALFORMED:
        said = refusal(glass.breaks("breaker", namespace, why))
        assert said.startswith("BreakGlassMalformed: "), why
        assert re.search('"INC-1234: .+"', said), "shows the form"
        said = refusal(glass.creates("breaker", "Job", namespace, why))
        assert said.startswith("BreakGlassMalformed: "), why
    assert glass.annotations(namespace) == {}
    for why in ("#1: x", "org/repo#12: Störung, é", f"{'I' * 64}: {'ü' * 512}"):
        wanted = 403 if why.startswith("#") else 200
        assert glass.breaks("breaker", namespace, why).status_code == wanted


def test_on_a_pod_it_is_refused(gate, glass, namespace, dead):
    said = refusal(glass.creates("breaker", "Pod", namespace))
    assert said.startswith("BreakGlassOnPod: ")
    # One in the pod template counts for nothing, and stops no controller.
    set_ring(gate.cluster, namespace)
    obj = gated("ReplicaSet", namespace)
    obj["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION: WHY}
    obj["spec"]["replicas"] = 1
    made = glass.client("breaker").post(url("ReplicaSet", namespace), json=obj)
    assert made.status_code == 201, made.text
    wait_until(lambda: gate.items("pods", namespace), "the Pod of the ReplicaSet")
    # On a Pod that is there already.
    pod = gate.items("pods", namespace)[0]["metadata"]["name"]
    assert glass.patch("breaker", namespace, annotated(None), kind="Pod", name=pod).is_success
    set_ring(gate.cluster, namespace, "2")
    said = refusal(glass.patch("breaker", namespace, annotated(WHY), kind="Pod", name=pod))
    assert said.startswith("BreakGlassOnPod: ")


@pytest.mark.parametrize("kind", CHANGEABLE)
def test_nobody_without_the_verb_takes_it_away(glass, namespace, kind):
    glass.make(namespace, kind)
    assert glass.breaks("breaker", namespace, kind=kind).status_code == 200
    before = glass.annotations(namespace, kind)
    subresources = [""] if kind == "Rollout" else ["", "status"]  # whose status has no metadata
    for sub in subresources:
        for why in (None, "INC-2: nothing to see here"):
            answer = glass.patch("requester", namespace, annotated(why), kind=kind, sub=sub)
            assert refusal(answer).startswith("BreakGlassDenied: "), (sub, why)
        for forged in STAMPS:
            for value in (None, "somebody-else"):
                body = {"metadata": {"annotations": {forged: value}}}
                for user in ("requester", "breaker"):
                    glass.patch(user, namespace, body, kind=kind, sub=sub)
                    assert glass.annotations(namespace, kind) == before, (sub, forged, value)
    body = {"metadata": {"annotations": None}, "status": {}}
    glass.patch("requester", namespace, body, kind=kind, sub="status")
    assert glass.annotations(namespace, kind) == before
    # Who may break it, may.
    answer = glass.patch("breaker", namespace, annotated(None), kind=kind, sub=subresources[-1])
    assert answer.status_code == 200, answer.text
    assert ANNOTATION not in glass.annotations(namespace, kind)


def test_set_through_status_it_needs_the_verb_too(glass, namespace):
    glass.make(namespace)
    for user, allowed in (("requester", False), ("breaker", True)):
        answer = glass.patch(user, namespace, annotated(WHY), sub="status")
        assert answer.is_success is allowed, answer.text
    assert glass.annotations(namespace)[BY_ANNOTATION] == "breaker"


def test_nobody_else_is_named(glass, namespace, dead):
    glass.make(namespace)
    forged = {ANNOTATION: WHY, BY_ANNOTATION: "reviewer", ID_ANNOTATION: "deployments/1"}
    body = {"metadata": {"annotations": forged}, **rolled("Deployment", "web:9")}
    assert glass.patch("breaker", namespace, body).status_code == 200
    found = glass.annotations(namespace)
    assert found[BY_ANNOTATION] == "breaker"
    assert found[ID_ANNOTATION] != "deployments/1"
    # Planted before, it counts for nothing either.
    glass.make(namespace, name="other")
    planted = {"metadata": {"annotations": {BY_ANNOTATION: "reviewer"}}}
    assert glass.patch("requester", namespace, planted, name="other").status_code == 200
    assert glass.breaks("breaker", namespace, name="other").status_code == 200
    assert glass.annotations(namespace, name="other")[BY_ANNOTATION] == "breaker"


def test_without_the_stamping_policy_nobody_breaks_it_unnamed_or_as_another(gate, glass, namespace):
    """Where the policy is gone, or not in force yet, who breaks the glass writes it down."""
    cluster = gate.cluster
    glass.make(namespace)
    stamp = ("mutatingadmissionpolicybinding", "break-glass-stamp.cabgate.dev")
    cluster.kubectl("delete", *stamp)
    try:
        wait_until(lambda: not glass.breaks("breaker", namespace, dryRun="All").is_success, "gone")

        def wanted():
            said = refusal(glass.breaks("breaker", namespace))
            assert said.startswith("BreakGlassNotStamped: metadata.annotations[cabgate.dev/")
            assert "a minute" in said
            return dict(re.findall(r'(cabgate\.dev/break-glass-\w+): "([^"]+)"', said))

        assert wanted().keys() == set(STAMPS)
        for key, value in zip(STAMPS, ("reviewer", "deployments/7", "1"), strict=True):
            annotations = {ANNOTATION: WHY, **wanted(), key: value}
            forged = {**rolled("Deployment", "web:9"), "metadata": {"annotations": annotations}}
            assert refusal(glass.patch("breaker", namespace, forged)).startswith("BreakGlassForged")

        def named():
            # The deployment controller may have written its revision in between.
            annotations = {ANNOTATION: WHY, **wanted()}
            own = {**rolled("Deployment", "web:9"), "metadata": {"annotations": annotations}}
            # Its status changes all the time in an outage: what was told holds all the same.
            status = {"status": {"observedGeneration": 1, "replicas": 3}}
            gate.patch_status("admin", "deployment", "web", namespace, status, check=True)
            return glass.patch("breaker", namespace, own).status_code == 200

        wait_until(named, "broken in their own name")
        assert glass.annotations(namespace)[BY_ANNOTATION] == "breaker"
    finally:
        gate.installation.apply_objects("break-glass")
        glass.make(namespace, name="other")
        wait_until(
            lambda: BY_ANNOTATION in glass.would_annotate("breaker", namespace, name="other"),
            "the policy is back",
        )
    (request,) = glass.opened(namespace)
    assert request["spec"]["breakGlass"]["by"] == "breaker"


def test_below_ring_2_it_is_a_note_like_any_other(gate, glass, make_namespace, dead):
    namespace = make_namespace("1")
    for why in ("", "whatever", WHY):
        answer = glass.creates("requester", "Deployment", namespace, why, name=f"w{len(why)}")
        assert answer.status_code == 201, answer.text
        assert not warnings_of(answer)
        answer = glass.patch("requester", namespace, annotated(None), name=f"w{len(why)}")
        assert answer.status_code == 200, answer.text
    # What was forged there does not come up, whether it is set with it, before it or after it.
    stamps = dict(zip(STAMPS, ("reviewer", "deployments/new", "2"), strict=True))
    obj = gated("Deployment", namespace)
    obj["metadata"]["annotations"] = {ANNOTATION: WHY, **stamps}
    path = url("Deployment", namespace)
    assert glass.client("requester").post(path, json=obj).status_code == 201
    assert glass.annotations(namespace) == {ANNOTATION: WHY}
    for body in (stamps, {ANNOTATION: "INC-2: x", **stamps}, {ANNOTATION: WHY}):
        answer = glass.patch("requester", namespace, {"metadata": {"annotations": body}})
        assert answer.status_code == 200, answer.text
        assert glass.annotations(namespace).keys() == {ANNOTATION}
    set_ring(gate.cluster, namespace, "2")
    glass.gated_by_now(namespace)
    assert glass.patch("requester", namespace, {"metadata": {"annotations": stamps}}).is_success
    assert glass.annotations(namespace) == {ANNOTATION: WHY}
    # And one that stood there opens nothing.
    assert unreachable(glass.patch("requester", namespace, rolled("Deployment", "web:9")))


def test_the_ring_of_the_break_is_written_down(glass, make_namespace, dead):
    for ring, stamped in (("2", "2"), ("3", "3"), ("4", "4")):
        namespace = make_namespace(ring)
        glass.gated_by_now(namespace)
        assert glass.creates("breaker", "Deployment", namespace).status_code == 201
        assert glass.annotations(namespace)[RING_ANNOTATION] == stamped


def test_a_workloads_own_ring_counts(gate, glass, make_namespace, dead):
    namespace = make_namespace(None)
    obj = gated("Deployment", namespace)
    obj["metadata"]["labels"]["cabgate.dev/ring"] = "2"
    obj["metadata"]["annotations"] = {ANNOTATION: WHY}
    path = url("Deployment", namespace)
    said = refusal(glass.client("requester").post(path, json=obj))
    assert said.startswith("BreakGlassDenied: ")
    assert glass.client("breaker").post(path, json=obj).status_code == 201


def listed(gate, *accounts):
    """Let these service accounts break the glass, and no other, as the chart's value does."""
    gate.installation.values = {"breakGlassServiceAccounts": list(accounts)}
    gate.installation.apply_objects("break-glass")
    gate.installation.configure_admission()


def test_a_service_account_breaks_it_only_if_listed(gate, glass, namespace, dead):
    glass.make(namespace)
    said = refusal(glass.breaks(ROBOT, namespace))
    assert said.startswith(f"BreakGlassServiceAccount: {ROBOT} is a service account")
    assert refusal(glass.creates(ROBOT, "Job", namespace)).startswith("BreakGlassServiceAccount")
    try:
        listed(gate, ROBOT)
        wait_until(lambda: glass.breaks(ROBOT, namespace, dryRun="All").is_success, "listed")
        assert glass.breaks(ROBOT, namespace).status_code == 200
        assert glass.annotations(namespace)[BY_ANNOTATION] == ROBOT
    finally:
        listed(gate)
        other = annotated("INC-2: another")
        wait_until(
            lambda: not glass.patch(ROBOT, namespace, other, dryRun="All").is_success,
            "the list is empty again",
        )
    said = refusal(glass.patch(ROBOT, namespace, other))
    assert said.startswith("BreakGlassServiceAccount: ")


def test_the_audit_log_tells(glass, namespace, audit_log, dead):
    glass.make(namespace)
    assert glass.breaks("breaker", namespace).status_code == 200
    key = "break-glass-notice.cabgate.dev/broken"

    def noted():
        events = [json.loads(line) for line in audit_log.read_text().splitlines() if key in line]
        found = [event for event in events if event["objectRef"]["namespace"] == namespace]
        return [event["annotations"][key] for event in found]

    assert wait_until(noted, timeout=60.0, what="the audit log tells") == [
        f"breaker on deployments {namespace}/web: {WHY}"
    ]
