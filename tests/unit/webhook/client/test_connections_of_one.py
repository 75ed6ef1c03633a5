# SPDX-License-Identifier: Apache-2.0
"""However much is asked in one namespace, there are connections for another one's rollouts."""

import asyncio

import pytest

from cabgate_kube.credentials import Access
from cabgate_kube.transport import MAX_CONNECTIONS, HttpAnswer
from cabgate_webhook.client.apiserver import MAX_OF_NAMESPACE, LiveReads

ACCESS = Access("http://127.0.0.1:1")


class Hanging:
    """Connections as there are so many; what leads into one namespace is not answered."""

    def __init__(self):
        self.room = asyncio.Semaphore(MAX_CONNECTIONS)
        self.under_way = 0
        self.answer = asyncio.Event()

    async def call(self, method, target, **_):
        async with self.room:
            self.under_way += 1
            try:
                if "/namespaces/loud" in target:
                    await self.answer.wait()
            finally:
                self.under_way -= 1
            return HttpAnswer(200, b'{"metadata": {"labels": {"a": "b"}}, "items": []}')


@pytest.fixture
def api():
    made = LiveReads(ACCESS)
    made._connections = Hanging()
    return made


async def test_one_namespace_holds_a_quarter_of_the_connections_at_most(api):
    names = [f"web-{number}" for number in range(2 * MAX_CONNECTIONS)]
    loud = [asyncio.create_task(api.exceptions_for("loud", [name])) for name in names[:1]]
    loud += [asyncio.create_task(api.request("loud", name)) for name in names]
    for _ in range(20):
        await asyncio.sleep(0)
    assert api._connections.under_way == MAX_OF_NAMESPACE < MAX_CONNECTIONS
    assert await api.namespace_labels("quiet") == {"a": "b"}
    assert await api.requests_naming("quiet", []) == []
    api._connections.answer.set()
    await asyncio.gather(*loud, return_exceptions=True)
    assert not api._places


async def test_what_leads_into_no_namespace_waits_for_nobody(api):
    loud = [
        asyncio.create_task(api.request("loud", f"web-{number}"))
        for number in range(MAX_CONNECTIONS)
    ]
    await asyncio.sleep(0)
    assert await api.cluster_wide("riskmodels") == []
    api._connections.answer.set()
    await asyncio.gather(*loud, return_exceptions=True)
