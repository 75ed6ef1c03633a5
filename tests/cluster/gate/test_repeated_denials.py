# SPDX-License-Identifier: Apache-2.0
"""What a tool sees that tries the same rollout every few seconds: the same bytes, and no trace of
its trying in the cluster."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, target, workload
from support.clients import client_of, decided_answer
from support.gitops import FLUX
from support.reviews import CONDITIONS

FAR = "2999-01-01T00:00:00Z"
OPENED = {
    # reason: evidence, and the state in which its request begins
    "ReviewPending": (MIDDLING, "Submitted"),
    "ExceptionRequired": (BAD, "ExceptionRequired"),
    "ExceptionPending": (BAD, "ExceptionRequired"),
    "Rejected": (MIDDLING, "Submitted"),
    "Revoked": (GOOD, "AutoApproved"),
    "OutsideWindow": (MIDDLING, "Submitted"),
    "AttestationMissing": (MIDDLING, "Submitted"),
    "ImagesNotCovered": (GOOD, "AutoApproved"),
}


def name_of(reason):
    return reason.lower()


def situations(gate, namespace):
    """Name of a workload whose rollout is denied for each reason."""
    declared = [
        intent(
            namespace,
            name=name_of(reason),
            evidence=evidence,
            targets=[target([f"{name_of(reason)}:1", "side:1"], name=name_of(reason))],
        )
        for reason, (evidence, _) in OPENED.items()
    ]
    gate.apply("requester", {"apiVersion": "v1", "kind": "List", "items": declared})
    requests = {
        reason: gate.request_of(namespace, name_of(reason), state)["metadata"]["name"]
        for reason, (_, state) in OPENED.items()
    }
    gate.create("requester", exception(namespace, requests["ExceptionPending"]))

    def review(reason, verdict, user="reviewer", **fields):
        gate.review(user, "cabrequest", requests[reason], namespace, verdict, **fields)

    review("Rejected", "Rejected")
    review("Revoked", "Revoked", "security")
    for reason, fields in (
        ("OutsideWindow", {"notBefore": FAR}),
        ("AttestationMissing", {"attestation": "Required"}),
    ):
        conditions = [{**CONDITIONS[0], **fields}]
        review(reason, "ConditionallyApproved", conditions=conditions)
    return {**{reason: name_of(reason) for reason in OPENED}, "NoRequest": "norequest"}


class Tool:
    """A GitOps tool that tries to roll out one workload."""

    def __init__(self, gate, namespace):
        self._client = client_of(gate.user("requester"))
        self._path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        self._namespace = namespace

    def ways(self, name, images):
        """Each way to send it, as a function without arguments that returns what came back."""
        obj = workload(self._namespace, name=name, images=images)
        apply = {"Content-Type": "application/apply-patch+yaml"}
        patch = {"Content-Type": "application/merge-patch+json"}
        params = {"fieldManager": FLUX}
        dry = {**params, "dryRun": "All"}

        def create(params):
            return lambda: self._client.post(self._path, json=obj, params=params)

        def write(params, headers):
            return lambda: self._client.patch(
                f"{self._path}/{name}", content=json.dumps(obj), params=params, headers=headers
            )

        return {
            "create": create(params),
            "create, dry-run": create(dry),
            "apply": write({**params, "force": "true"}, apply),
            "apply, dry-run": write({**dry, "force": "true"}, apply),
            "patch": write(params, patch),
            "patch, dry-run": write(dry, patch),
        }


def denial(way):
    """The body of an answer that must be a denial, byte by byte."""
    answer = decided_answer(way)
    assert answer.status_code == 403, answer.text
    assert "denied the request: " in answer.text
    return answer.content


@pytest.mark.parametrize("exists", [False, True], ids=["new", "stored"])
def test_the_same_rollout_is_denied_in_the_same_bytes(gate, make_namespace, exists):
    namespace = make_namespace(None)
    if exists:  # rolled out before the namespace was gated
        names = [*map(name_of, OPENED), "norequest"]
        stored = [workload(namespace, name=name, images=["old:1"]) for name in names]
        gate.create("requester", {"apiVersion": "v1", "kind": "List", "items": stored})
    gate.cluster.kubectl("label", "namespace", namespace, "cabgate.dev/ring=2")
    denied = situations(gate, namespace)
    tool = Tool(gate, namespace)

    def gated():  # the API server takes up the label of the namespace in a moment
        ways = tool.ways("norequest", ["norequest:1"])
        return denial(ways["apply, dry-run" if exists else "create, dry-run"])

    wait_until(gated, "the API server has seen the ring")
    first = {}
    for reason, name in denied.items():
        images = [f"{name}:{2 if reason == 'ImagesNotCovered' else 1}", "side:1"]
        ways = tool.ways(name, images)
        fitting = [way for way in ways if not way.startswith("create" if exists else "patch")]
        for way in fitting:
            first[reason, way] = denial(ways[way]), ways[way]
        message = json.loads(first[reason, fitting[0]][0])["message"]
        assert f"denied the request: {reason}: Deployment {name}" in message
        # Whether it is a dry-run, and by which verb, makes no difference either.
        assert len({first[reason, way][0] for way in fitting}) == 1, reason

    def differing():
        with ThreadPoolExecutor(8) as pool:  # several in the same moment
            again = pool.map(lambda row: denial(row[1]), [*first.values()] * 3)
            rows = zip([*first] * 3, again, strict=True)
            return [key for key, content in rows if content != first[key][0]]

    assert differing() == []
    gate.installation.webhook.stop()
    gate.installation.start_webhook()
    assert differing() == []


def test_requests_of_one_moment_are_told_of_in_one_order(gate, namespace):
    """Three requests name the workload, none of them its image: always the same one is told of."""
    declared = [
        intent(namespace, name=f"release-{number}", images=[f"web:{number}"], evidence=evidence)
        for number, evidence in enumerate((GOOD, MIDDLING, GOOD))
    ]
    gate.apply("requester", {"apiVersion": "v1", "kind": "List", "items": declared})
    for number in range(3):
        gate.request_of(namespace, f"release-{number}", "Submitted" if number == 1 else None)
    tool = Tool(gate, namespace)
    way = tool.ways("web", ["web:9"])["create"]
    said = {denial(way) for _ in range(10)}
    gate.installation.webhook.stop()
    gate.installation.start_webhook()
    said |= {denial(way) for _ in range(10)}
    assert len(said) == 1, said


def traces(gate, namespace):
    """Everything of the namespace, and of the ledger, that trying might leave or change."""
    found = {}
    for resource in ("events", "events.events.k8s.io", "deploymentintents", "cabrequests",
                     "cabexceptions", "deployments", "replicasets", "pods"):  # fmt: skip
        for item in gate.items(resource, namespace):
            meta = item["metadata"]
            found[resource, meta["name"]] = meta["resourceVersion"]
    selector = f"--field-selector=spec.subject.namespace={namespace}"
    listed = gate.cluster.kubectl("get", "cabdecisions", "-o", "name", selector)
    found["ledger"] = listed.stdout
    return found


def test_fifty_tries_leave_no_trace(gate, namespace):
    """No Event for each denial, and no write to what it was denied for."""
    for name, evidence, state in (
        ("pending", MIDDLING, "Submitted"),
        ("risky", BAD, "ExceptionRequired"),
    ):
        gate.open(namespace, evidence, state, name=name, targets=[target(["web:1"], name=name)])
    gate.apply("requester", intent(namespace, name="other", images=["other:1"]))
    gate.request_of(namespace, "other", "AutoApproved")
    tool = Tool(gate, namespace)
    before = wait_until(lambda: settled(gate, namespace), "what was decided is recorded")
    for name in ("pending", "risky", "other", "nobody"):
        ways = tool.ways(name, ["web:1"])
        for _ in range(13):
            for way in ("create", "create, dry-run", "apply", "apply, dry-run"):
                denial(ways[way])
    assert traces(gate, namespace) == before


def settled(gate, namespace):
    """The traces, once the system's one decision is in the ledger and nothing is left to do."""
    found = traces(gate, namespace)
    metrics = httpx.get(gate.installation.operator_url("/metrics"), timeout=60).text
    at_rest = "\ncabgate_queue_depth 0.0\n" in metrics and traces(gate, namespace) == found
    return found if found["ledger"] and at_rest else None
