# SPDX-License-Identifier: Apache-2.0
"""What the webhook reads where approvals say what the containers do: nothing more, but where it is
needed; and that its narrow decoding compares the whole pod template."""

import copy
import json

import pytest

from cabgate.api.kinds import BUILT_IN
from cabgate.lifecycle.state.requirements import POD_TEMPLATE
from cabgate.rollout.templates import MAX_SOURCE_BYTES
from cabgate.rollout.workloads import configured_kind, running_rollout, template_of
from cabgate_samples.models import NOW, by_person, request, target
from cabgate_webhook.admission.requests import read_admission
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.handlers.rollouts import gated_kind, judge_rollout
from support.gated import gated, pod_spec, template

APPROVED = by_person("Approved")
KINDS = {kind.kind: kind for kind in BUILT_IN}


class CountingApi(LiveReads):
    """An API server that holds requests and a namespace, and notes what is read."""

    def __init__(self, requests, **labels):
        super().__init__(None)
        self._requests = [r.model_dump(mode="json", by_alias=True, exclude_none=True)
                          for r in requests]  # fmt: skip
        self._labels = {"cabgate.dev/ring": "3", **labels}
        self.read = []

    async def _read(self, path, query=None, **_):
        name = path.rsplit("/", 1)[1]
        self.read.append(name)
        if name == "cabrequests":
            return json.dumps({"items": self._requests}).encode()
        if name == "cabexceptions":
            return b'{"items": []}'
        return json.dumps({"metadata": {"name": "shop", "labels": self._labels}}).encode()


def made(kind="Deployment", **fields):
    obj = gated(kind, "shop")
    container = pod_spec(kind, obj)["containers"][0]
    container.update({"command": ["serve"], **fields})
    return obj


def body_of(obj, old=None):
    group, _, version = obj["apiVersion"].rpartition("/")
    resource = KINDS[obj["kind"]].resource if obj["kind"] in KINDS else "graphs"
    return json.dumps({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "resource": {"group": group, "version": version, "resource": resource},
            "operation": "UPDATE" if old else "CREATE",
            "namespace": "shop",
            "name": "web",
            "userInfo": {"username": "alice"},
            "object": obj,
            "oldObject": old,
        },
    }).encode()  # fmt: skip


async def judged(api, obj, old=None):
    review = read_admission(body_of(obj, old), rollout=True)
    assert review.is_narrow
    return await judge_rollout(review, gated_kind(review), api, 0, NOW)


def bound(obj=None, name="bound", kind="Deployment"):
    found = template_of(KINDS[kind], obj or made(kind))
    version = KINDS[kind].api_version
    said = {**target("web", "web:1", apiVersion=version, kind=kind), "template": found.digest,
            "templateFields": found.fields}  # fmt: skip
    return request("ManualReview", APPROVED, targets=[said], name=name)


def plain(name="plain", requires=()):
    found = request("ManualReview", APPROVED, targets=[target("web", "web:1")], name=name)
    spec = found.spec.model_copy(update={"requires": list(requires)})
    return found.model_copy(update={"spec": spec})


EVIL = {"command": ["sh"]}
ASKS = {"cabgate.dev/require-template": "3"}


@pytest.mark.parametrize(
    ("requests", "labels", "fields", "reason", "read"),
    [
        # Where nothing says it, one list, as ever, whatever the namespace asks for.
        ([plain()], {}, EVIL, "RequestApproved", ["cabrequests"]),
        ([plain()], ASKS, EVIL, "RequestApproved", ["cabrequests"]),
        # Where it is said and fits, the same.
        ([bound()], {}, {}, "RequestApproved", ["cabrequests"]),
        ([bound()], ASKS, {}, "RequestApproved", ["cabrequests"]),
        ([bound(), plain()], ASKS, {}, "RequestApproved", ["cabrequests"]),
        # A denial reads what every denial reads.
        ([bound()], {}, EVIL, "TemplateNotCovered", ["cabrequests", "shop"]),
        ([bound()], ASKS, EVIL, "TemplateNotCovered", ["cabrequests", "shop"]),
        ([bound(), plain()], ASKS, EVIL, "TemplateNotCovered", ["cabrequests", "shop"]),
        # The one case that reads the namespace to admit.
        ([bound(), plain()], {}, EVIL, "RequestApproved", ["cabrequests", "shop"]),
        ([plain("r", [POD_TEMPLATE])], {}, EVIL, "RequestApproved", ["cabrequests", "shop"]),
        ([plain("r", [POD_TEMPLATE])], ASKS, EVIL, "TemplateNotCovered", ["cabrequests", "shop"]),
    ],
)
async def test_what_is_read(requests, labels, fields, reason, read):
    api = CountingApi(requests, **labels)
    answer = await judged(api, made(**fields))
    assert answer.reason == reason
    assert api.read == read


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "PodTemplate"])
async def test_the_narrow_decoding_compares_the_whole_pod_template(kind):
    obj = made(kind)
    api = CountingApi([bound(obj, kind=kind)], **ASKS)
    assert (await judged(api, obj)).allowed
    for fields in (EVIL, {"env": [{"name": "A"}]}, {"livenessProbe": {"exec": {"command": ["x"]}}}):
        answer = await judged(api, made(kind, **fields))
        assert answer.reason == "TemplateNotCovered", fields
        assert f"containers[c0].{next(iter(fields))}" in answer.message


async def test_a_configured_kind_is_compared_by_the_paths_of_its_templates():
    kind = configured_kind("batch.example.com/Graph=spec.tasks[*].template")
    obj = {"apiVersion": "batch.example.com/v1", "kind": "Graph", "metadata": {"name": "web"},
           "spec": {"tasks": [{"template": template(["web:1"])} for _ in range(2)]}}  # fmt: skip
    said = {**target("web", "web:1", apiVersion="batch.example.com/v1", kind="Graph"),
            "template": template_of(kind, obj).digest}  # fmt: skip
    api = CountingApi([request("ManualReview", APPROVED, targets=[said], name="graph")], **ASKS)
    evil = copy.deepcopy(obj)
    evil["spec"]["tasks"][1]["template"]["spec"]["hostPID"] = True
    large = copy.deepcopy(obj)
    large["spec"]["notes"] = "x" * MAX_SOURCE_BYTES
    for each, reason in (
        (obj, "RequestApproved"),
        (evil, "TemplateNotCovered"),
        (large, "TemplateNotCovered"),
    ):
        review = read_admission(body_of(each), rollout=True)
        assert not review.is_narrow
        answer = await judge_rollout(review, kind, api, 0, NOW, configured=[kind])
        assert answer.reason == reason


async def test_a_pod_that_exists_changes_its_images_alone():
    """With what other webhooks gave it when it was made."""
    obj = made("Pod")
    old = copy.deepcopy(obj)
    old["spec"]["containers"].append({"name": "injected", "image": "mesh:1", "command": ["mesh"]})
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["image"] = "web:2"
    said = {**target("web", "web:1", "web:2", apiVersion="v1", kind="Pod"),
            "template": template_of(KINDS["Pod"], obj).digest}  # fmt: skip
    found = request("ManualReview", APPROVED, targets=[said], name="pod")
    assert (await judged(CountingApi([found], **ASKS), new, old)).allowed
    # By an approval that says what they do, at all: one opened without admits nothing here.
    said = target("web", "web:1", "web:2", apiVersion="v1", kind="Pod")
    without = request("ManualReview", APPROVED, targets=[said], name="later")
    spec = without.spec.model_copy(update={"requires": [POD_TEMPLATE]})
    without = without.model_copy(update={"spec": spec})
    answer = await judged(CountingApi([without], **ASKS), new, old)
    assert answer.reason == "TemplateNotCovered"
    assert (await judged(CountingApi([without]), new, old)).allowed


async def test_what_is_too_large_to_be_compared_is_not_covered():
    obj = made()
    large = copy.deepcopy(obj)
    large["spec"]["template"]["metadata"]["annotations"] = {"a": "x" * MAX_SOURCE_BYTES}
    for requests, labels, allowed in (
        ([bound()], {}, False),
        ([plain()], {}, True),
        ([plain()], ASKS, True),
        ([plain("r", [POD_TEMPLATE])], ASKS, False),
    ):
        assert (await judged(CountingApi(requests, **labels), large)).allowed is allowed
    # Notes of the object itself, and what it was before, do not count.
    noted = {**obj, "metadata": {**obj["metadata"], "annotations": {"a": "x" * MAX_SOURCE_BYTES}}}
    assert (await judged(CountingApi([bound()]), noted, large)).allowed


def as_the_api_server_writes_it(body):
    """JSON without spaces, and with what HTML minds escaped."""
    text = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":"))
    for each in "<>&\u2028\u2029":
        text = text.replace(each, f"\\u{ord(each):04x}")
    return text.encode()


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize(("filled", "each"), [("x", 1), ("&&", 12), ("\u2028", 6), ("\u00fc", 2)])
async def test_who_asks_before_is_told_what_the_gate_says_of_what_is_large(filled, each, more):
    obj = made()
    notes = obj["spec"]["template"]["metadata"].setdefault("annotations", {})
    notes |= {"a": "", "b": ""}
    size = len(as_the_api_server_writes_it(json.dumps(obj["spec"])))
    room = MAX_SOURCE_BYTES - size + more
    notes |= {"a": filled * (room // each), "b": "y" * (room % each)}
    assert len(as_the_api_server_writes_it(json.dumps(obj["spec"]))) == MAX_SOURCE_BYTES + more
    admission = read_admission(as_the_api_server_writes_it(body_of(obj)), rollout=True)
    assert admission.is_narrow
    api = CountingApi([bound()], **ASKS)
    answer = await judge_rollout(admission, KINDS["Deployment"], api, 0, NOW)
    before = running_rollout(KINDS["Deployment"], "shop", "web", obj)
    said = template_of(KINDS["Deployment"], made())
    assert (before.template == said) is answer.allowed is (more <= 0)


async def test_a_pod_template_that_cannot_be_read_is_denied_by_its_path():
    answer = await judged(CountingApi([bound()]), made(command="sh"))
    assert answer.reason == "MalformedObject"
    assert "spec.template.spec.containers[0].command: not a list" in answer.message
    # Where nobody says what the containers do, that is for the API server to tell.
    assert (await judged(CountingApi([plain()]), made(command="sh"))).allowed
