# SPDX-License-Identifier: Apache-2.0
"""Reviews in their three steps, stamped, validated and stored, in any order of two of them: what
the webhook does to each half, on objects that lie in memory."""

import copy
from datetime import timedelta
from itertools import permutations

from cabgate.api import CABException, CABRequest
from cabgate.review.identity import SERVICE_ACCOUNTS, User
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NAMESPACE, NOW, rollout
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.handlers.reviews import judge_status, stamp_review
from unit.core.standings import decide
from unit.webhook.handlers.test_tenant_reads import KEYS, CountingApi

SECOND = timedelta(seconds=1)
STEPS = ("stamp", "judge", "store")


class World(CountingApi):
    """What is stored, and the time."""

    def __init__(self, requests, exceptions=(), intents=()):
        super().__init__(requests, exceptions, intents)
        self.now = NOW + timedelta(milliseconds=500)

    def found(self, plural, name):
        return next(each for each in self._kinds[plural] if each["metadata"]["name"] == name)

    def put(self, plural, obj):
        name = obj["metadata"]["name"]
        kept = [each for each in self._kinds[plural] if each["metadata"]["name"] != name]
        self._kinds[plural] = [*kept, obj]

    @property
    def requests(self):
        return [CABRequest.model_validate(each) for each in self._kinds["cabrequests"]]

    @property
    def exceptions(self):
        return [CABException.model_validate(each) for each in self._kinds["cabexceptions"]]

    def said(self, *images):
        """What the gate says a minute later."""
        later = NOW + timedelta(minutes=1)
        return decide(rollout(*images), 2, self.requests, self.exceptions, later)


class Writer:
    """A review of one person, which goes on as long as nobody refuses it."""

    def __init__(self, world, user, name, verdict, plural="cabrequests", **more):
        self.world, self.user, self.plural = world, user, plural
        self.old = copy.deepcopy(world.found(plural, name))
        review = {"verdict": verdict, "rationale": "seen", **more}
        status = {**(self.old.get("status") or {}), "review": review}
        self.new = {**self.old, "status": status}
        self.refused = None
        self.warnings = ()
        self.stored = False

    def _review(self):
        name, user = self.old["metadata"]["name"], User(self.user)
        where = ("cabgate.dev", self.plural, "status", "UPDATE", NAMESPACE, name)
        return AdmissionRequest("u", *where, user, self.new, self.old)

    async def stamp(self):
        answer = await stamp_review(
            self._review(), self.world, KEYS, self.world.now, SERVICE_ACCOUNTS
        )
        self.new = {**self.new, "status": answer.patch[0]["value"]}

    async def judge(self):
        answer = await judge_status(
            self._review(), self.world, "operator", KEYS, self.world.now, SERVICE_ACCOUNTS
        )
        self.warnings = answer.warnings

    async def store(self):
        self.world.put(self.plural, self.new)
        self.stored = True

    async def do(self, step):
        if self.refused is None:
            try:
                await getattr(self, step)()
            except Refusal as refusal:
                self.refused = refusal

    @property
    def entry(self):
        """The entry that it adds."""
        return self.new["status"]["decisions"][-1]


def orders(*names):
    """Every order of the steps of some reviews, each of which comes in its own order."""
    every = sorted({tuple(order) for order in permutations(names * len(STEPS))})
    for order in every:
        left = {name: list(STEPS) for name in names}
        yield [(name, left[name].pop(0)) for name in order]


async def play(world, writers, order, turn):
    """Do the steps of an order; the second turns before the step of a number."""
    for number, (name, step) in enumerate(order):
        if number == turn:
            world.now += SECOND
        await writers[name].do(step)
