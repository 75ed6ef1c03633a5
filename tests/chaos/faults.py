# SPDX-License-Identifier: Apache-2.0
"""The faults: each happens, lasts, and is over when its function returns."""

import base64
import time
from dataclasses import dataclass
from typing import Any

from cabgate_devcluster import wait_until
from support.clients import client_of
from support.operators import leader_of

SERVER = "kube-apiserver"
ETCD = "etcd"
CONTROLLERS = "kube-controller-manager"

BALLAST = "ballast"
"""Namespace of what fills the disk of etcd."""


@dataclass
class World:
    """What faults happen to. With `brief`, each takes about as long as it has to."""

    fleet: Any
    random: Any
    brief: bool = False

    def __post_init__(self):
        self.cluster = self.fleet.cluster

    def some(self, low, high):
        """A time to let pass, in seconds."""
        return low if self.brief else self.random.uniform(low, high)

    def leader(self):
        """The operator that leads."""
        return leader_of(self.fleet.operators, 90)[0]

    def waiting(self):
        """The operator that does not."""
        leader = self.leader()
        return next(each for each in self.fleet.operators if each is not leader)

    def webhook(self):
        """One of the webhooks."""
        return self.random.choice(self.fleet.webhooks)


def _killed(world, *members):
    """Killed at once, and started again some time later, as a kubelet would."""
    for each in members:
        each.kill()
    time.sleep(world.some(1, 3))
    for each in members:
        each.start()


def _paused(process, seconds):
    process.pause()
    time.sleep(seconds)
    process.resume()


def _component_killed(world, name):
    world.cluster.kill(name)
    time.sleep(world.some(1, 3))
    world.cluster.start(name)


def _component_stopped(world, name, seconds):
    world.cluster.stop(name)
    time.sleep(seconds)
    world.cluster.start(name)


def leader_killed(world):
    _killed(world, world.leader())


def waiting_operator_killed(world):
    _killed(world, world.waiting())


def both_operators_killed(world):
    _killed(world, *world.fleet.operators)


def one_webhook_killed(world):
    _killed(world, world.webhook())


def both_webhooks_killed(world):
    _killed(world, *world.fleet.webhooks)


def api_server_killed(world):
    _component_killed(world, SERVER)


def etcd_killed(world):
    _component_killed(world, ETCD)


def controller_manager_killed(world):
    _component_killed(world, CONTROLLERS)


def leader_paused(world):
    _paused(world.leader().process, world.some(1, 14))


def waiting_operator_paused(world):
    _paused(world.waiting().process, world.some(1, 14))


def one_webhook_paused(world):
    _paused(world.webhook().process, world.some(2, 8))


def api_server_paused(world):
    _paused(world.cluster.component(SERVER), world.some(1, 8))


def etcd_paused(world):
    _paused(world.cluster.component(ETCD), world.some(1, 8))


def controller_manager_paused(world):
    _paused(world.cluster.component(CONTROLLERS), world.some(1, 8))


def api_server_restarted(world):
    _component_stopped(world, SERVER, 0)


def etcd_stopped(world):
    _component_stopped(world, ETCD, world.some(3, 10))


def watches_cut(world):
    for _ in range(5):
        for each in world.fleet.operators:
            each.proxy.cut_watches()
        time.sleep(world.some(0.3, 1))


def _on_the_way(world, seconds, **faults):
    """The same fault between the API server and every operator and webhook."""
    for each in world.fleet.members:
        for name, value in faults.items():
            setattr(each.proxy, name, value)
        each.proxy.cut_watches()
    time.sleep(seconds)
    for each in world.fleet.members:
        each.proxy.heal()


def api_server_slow(world):
    _on_the_way(world, world.some(5, 12), delay=world.random.uniform(0.3, 2.5))


def watches_gone(world):
    _on_the_way(world, world.some(3, 8), gone=True)


def throttled(world):
    chance = world.random
    _on_the_way(
        world,
        world.some(3, 10),
        refuse=lambda call: (429, "TooManyRequests") if chance.random() < 0.6 else None,
    )


def tokens_revoked(world):
    """The API server knows nobody's token any more; later there is a new one in each file."""
    tokens = [each.token for each in world.fleet.members]
    for each in tokens:
        each.revoke()
    wait_until(lambda: all(each.refused() for each in tokens), "the tokens are refused")
    for each in world.fleet.operators:
        each.proxy.cut_watches()  # who watches already is not asked for a token again
    time.sleep(world.some(1, 5))
    for each in tokens:
        each.renew()


def etcd_disk_full(world):
    """etcd reaches its quota: reads go on, no write does, until somebody makes room."""
    cluster = world.cluster
    cluster.kubectl("create", "namespace", BALLAST, check=False)
    path = f"/api/v1/namespaces/{BALLAST}/configmaps"
    block = {"metadata": {"generateName": "block-"}, "data": {"x": "x" * 1_000_000}}
    with client_of(cluster.admin) as admin:

        def full():
            return "space exceeded" in admin.post(path, json=block).text

        wait_until(full, "the disk of etcd is full", timeout=120, interval=0.01)
        time.sleep(world.some(2, 6))
        admin.delete(path).raise_for_status()
    make_room(cluster)


def make_room(cluster):
    """What the documentation of etcd says to do: compact, defragment, take the alarm off."""
    key = base64.b64encode(b"\0").decode()
    head = cluster.call_etcd("/v3/kv/range", {"key": key, "limit": "1"})["header"]
    cluster.call_etcd("/v3/kv/compaction", {"revision": head["revision"], "physical": True})
    cluster.call_etcd("/v3/maintenance/defragment", {})
    alarms = cluster.call_etcd("/v3/maintenance/alarm", {"action": "GET"}).get("alarms", [])
    assert alarms, "there was no alarm"
    for alarm in alarms:
        cluster.call_etcd("/v3/maintenance/alarm", {"action": "DEACTIVATE", **alarm})


BESIDE_THE_GATE = (
    leader_killed,
    waiting_operator_killed,
    both_operators_killed,
    controller_manager_killed,
    leader_paused,
    waiting_operator_paused,
    controller_manager_paused,
    watches_cut,
    watches_gone,
)
"""Those that admissions know nothing of: none may fail."""

FAULTS = (
    *BESIDE_THE_GATE,
    one_webhook_killed,
    both_webhooks_killed,
    api_server_killed,
    etcd_killed,
    one_webhook_paused,
    api_server_paused,
    etcd_paused,
    api_server_restarted,
    etcd_stopped,
    api_server_slow,
    throttled,
    tokens_revoked,
    etcd_disk_full,
)

BRIEF = (
    one_webhook_killed,
    leader_paused,
    watches_cut,
    watches_gone,
    throttled,
    tokens_revoked,
    etcd_disk_full,
    etcd_stopped,
)
"""One of each kind."""


def title(fault):
    """Its name for people."""
    return fault.__name__.replace("_", " ")
