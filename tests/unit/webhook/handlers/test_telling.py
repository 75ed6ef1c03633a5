# SPDX-License-Identifier: Apache-2.0
"""What an intent comes to is told as often as people declare: whoever declares without end, in dry
runs too, has it read no more than that, and is let declare all the same."""

import pytest

from cabgate.api.types import MAX_DECLARED_TARGETS
from cabgate.review.identity import SERVICE_ACCOUNTS
from cabgate.rollout.installation import InstallationSettings
from cabgate_webhook.handlers.telling import A_SECOND, AT_ONCE, Telling
from unit.webhook.handlers.test_tenant_reads import CountingApi, declared, targets

INSTALLATION = InstallationSettings()


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Namespaces(CountingApi):
    async def cluster_wide(self, plural):
        return []


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def telling(clock):
    return Telling(clock)


async def seen(telling, api, workloads=1, namespace="team"):
    intent = declared(0.1, targets=targets(workloads))
    metadata = intent.metadata.model_copy(update={"namespace": namespace})
    intent = intent.model_copy(update={"metadata": metadata})
    said = await telling.warning_of(intent, api, INSTALLATION, SERVICE_ACCOUNTS)
    return "not told now" not in said


async def test_a_release_of_sixty_workloads_is_told_of_whatever_intents_it_takes(telling):
    assert all([await seen(telling, Namespaces()) for _ in range(60)])
    other = Telling(Clock())
    assert all([await seen(other, Namespaces(), MAX_DECLARED_TARGETS) for _ in range(3)])


async def test_a_thousand_dry_runs_read_no_more_than_that_and_another_team_is_told(telling, clock):
    api = Namespaces()
    for _ in range(1000):
        await seen(telling, api, MAX_DECLARED_TARGETS)
        clock.now += 0.01
    lists = [path for path, _ in api.reads if path.endswith("/cabrequests")]
    assert AT_ONCE <= len(lists) <= AT_ONCE + 10 * A_SECOND
    assert await seen(telling, api, MAX_DECLARED_TARGETS, "another")


async def test_it_is_told_again_after_a_while(telling, clock):
    while await seen(telling, Namespaces(), MAX_DECLARED_TARGETS):
        pass
    clock.now += MAX_DECLARED_TARGETS / A_SECOND
    assert await seen(telling, Namespaces(), MAX_DECLARED_TARGETS)
    assert not await seen(telling, Namespaces(), MAX_DECLARED_TARGETS)
    clock.now += 10 * AT_ONCE
    assert await seen(telling, Namespaces(), 1, "another")
    assert set(telling._full_at) == {"another"}  # nothing is kept of who has all of it again
