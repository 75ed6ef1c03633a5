# SPDX-License-Identifier: Apache-2.0
"""Writes of outcomes as the webhook judges them: what it reads for which, and who may."""

import pytest

from cabgate.api import RolloutOutcome
from cabgate.outcomes.writing import labels_of, spec_of
from cabgate.review.identity import User
from cabgate.rollout.installation import InstallationSettings
from cabgate.text.refusal import Refusal
from cabgate_samples.models import intent, target
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.handlers.outcomes import judge_outcome, stamp_outcome
from unit.core.outcomes.outcomes import IMAGE, at, interruption, outcome_of, stamp
from unit.core.outcomes.workloads import deployment, pod, running

NOW = running()
CLOCK = at(1000)
OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
SPEC = spec_of(NOW, 1, "web", "shop")
STATUS = "rolloutoutcomes/status"


class Reads:
    """What is stored, and what was asked for."""

    def __init__(self, workload=None, pods=(), outcomes=(), holds=True):
        self.asked = []
        self._workload, self._pods, self._outcomes = workload, pods, outcomes
        self._holds = holds

    async def namespace_labels(self, name):
        return {"cabgate.dev/ring": "1"}

    async def intent(self, namespace, name):
        return intent({}, [target("web", IMAGE)], name="web", release="shop")

    async def workload(self, namespace, workload):
        self.asked.append(str(workload))
        return self._workload

    async def request(self, namespace, name):
        self.asked.append(f"request {name}")

    async def exceptions_for(self, namespace, names):
        self.asked.append(f"exceptions for {names}")
        return []

    async def pods(self, namespace, selector):
        self.asked.append(f"pods {selector}")
        for each in self._pods:
            yield [each]

    async def outcomes(self, namespace, label):
        self.asked.append("outcomes")
        return list(self._outcomes)

    async def may(self, user, **asked):
        self.asked.append(f"may {asked['verb']}")
        return self._holds


def admission(where, old, new, user=OPERATOR, operation="UPDATE"):
    resource, _, subresource = where.partition("/")
    fields = ("cabgate.dev", resource, subresource, operation, "shop", "web-1")
    return AdmissionRequest("uid", *fields, User(user), new, old)


def stored(*interruptions, **more):
    found = outcome_of(*interruptions, images=[IMAGE], template=NOW.template, **more)
    return found.model_dump(mode="json", by_alias=True, exclude_none=True)


async def judged(reads, request):
    """The reason of the answer, or the field of the refusal."""
    try:
        answer = await judge_outcome(request, reads, OPERATOR, CLOCK, InstallationSettings())
    except Refusal as refusal:
        return refusal.field or refusal.reason
    return answer.reason


def created(spec=SPEC, user=OPERATOR, **metadata):
    made = RolloutOutcome.model_validate({"spec": spec.to_dict()}).to_dict()
    made["metadata"] = {"name": "web-1", "labels": labels_of(spec), **metadata}
    return admission("rolloutoutcomes", {}, made, user, "CREATE")


async def test_a_new_outcome_is_compared_with_what_runs():
    reads = Reads(deployment())
    assert await judged(reads, created()) == "OutcomeBegun"
    assert reads.asked == ["Deployment web"]
    assert await judged(Reads(deployment(available=1)), created()) == "spec.target"
    assert await judged(Reads(), created()) == "spec.target"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (created(user="mallory"), "WrittenByOperatorOnly"),
        (created(finalizers=["example.com/stay"]), "metadata.finalizers"),
        (created(ownerReferences=[{"name": "x"}]), "metadata.ownerReferences"),
        (created(SPEC.model_copy(update={"request_name": "r"})), "spec.requestName"),
        (created(SPEC.model_copy(update={"exception_name": "x"})), "spec.exceptionName"),
        (
            created(
                SPEC.model_copy(
                    update={"target": SPEC.target.model_copy(update={"kind": "ReplicaSet"})}
                )
            ),
            "spec.target",
        ),
    ],
)
async def test_a_new_outcome_is_refused(request_, field):
    assert await judged(Reads(deployment()), request_) == field


async def test_what_cannot_be_read_has_no_outcome():
    broken = deployment()
    broken["spec"]["template"] = {"spec": {"containers": 7}}
    assert await judged(Reads(broken), created()) == "spec.target"


async def test_its_labels_are_kept():
    old, new = stored(), stored()
    new["metadata"]["labels"] = {"cabgate.dev/release": "other"}
    assert await judged(Reads(), admission("rolloutoutcomes", old, new)) == "metadata.labels"
    assert await judged(Reads(), admission("rolloutoutcomes", old, old)) == "MetadataWrite"


async def test_the_pods_are_read_where_more_are_said_to_be_ready():
    write = admission(STATUS, stored(), stored(pods=(2, 0)))
    reads = Reads(deployment(), pods=[pod("a"), pod("b")])
    assert await judged(reads, write) == "SystemWrite"
    assert reads.asked == ["Deployment web", "pods app=web"]
    assert await judged(Reads(deployment(), pods=[pod("a")]), write) == "status.pods.seen"
    assert await judged(Reads(), write) == "status.pods.seen"


async def test_the_others_are_read_where_it_ends():
    write = admission(STATUS, stored(), stored(result="Succeeded", ended=1000))
    reads = Reads()
    assert await judged(reads, write) == "SystemWrite"
    assert reads.asked == ["Deployment web", "outcomes"]


async def test_nothing_else_is_read_of_an_interruption():
    reads = Reads(deployment(available=0))
    write = admission(STATUS, stored(), stored(interruption(900)))
    assert await judged(reads, write) == "SystemWrite"
    assert reads.asked == ["Deployment web"]


REPORT = {"id": "INC-1", "severity": 2, "source": "pager"}


async def test_incidents_are_of_who_may_report():
    old, new = stored(), stored()
    new["status"]["report"] = REPORT
    asked = admission(STATUS, old, new, "ann")
    answer = stamp_outcome(asked, OPERATOR, CLOCK)
    (patch,) = answer.patch
    assert patch["value"]["incidents"] == [{**REPORT, "at": stamp(1000), "by": "ann"}]
    assert answer.warnings
    made = admission(STATUS, old, {**new, "status": patch["value"]}, "ann")
    reads = Reads()
    assert await judged(reads, made) == "IncidentReported"
    assert reads.asked == ["may report"]
    assert await judged(Reads(holds=False), made) == "status.report"
    assert await judged(Reads(), admission(STATUS, old, old, "ann")) == "Unchanged"


def test_a_status_that_says_nothing_new_is_left_as_it_is():
    assert not stamp_outcome(admission(STATUS, stored(), stored()), OPERATOR, CLOCK).patch
    without = {**stored(), "status": None}
    assert not stamp_outcome(admission(STATUS, stored(), without), OPERATOR, CLOCK).patch
