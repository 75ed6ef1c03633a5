# SPDX-License-Identifier: Apache-2.0
"""What one team's objects make a review read, however bad they are: so many calls, so many bytes,
so much memory. None of it depends on the machine."""

import asyncio
import json
import tracemalloc
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cabgate.api import DeploymentIntent
from cabgate.api.types import MAX_DECLARED_TARGETS
from cabgate.ledger.signatures import SigningKeys
from cabgate.lifecycle.limits.budget import MAX_OF_WORKLOAD_BYTES, MAX_WAITING
from cabgate.lifecycle.limits.capacity import MAX_SPEC_BYTES, check_size, stored_bytes
from cabgate.review.identity import SERVICE_ACCOUNTS, User
from cabgate.rollout.workloads import kind_of
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_bench.load.worst import worst_spec
from cabgate_samples.models import NAMESPACE, NOW, by_person, exception, intent, request
from cabgate_samples.objects import MIDDLING
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import READ_BYTES
from cabgate_webhook.handlers.exceptions import judge_exception
from cabgate_webhook.handlers.reviews import judge_status, stamp_review
from cabgate_webhook.handlers.rollouts import judge_rollout
from unit.core.standings import check_opening

MIB = 1024 * 1024
KEYS = SigningKeys(
    Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
THIRD_OF_THE_LIMIT = 128 * MIB
"""Of the memory that the chart gives the webhook."""
MOST_READS = 4


class CountingApi(LiveReads):
    """An API server that holds some objects and counts what is read of them."""

    def __init__(self, requests=(), exceptions=(), intents=()):
        super().__init__(None)
        self._kinds = {
            "cabrequests": [stored(each) for each in requests],
            "cabexceptions": [stored(each) for each in exceptions],
            "deploymentintents": [stored(each) for each in intents],
        }
        self.reads = []
        self.bytes = 0

    async def may(self, user, **asked):
        return asked["verb"] in ("approve", "revoke")

    async def _read(self, path, query=None, **_):
        self.reads.append((path, query))
        data = sent(self._found(path, query or {}))
        self.bytes += len(data)
        await asyncio.sleep(0)
        return data

    def _found(self, path, query):
        *_, plural, name = path.split("/")
        if plural in self._kinds:
            return next(each for each in self._kinds[plural] if each["metadata"]["name"] == name)
        if name not in self._kinds:
            return {"metadata": {"name": name, "labels": {"cabgate.dev/ring": "3"}}}
        return {"items": [each for each in self._kinds[name] if selected(each, query)]}


def stored(obj):
    return obj.model_dump(mode="json", by_alias=True, exclude_none=True)


def sent(value):
    """JSON as the API server sends it."""
    return json.dumps(value).replace("<", "\\u003c").encode()


def selected(obj, query):
    labels = obj["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        if (term.lstrip("!") in labels) is term.startswith("!"):
            return False
    name = query.get("fieldSelector", "").removeprefix("spec.requestRef.name=")
    return not name or obj["spec"]["requestRef"]["name"] == name


def targets(count, images=1):
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": f"web-{n}",
            "images": [f"registry.example.com/web:{n}-{i}" for i in range(images)],
        }
        for n in range(count)
    ]


def largest(**fields):
    """The largest intent of the worst that the schema takes which is let in."""
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        try:
            check_size(None, declared(middle, **fields))
            low = middle
        except Refusal:
            high = middle
    return declared(low, **fields)


def declared(part, number=0, **fields):
    spec = worst_spec("DeploymentIntent", part, **{"targets": targets(1), **fields})
    spec["correlationID"] = f"C-{number}"
    spec["evidence"]["testResults"]["passed"] = number
    return DeploymentIntent.model_validate(
        {"metadata": {"name": "web", "namespace": NAMESPACE, "uid": "u-1"}, "spec": spec}
    )


def test_the_worst_that_the_schema_takes_is_refused_and_the_largest_that_is_not_is_known():
    with pytest.raises(Refusal, match="as it is stored") as refusal:
        check_size(None, declared(1.0))
    assert refusal.value.field == "spec"
    assert 0.9 * MAX_SPEC_BYTES < stored_bytes(largest().spec.to_dict()) <= MAX_SPEC_BYTES


def filled(made, entry):
    """As many requests for one workload as may be opened, of the largest that are let in, and what
    is said to the next one."""
    found = []
    for number in range(1000):
        spec = made.spec.model_copy(update={"correlation_id": f"C-{number}"})
        changed = made.model_copy(update={"spec": spec})
        new = request(of=changed, name=f"web-{number:08x}", age=timedelta(hours=2))
        try:
            check_opening(new, [(each, len(sent(stored(each)))) for each in found])
        except Refusal as refusal:
            return found, refusal
        found.append(
            request(of=changed, name=new.metadata.name, age=timedelta(hours=2))
            if number
            else request("ManualReview", entry, of=changed, name=new.metadata.name)
        )
    raise AssertionError("any number of requests may be opened")


def rollout_of(image, name="web-0"):
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}},
    }
    return review_of(obj, "deployments", group="apps", operation="CREATE", name=name)


def review_of(obj, resource, *, group="cabgate.dev", operation="UPDATE", old=None, **more):
    return AdmissionRequest(
        uid="u-1",
        group=group,
        resource=resource,
        operation=operation,
        namespace=NAMESPACE,
        user=User("rita"),
        object=obj,
        old_object=old or {},
        **{"subresource": "", "name": "", **more},
    )


@pytest.fixture(scope="module")
def worst_of_one():
    """The requests of one workload at their worst, the first of them approved."""
    return filled(largest(), by_person("Approved"))[0]


def test_no_more_requests_are_opened_than_a_review_can_read():
    found, refusal = filled(largest(), by_person("Approved"))
    assert 5 < len(found) < 20
    assert refusal.reason is RefusalReason.BUDGET_USED_UP
    assert "Deployment web-0" in refusal.message
    assert "What is approved still admits" in refusal.message


def rolls_out(api, image):
    return judge_rollout(rollout_of(image), kind_of("apps/v1", "Deployment"), api, 0, NOW)


async def test_a_used_up_budget_stops_no_rollback_and_costs_one_list_of_requests(worst_of_one):
    api = CountingApi(worst_of_one)
    answer = await rolls_out(api, targets(1)[0]["images"][0])
    assert answer.allowed, answer.message
    # On a busy machine the exceptions are asked for meanwhile, and not waited for.
    assert [path.rpartition("/")[2] for path, _ in api.reads].count("cabrequests") == 1
    assert MAX_OF_WORKLOAD_BYTES / 2 < api.bytes < READ_BYTES


async def test_a_denial_reads_at_most_four_times_whatever_waits():
    risky = [
        request(
            "ExceptionRequired", name=f"web-{n}", targets=targets(1), age=timedelta(hours=n + 1)
        )
        for n in range(6)
    ]
    leaves = [
        exception(each, name=f"{each.metadata.name}-{n}")
        for each in risky
        for n in range(MAX_WAITING)
    ]
    for count in (1, 2, 6):
        api = CountingApi(risky[:count], leaves)
        answer = await rolls_out(api, targets(1)[0]["images"][0])
        assert not answer.allowed
        assert len(api.reads) <= MOST_READS, api.reads
    assert api.bytes < READ_BYTES


async def test_the_exceptions_for_one_request_are_few():
    risky = request("ExceptionRequired")
    leaves = [exception(risky, name=f"leave-{n}") for n in range(MAX_WAITING)]
    new = stored(exception(risky, name="more"))
    asked = review_of(new, "cabexceptions", operation="CREATE")
    stamped = {**new["spec"], "submittedBy": [{"username": "rita", "type": "Person"}]}
    asked = review_of({**new, "spec": stamped}, "cabexceptions", operation="CREATE")
    api = CountingApi([risky], leaves)
    with pytest.raises(Refusal, match="wait for request") as refusal:
        await judge_exception(asked, api, SERVICE_ACCOUNTS, NOW)
    assert refusal.value.reason is RefusalReason.BUDGET_USED_UP
    assert len(api.reads) <= MOST_READS
    api = CountingApi([risky], leaves[1:])
    assert (await judge_exception(asked, api, SERVICE_ACCOUNTS, NOW)).allowed


def reviewed(made, verdict):
    old = stored(made)
    new = {**old, "status": {**old["status"], "review": {"verdict": verdict, "rationale": "seen"}}}
    return review_of(new, "cabrequests", old=old, subresource="status", name=made.metadata.name)


@pytest.mark.parametrize("verdict", ["Approved", "Revoked"])
async def test_a_decision_reads_each_request_once(verdict):
    """One list for each workload, and what several workloads share in one of them alone."""
    people = [{"username": "ann"}]
    live = intent(MIDDLING, targets(MAX_DECLARED_TARGETS), name="web", submittedBy=people)
    entries = [by_person("Approved")] if verdict == "Revoked" else []
    made = request("ManualReview", *entries, of=live)
    others = [
        request("ManualReview", of=live, name=f"web-{n}", age=timedelta(hours=2)) for n in range(10)
    ]
    all_of_them = [made, *others]
    api = CountingApi(all_of_them, intents=[live])
    patch = (await stamp_review(reviewed(made, verdict), api, KEYS, NOW, SERVICE_ACCOUNTS)).patch
    lists = [query for path, query in api.reads if path.endswith("/cabrequests")]
    assert len(lists) == MAX_DECLARED_TARGETS
    assert len(api.reads) <= MAX_DECLARED_TARGETS + 3
    whole = sum(len(sent(stored(each))) for each in all_of_them)
    assert api.bytes < 1.5 * whole
    new = {**stored(made), "status": patch[0]["value"]}
    api = CountingApi(all_of_them, intents=[live])
    judged = review_of(new, "cabrequests", old=stored(made), subresource="status",
                       name=made.metadata.name)  # fmt: skip
    answer = await judge_status(judged, api, "operator", KEYS, NOW, SERVICE_ACCOUNTS)
    assert answer.reason == "DecisionRecorded"
    assert len(api.reads) <= MAX_DECLARED_TARGETS + 3


async def test_a_decision_on_one_workload_reads_at_most_four_times(worst_of_one):
    made = worst_of_one[0]
    live = DeploymentIntent.model_validate(
        {
            "metadata": {"name": "web", "namespace": NAMESPACE, "uid": "u-1"},
            "spec": {"targets": targets(1)},
        }
    )
    api = CountingApi(worst_of_one, intents=[live])
    answer = await stamp_review(reviewed(made, "Revoked"), api, KEYS, NOW, SERVICE_ACCOUNTS)
    assert answer.patch[0]["value"]["state"] == "Revoked"
    assert len(api.reads) <= MOST_READS
    assert api.bytes < READ_BYTES


@pytest.mark.slow
async def test_many_rollouts_of_the_worst_stay_far_below_the_memory_limit(worst_of_one):
    api = CountingApi(worst_of_one)
    image = targets(1)[0]["images"][0]
    await rolls_out(api, image)
    tracemalloc.start()
    try:
        answers = await asyncio.gather(*(rolls_out(api, image) for _ in range(64)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(answer.allowed for answer in answers)
    assert most < THIRD_OF_THE_LIMIT
