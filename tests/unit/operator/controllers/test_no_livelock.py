# SPDX-License-Identifier: Apache-2.0
"""Whatever people declare, decide, revoke and delete, in whatever order: the operator never tries a
write that the webhook refuses for ever, and has nothing left to write once it has looked."""

import asyncio
import copy
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cabgate.api import CABException, CABRequest, DeploymentIntent
from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionState, ExceptionVerdict
from cabgate.api.request import RequestState, RequestVerdict
from cabgate.api.types import AuthorType
from cabgate.lifecycle.limits.flapping import ABSENCE
from cabgate.lifecycle.requests.opening import is_current
from cabgate.lifecycle.state.states import next_exception_state, next_request_state, state_of
from cabgate.review.submitters import is_decided
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_kube.resources import EXCEPTIONS, INTENTS, REQUESTS, RISK_MODELS, Object
from cabgate_operator.controllers.exceptions import reconcile_exception
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.plans.requests import UNDECIDED
from cabgate_operator.work.keys import Key, Subject
from support.examples import examples
from unit.core.standings import approver_of, own_approver
from unit.operator.judged import JudgedApi
from unit.operator.support import BAD, GOOD, MIDDLING, World, exception_object, intent_object

KEY = Key(Subject.INTENT, "team", "web")
INTENT = (INTENTS.plural, "team", "web")
MODEL = (RISK_MODELS.plural, "", DEFAULT_RISK_MODEL.name)

CONTENTS = {
    "low": GOOD,
    "worse": {**GOOD, "scanResults": {"critical": 0, "high": 9}},
    "other": {**GOOD, "testResults": {"coveragePercent": 99, "passed": 11, "failed": 0}},
    "medium": MIDDLING,
    "high": BAD,
    "unnamed": {**GOOD, "artifacts": [{"name": "web"}]},
}
WRITTEN = ("low", "low", "low", "worse", "worse", "medium", "high", "high", "other", "unnamed")
IMAGES = (("r/web:1",),) * 4 + (("r/web:2",), ("r/web:1", "r/web:2"))
LOOKS = st.sampled_from((True, True, True, False))
"""Whether the operator looks before anything else happens."""
PEOPLE = ("rita", "sam")


class Cluster(RuleBasedStateMachine):
    """A team, reviewers and the operator at one intent."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = self.loop.run_until_complete(self._made())
        self.api.refusals = []
        self.model = copy.deepcopy(self.api.objects[MODEL])
        self.generation = 0
        self.acts = False
        self.raced: list[tuple[str, str, str]] = []
        """Who approved what at the moment of becoming its submitter."""

    async def _made(self) -> World:
        world = World()
        judged = JudgedApi(world.clock)
        judged.objects = world.api.objects
        world.api = judged
        world.context.api = judged  # type: ignore[assignment]
        return world

    @property
    def api(self) -> JudgedApi:
        found = self.world.api
        assert isinstance(found, JudgedApi)
        return found

    def teardown(self) -> None:
        self.loop.close()

    def requests(self) -> list[CABRequest]:
        return [CABRequest.model_validate(raw) for raw in self.api.all(REQUESTS)]

    def intent(self) -> DeploymentIntent | None:
        return self.api.intent("team", "web")

    def put_decision(self, raw: dict[str, Any], verdict: str, who: str, **more: Any) -> None:
        status = copy.deepcopy(raw.get("status") or {})
        decided = list(status.get("decisions", []))
        digest = more.pop("digest")
        decided.append(
            {
                "sequence": len(decided) + 1,
                "author": {"type": "Person", "username": who},
                "at": rfc3339(self.world.clock()),
                "verdict": verdict,
                "rationale": "because",
                "evidenceDigest": digest,
                **more,
            }
        )
        status["decisions"] = decided
        stored = {**raw, "status": status}
        kind = CABRequest if raw["kind"] == REQUESTS.kind else CABException
        subject = kind.model_validate(stored)
        if isinstance(subject, CABRequest):
            status["state"] = state_of(subject).value
        else:
            status["state"] = state_of(subject, self.world.clock()).value
        self.api.put(REQUESTS if kind is CABRequest else EXCEPTIONS, stored)

    # What people do.

    @rule(what=st.sampled_from(WRITTEN), images=st.sampled_from(IMAGES),
          also=st.sampled_from(("", "", "", *PEOPLE)), acts=LOOKS)  # fmt: skip
    def declare(self, what: str, images: tuple[str, ...], also: str, acts: bool) -> None:
        """Somebody writes the intent; `also` does so in the moment of a decision, admitted by what
        stood there before."""
        self.acts = acts
        self.write(CONTENTS[what], images, also)

    def write(self, content: Object, images: tuple[str, ...], also: str) -> None:
        """Store the intent."""
        body = intent_object(content, images=images)
        stored = self.api.objects.get(INTENT)
        self.generation += 1
        body["metadata"]["generation"] = self.generation
        if stored is not None:
            body["status"] = copy.deepcopy(stored.get("status", {}))
            body["metadata"]["uid"] = stored["metadata"]["uid"]
            if not is_decided(DeploymentIntent.model_validate(stored)):
                body["spec"]["submittedBy"] = copy.deepcopy(stored["spec"]["submittedBy"])
        people = [each["username"] for each in body["spec"]["submittedBy"]]
        if also and also not in people:
            body["spec"]["submittedBy"].append({"username": also})
        self.api.put(INTENTS, body)

    @rule(acts=LOOKS)
    def delete(self, acts: bool) -> None:
        self.acts = acts
        self.api.objects.pop(INTENT, None)
        self.raced.clear()  # who submitted is gone with it: docs/limits.md

    @precondition(lambda self: self.api.all(REQUESTS))
    @rule(data=st.data(), verdict=st.sampled_from(
        ["Approved", "UnderReview", "Rejected", "Revoked", "Approved"]),
        who=st.sampled_from(PEOPLE), acts=LOOKS)  # fmt: skip
    def review(self, data: st.DataObject, verdict: str, who: str, acts: bool) -> None:
        self.acts = acts
        raw = data.draw(st.sampled_from(self.api.all(REQUESTS)))
        request = CABRequest.model_validate(raw)
        said = RequestVerdict(verdict)
        if next_request_state(request, state_of(request), said, AuthorType.PERSON) is None:
            return
        if verdict != "Revoked" and not is_current(request, self.intent()):
            return
        more = {"images": ["*"]} if verdict == "Revoked" else {}
        self.put_decision(raw, verdict, who, digest=request.spec.evidence_digest, **more)

    @precondition(lambda self: self.api.all(REQUESTS))
    @rule(data=st.data(), days=st.integers(1, 3), acts=LOOKS)
    def ask_for_an_exception(self, data: st.DataObject, days: int, acts: bool) -> None:
        self.acts = acts
        raw = data.draw(st.sampled_from(self.api.all(REQUESTS)))
        request = CABRequest.model_validate(raw)
        if request.spec.assessment.gate.value != "ExceptionRequired":
            return
        body = exception_object(request, days=days, created=self.world.clock())
        body["metadata"]["name"] = f"leave-{len(self.api.all(EXCEPTIONS))}"
        self.api.put(EXCEPTIONS, {**body, "status": {}})

    @precondition(lambda self: self.api.all(EXCEPTIONS))
    @rule(data=st.data(), verdict=st.sampled_from(["Approved", "Rejected", "Revoked"]),
          who=st.sampled_from(PEOPLE), acts=LOOKS)  # fmt: skip
    def decide_an_exception(self, data: st.DataObject, verdict: str, who: str, acts: bool) -> None:
        self.acts = acts
        raw = data.draw(st.sampled_from(self.api.all(EXCEPTIONS)))
        exception, now = CABException.model_validate(raw), self.world.clock()
        said, state = ExceptionVerdict(verdict), state_of(exception, now)
        if next_exception_state(exception, state, said, AuthorType.PERSON, now) is None:
            return
        name = exception.spec.request_ref.name
        place = (REQUESTS.plural, "team", name)
        digest = CABRequest.model_validate(self.api.objects[place]).spec.evidence_digest
        self.put_decision(raw, verdict, who, digest=digest)

    @rule(who=st.sampled_from(("tom", "tina")), moves=st.booleans(), acts=LOOKS)
    def race(self, who: str, moves: bool, acts: bool) -> None:
        """Somebody approves, and at the same moment changes the intent; neither admission saw the
        other. Then somebody moves on to other content, or not."""
        intent, now = self.intent(), self.world.clock()
        people = [] if intent is None else [each.username for each in intent.spec.submitted_by]
        current = [r for r in self.requests() if is_current(r, intent)]
        if not current or who in people or state_of(current[0]) not in UNDECIDED:
            return
        self.acts = acts
        request = current[0]
        raw = self.api.objects[(REQUESTS.plural, "team", request.metadata.name)]
        if state_of(request) is RequestState.EXCEPTION_REQUIRED:
            raw = exception_object(request, days=1, created=now)
            raw["metadata"]["name"] = f"leave-{len(self.api.all(EXCEPTIONS))}"
            raw["metadata"]["uid"] = raw["metadata"]["name"]
            raw["status"] = {}
            self.api.put(EXCEPTIONS, raw)
        self.put_decision(raw, "Approved", who, digest=request.spec.evidence_digest)
        self.raced.append((raw["kind"], raw["metadata"]["name"], who))
        raw_intent = self.api.objects[INTENT]
        images = tuple(raw_intent["spec"]["targets"][0]["images"])
        self.write(raw_intent["spec"]["evidence"], images, who)
        if moves:
            self.write(CONTENTS["other"], images, "")

    @rule(how=st.sampled_from(["gone", "replaced", "back"]), acts=LOOKS)
    def change_the_model(self, how: str, acts: bool) -> None:
        self.acts = acts
        self.api.objects.pop(MODEL, None)
        model = copy.deepcopy(self.model)
        if how == "replaced":
            model["spec"]["version"] = "other"
        if how != "gone":
            self.api.put(RISK_MODELS, model)

    @rule(seconds=st.sampled_from([1, 3600, 2 * 86400]), acts=LOOKS)
    def wait(self, seconds: int, acts: bool) -> None:
        self.acts = acts
        self.world.clock.forward(seconds)

    @precondition(lambda self: self.superseded())
    @rule(data=st.data(), places=st.integers(104, 127), acts=LOOKS)
    def fill(self, data: st.DataObject, places: int, acts: bool) -> None:
        """A request has gone back and forth for months, and is declared again."""
        self.acts = acts
        raw = data.draw(st.sampled_from(self.superseded()))
        request = CABRequest.model_validate(raw)
        status = copy.deepcopy(raw["status"])
        author = {"type": "System", "username": self.world.context.username}
        while len(status["decisions"]) < 2 * places:
            for verdict in ("Reopened", "Superseded"):
                status["decisions"].append(
                    {
                        "sequence": len(status["decisions"]) + 1,
                        "author": author,
                        "at": rfc3339(self.world.clock()),
                        "verdict": verdict,
                        "rationale": "because",
                        "evidenceDigest": request.spec.evidence_digest,
                    }
                )
        self.api.put(REQUESTS, {**raw, "status": status})
        spec = request.spec.to_dict()
        self.write(spec["evidence"], tuple(spec["targets"][0]["images"]), "")

    def superseded(self) -> list[Object]:
        """The requests that are superseded."""
        return [
            raw
            for raw in self.api.all(REQUESTS)
            if state_of(CABRequest.model_validate(raw)) is RequestState.SUPERSEDED
        ]

    # What the operator does.

    @invariant()
    def the_operator_tries_nothing_in_vain(self) -> None:
        if not self.acts:
            return
        self.acts = False
        self._look()
        self._nothing_is_left()
        self.world.clock.forward(ABSENCE.total_seconds())  # an intent that is gone stays away
        self._look()
        self._nothing_is_left()
        assert self.api.refusals == []
        self._nobody_is_both()

    def _look(self) -> None:
        """Look, and look again at what a watch brings, but for what the look itself wrote and took
        account of."""
        for body in self.api.all(EXCEPTIONS):
            self._look_at_exception(body)
        again = True
        while again:
            before = self._versions()
            self.loop.run_until_complete(reconcile_intent(self.world.context, KEY))
            # Of two writes of one look, the first is noted as well.
            again = not self.world.context.own_writes.written >= self._versions() - before
        self.world.clock.forward(1)

    def _versions(self) -> set[tuple[str, str]]:
        metas = (body["metadata"] for body in (*self.api.all(INTENTS), *self.api.all(REQUESTS)))
        return {(meta["uid"], meta["resourceVersion"]) for meta in metas}

    def _look_at_exception(self, body: Object) -> None:
        key = Key(Subject.EXCEPTION, "team", body["metadata"]["name"])
        self.loop.run_until_complete(reconcile_exception(self.world.context, key))

    def _nothing_is_left(self) -> None:
        written = list(self.api.written)
        for body in self.api.all(EXCEPTIONS):
            self._look_at_exception(body)
        self.loop.run_until_complete(reconcile_intent(self.world.context, KEY))
        assert self.api.written == written, "nothing is left to write"

    def _nobody_is_both(self) -> None:
        """Who approved what the intent declares now, and stands in it, was noticed before that."""
        intent = self.intent()
        for kind, name, who in self.raced:
            place = REQUESTS.plural if kind == REQUESTS.kind else EXCEPTIONS.plural
            raw = self.api.objects[(place, "team", name)]
            author = approver_of(
                CABRequest.model_validate(raw)
                if kind == REQUESTS.kind
                else CABException.model_validate(raw)
            )
            over = raw["status"]["state"] in ("Revoked", "Expired")
            assert over or author is None or author.username != who, (kind, name)
        self.raced.clear()
        for request in self.requests():
            assert not own_approver(request, intent)
            exceptions = map(CABException.model_validate, self.api.all(EXCEPTIONS))
            for each in exceptions:
                if each.spec.request_ref.name != request.metadata.name:
                    continue
                if state_of(each, self.world.clock()) is ExceptionState.APPROVED:
                    assert not own_approver(each, intent, request)


Cluster.TestCase.settings = settings(
    max_examples=examples(20),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestCluster = Cluster.TestCase
