# SPDX-License-Identifier: Apache-2.0
"""The faults: each happens, lasts, and is over when its function returns."""

import time
from dataclasses import dataclass
from typing import Any

from support.operators import leader_of

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager")


@dataclass
class World:
    """What faults happen to."""

    gate: Any
    replicas: Any
    random: Any

    def some(self, low, high):
        """A time to let pass, in seconds."""
        return self.random.uniform(low, high)

    def leader(self):
        """The operator that leads."""
        return leader_of(self.replicas, 60)[0]


def _kill_replica(world, replica):
    replica.process.kill()
    time.sleep(world.some(0, 3))
    replica.start()


def leader_killed(world):
    _kill_replica(world, world.leader())


def waiting_operator_killed(world):
    leader = world.leader()
    _kill_replica(world, next(each for each in world.replicas if each is not leader))


def both_operators_killed(world):
    for each in world.replicas:
        each.process.kill()
    time.sleep(world.some(0, 3))
    for each in world.replicas:
        each.start()


def webhook_killed(world):
    world.gate.installation.webhook.kill()
    time.sleep(world.some(0, 3))
    world.gate.installation.start_webhook()


def _paused(process, seconds):
    process.pause()
    time.sleep(seconds)
    process.resume()


def leader_paused(world):
    _paused(world.leader().process, world.some(1, 14))


def webhook_paused(world):
    _paused(world.gate.installation.webhook, world.some(1, 8))


def server_paused(world):
    name = world.random.choice(CONTROL_PLANE)
    _paused(world.gate.cluster.component(name), world.some(1, 8))


def server_killed(world):
    name = world.random.choice(CONTROL_PLANE)
    world.gate.cluster.kill(name)
    time.sleep(world.some(0, 2))
    world.gate.cluster.start(name)


def api_server_restarted(world):
    world.gate.cluster.stop("kube-apiserver")
    world.gate.cluster.start("kube-apiserver")


def etcd_away(world):
    world.gate.cluster.stop("etcd")
    time.sleep(world.some(3, 10))
    world.gate.cluster.start("etcd")


def watches_cut(world):
    for _ in range(5):
        for each in world.replicas:
            each.proxy.cut_watches()
        time.sleep(world.some(0.1, 1))


def _on_the_way(world, seconds, **faults):
    """The same fault between the API server and every operator."""
    for each in world.replicas:
        for name, value in faults.items():
            setattr(each.proxy, name, value)
        each.proxy.cut_watches()
    time.sleep(seconds)
    for each in world.replicas:
        each.proxy.heal()


def api_server_slow(world):
    _on_the_way(world, world.some(5, 12), delay=world.some(0.3, 2.5))


def watches_gone(world):
    _on_the_way(world, world.some(3, 8), gone=True)


def throttled(world):
    chance = world.random
    _on_the_way(
        world,
        world.some(4, 10),
        refuse=lambda call: (429, "TooManyRequests") if chance.random() < 0.6 else None,
    )


def token_expired(world):
    _on_the_way(world, world.some(3, 10), refuse=lambda call: (401, "Unauthorized"))


def etcd_disk_full(world):
    """As etcd says it: reads go on, no write does."""
    _on_the_way(
        world,
        world.some(3, 10),
        refuse=lambda call: (
            None if call.method == "GET" else (500, "etcdserver: mvcc: database space exceeded")
        ),
    )


FAULTS = (
    leader_killed,
    waiting_operator_killed,
    both_operators_killed,
    webhook_killed,
    leader_paused,
    webhook_paused,
    server_paused,
    server_killed,
    api_server_restarted,
    etcd_away,
    watches_cut,
    api_server_slow,
    watches_gone,
    throttled,
    token_expired,
    etcd_disk_full,
)

QUICK = (leader_killed, webhook_killed, watches_cut, throttled, server_killed)
"""Those that do not need long."""


def title(fault):
    """Its name for people."""
    return fault.__name__.replace("_", " ")
