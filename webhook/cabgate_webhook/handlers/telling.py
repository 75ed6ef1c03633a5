# SPDX-License-Identifier: Apache-2.0
"""What whoever declares something new is told of it at once: what it comes to.

To find that out takes a list for each workload of the intent, in dry runs too, for a warning and
nothing else. So a namespace has it told as often as people declare, and no more.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from cabgate.api import DeploymentIntent
from cabgate.api.changepolicy import PLURAL as POLICIES
from cabgate.api.request import Provenance
from cabgate.api.riskmodel import PLURAL
from cabgate.lifecycle.requests.terms import choose_policy
from cabgate.review.identity import Machines
from cabgate.risk.model_choice import choose_model
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.targets import Workload
from cabgate.writes.declared import told_of_intent
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import LookupFailed

TOLD_SECONDS = 1.0
"""Time to find out what an intent comes to: a warning is not worth more of an admission
request's 4 s."""

AT_ONCE = 60.0
"""Lists of one namespace that are made for this at once: those of three intents with twenty
workloads each, or of sixty with one."""

A_SECOND = 4.0
"""How many more there are with each second."""


class Telling:
    """Makes that warning, and counts what it read for it, by namespace. One for a process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}

    async def warning_of(
        self,
        intent: DeploymentIntent,
        api: LiveReads,
        installation: InstallationSettings,
        machines: Machines,
        provenance: Sequence[Provenance] = (),
    ) -> str:
        """What whoever declares an intent reads at once; it never keeps them from declaring it."""
        namespace = intent.metadata.namespace
        workloads = {Workload.of(target) for target in intent.spec.targets}
        if not self._may_read(namespace, len(workloads)):
            return (
                "its score is not told now: too much was declared in this namespace within the "
                "last seconds, dry runs among it. Its status has it in a moment"
            )
        try:
            async with asyncio.timeout(TOLD_SECONDS):
                labels, models, policies, others = await asyncio.gather(
                    api.namespace_labels(namespace),
                    api.cluster_wide(PLURAL),
                    api.cluster_wide(POLICIES),
                    api.requests_naming(namespace, workloads),
                )
        except (LookupFailed, TimeoutError):
            return "its score could not be told now: the API server did not answer cabgate in time"
        ring = installation.namespace_ring(namespace, labels)
        model = choose_model(labels, models)
        policy = choose_policy(labels, policies)
        return told_of_intent(
            *(intent, ring, others, model, machines, provenance), labels=labels, policy=policy
        )

    def _may_read(self, namespace: str, lists: int) -> bool:
        """Whether a namespace has so many lists left, which are counted as made then."""
        now = self._monotonic()
        self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        # When all that it may have at once will be there again.
        full_at = max(self._full_at.get(namespace, now), now) + lists / A_SECOND
        if full_at - now > AT_ONCE / A_SECOND:
            return False
        self._full_at[namespace] = full_at
        return True
