# SPDX-License-Identifier: Apache-2.0
"""Rounds of one fault each under load, and a table of what came of them."""

import contextlib
import random
import time
from dataclasses import dataclass

from cabgate_devcluster import wait_until
from cabgate_devcluster.errors import DevClusterError
from chaos.faults import World, title
from chaos.load import Load
from support.invariants import problems
from support.operators import ENTRY_ARGV, Replica, leader_of

SETTLE_SECONDS = 90


@dataclass(frozen=True)
class Row:
    """What came of a round."""

    fault: str
    lasted: float
    decided: int
    admitted: int
    refused: int
    failed: int
    settled: float | None
    wrong: tuple[str, ...]

    @property
    def good(self):
        """Whether all that has to hold does."""
        return not self.wrong

    def _told(self):
        shown = [*self.wrong[:3], *self.wrong[3:][-4:]]
        return "; ".join(shown).replace("\n", ", ") or "nothing"

    def cells(self):
        """The row of the table."""
        settled = "never" if self.settled is None else f"{self.settled:.1f}"
        return [
            *(self.fault, f"{self.lasted:.1f}", self.decided, self.admitted, self.refused),
            *(self.failed, settled, self._told()),
        ]


HEAD = (
    *("fault", "lasted, s", "decisions seen", "rollouts admitted", "rollouts refused"),
    *("calls failed", "settled after, s", "lost or wrong"),
)


def table(rows):
    """Rows in Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


class Campaign:
    """Faults on a gate with two operators; a context manager. The same seed, the same choices."""

    def __init__(self, gate, seed):
        self.gate = gate
        self._random = random.Random(seed)
        self._rounds = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        if self.gate.installation.operator.running:
            self.gate.installation.operator.stop()
        # The log of the second goes to a disk that is full.
        full = ("sh", "-c", 'exec "$0" "$@" 2>/dev/full', *ENTRY_ARGV)
        enter = self._stack.enter_context
        self.replicas = [
            enter(Replica(self.gate, "chaos-a", "--sweep-seconds", "20", argv=ENTRY_ARGV)),
            enter(Replica(self.gate, "chaos-b", "--sweep-seconds", "20", argv=full)),
        ]
        leader_of(self.replicas)
        return self

    def __exit__(self, *_):
        self._stack.close()

    def namespace(self):
        """A namespace of ring 2."""
        self._rounds += 1
        name = f"chaos-{self._rounds}"
        self.gate.cluster.kubectl("create", "namespace", name)
        self.gate.cluster.kubectl("label", "namespace", name, "cabgate.dev/ring=2")
        return name

    def round(self, fault, warm=3.0):
        """One fault at a random moment under load; what came of it."""
        namespace = self.namespace()
        with Load(self.gate, namespace, self._random.random()) as load:
            time.sleep(warm * self._random.uniform(0.5, 1.5))
            begun = time.monotonic()
            fault(World(self.gate, self.replicas, self._random))
            lasted = time.monotonic() - begun
            time.sleep(1)
        return self._row(title(fault), lasted, load, namespace)

    def rollback(self, path, warm=4.0):
        """etcd goes back to a snapshot: what was decided after it is gone, and nothing else."""
        namespace = self.namespace()
        with Load(self.gate, namespace, self._random.random()) as load:
            time.sleep(warm)
        kept = list(load.seen)
        self._settle(load, namespace)
        self.gate.cluster.snapshot_etcd(path)
        with load:
            time.sleep(warm)
        begun = time.monotonic()
        self.gate.cluster.restore_etcd(path)
        lasted = time.monotonic() - begun
        load.seen = kept
        return self._row("etcd rolled back to a snapshot", lasted, load, namespace)

    def _settle(self, load, namespace):
        found = ["it was never asked"]

        def settled():
            nonlocal found
            found = problems(self.gate, namespace, load.seen)
            leaders = sum(each.leads for each in self.replicas)
            if leaders != 1:
                found.append(f"{leaders} lead")
            return not found

        begun = time.monotonic()
        try:
            wait_until(settled, SETTLE_SECONDS, "everything holds", 0.5)
        except DevClusterError as error:
            return None, found if found else [str(error)]
        return time.monotonic() - begun, []

    def _row(self, name, lasted, load, namespace):
        seconds, found = self._settle(load, namespace)
        wrong = [f"wrongly admitted: {each}" for each in load.wrong] + found
        if wrong:
            wrong += [
                f"{each.name}{page}: {each.get(page)[1].strip()}"
                for each in self.replicas
                for page in ("/healthz", "/readyz")
            ]
        return Row(
            *(name, lasted, len(load.seen), load.admitted, load.refused, load.failed),
            *(seconds, tuple(wrong)),
        )
