# SPDX-License-Identifier: Apache-2.0
"""Rounds of faults under load, and a table of what came of them."""

import contextlib
import copy
import random
import time
from dataclasses import dataclass

import httpx

from cabgate_devcluster import people, wait_until
from cabgate_devcluster.errors import DevClusterError
from chaos.checks import answers, expected, unsettled
from chaos.faults import BESIDE_THE_GATE, World, title
from chaos.fleet import Fleet
from chaos.load import Load
from support.namespaces import create_namespace

SETTLE_SECONDS = 300


@dataclass(frozen=True)
class Row:
    """What came of a round."""

    fault: str
    lasted: float
    decided: int
    admitted: int
    unadmitted: int
    refused: int
    failed: int
    settled: float | None
    wrong: tuple[str, ...]

    @property
    def good(self):
        """Whether all that has to hold does."""
        return not self.wrong

    def _first_and_last(self):
        shown = [*self.wrong[:3], *self.wrong[3:][-4:]]
        return "; ".join(shown).replace("\n", ", ") or "nothing"

    def cells(self):
        """The row of the table."""
        settled = "never" if self.settled is None else f"{self.settled:.1f}"
        return [
            *(self.fault, f"{self.lasted:.1f}", self.decided, self.admitted, self.unadmitted),
            *(self.refused, self.failed, settled, self._first_and_last()),
        ]


HEAD = (
    *("fault", "lasted, s", "decisions seen", "admitted", "approved, not admitted"),
    *("rightly refused", "other calls failed", "settled after, s", "lost or wrong"),
)


def table(rows):
    """Rows in Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


class Campaign:
    """Faults on cabgate with two of everything; a context manager. The same seed, the same choices.

    The cluster is one with `ETCD_ARGS`. With `brief`, faults take as long as they have to.
    """

    def __init__(self, cluster, seed, *, brief=False):
        self.fleet = Fleet(cluster)
        self._random = random.Random(seed)
        self._world = World(self.fleet, self._random, brief)
        self._loads = []

    def __enter__(self):
        self.fleet.__enter__()
        people.bind(self.fleet.cluster)
        return self

    def __exit__(self, *_):
        self.fleet.__exit__()

    def _load(self):
        """Work in a namespace of ring 2 of its own."""
        cluster, name = self.fleet.cluster, f"chaos-{len(self._loads) + 1}"
        create_namespace(cluster, name)
        self._loads.append(Load(self.fleet.gate, name, self._random.random()))
        return self._loads[-1]

    def round(self, *faults, warm=2.0):
        """Faults at random moments under load, one after another; what came of it."""
        load = self._load()
        lasted = 0.0
        with load:
            # A fault that nobody is there to feel proves nothing.
            wait_until(lambda: load.admitted and load.memory.seen, "people work")
            for fault in faults:
                time.sleep(warm * self._random.uniform(0.5, 1.5))
                begun = time.monotonic()
                fault(self._world)
                lasted += time.monotonic() - begun
            self._goes_on(load)
        wrong = []
        if set(faults) <= set(BESIDE_THE_GATE):
            wrong = [f"not admitted, with no fault in its way: {each}" for each in load.unadmitted]
        return self._row(", ".join(map(title, faults)), lasted, load, wrong)

    def _goes_on(self, load):
        """Let people work after the last fault; if they cannot, it is told of as not settled."""
        before = load.admitted
        with contextlib.suppress(DevClusterError):
            wait_until(lambda: load.admitted > before, timeout=60.0, what="the work goes on")

    def rollback(self, path):
        """etcd goes back to a snapshot: what was decided after it is gone, and nothing else; what
        was approved only after it is denied."""
        load = self._load()
        with load:
            wait_until(lambda: len(load.memory.verdict) > 2, timeout=60.0, what="people work")
        self._settle(load)
        self.fleet.cluster.snapshot_etcd(path)
        kept = copy.deepcopy(load.memory)

        def later():
            return [
                app
                for app, verdict in load.memory.verdict.items()
                if verdict == "Approved" and kept.verdict.get(app) != verdict
            ]

        with load:
            wait_until(lambda: len(later()) > 2, "something is approved after the snapshot")
        approved = later()
        begun = time.monotonic()
        self.fleet.cluster.restore_etcd(path)
        lasted = time.monotonic() - begun
        load.memory = kept
        row = self._row("etcd rolled back to a snapshot", lasted, load)
        admitted, _ = answers(load, dict.fromkeys(approved, False))
        forgotten = tuple(f"{app}: admitted, its approval is gone" for app in admitted)
        return Row(**{**vars(row), "wrong": row.wrong + forgotten})

    def ends(self, days=1):
        """The end of exceptions comes, by the clock of the webhooks, which ask nobody; operators
        are away. Those whose time is over admit nothing, all others still do."""
        with self._loads[-1] as last:
            wait_until(lambda: expected(last) != expected(last, days), "an exception is active")
        today = [expected(load) for load in self._loads]
        begun = time.monotonic()
        for each in self.fleet.operators:
            each.process.stop()
        for each in self.fleet.webhooks:
            each.kill()
            each.days_ahead = days
        wait_until(lambda: not self.fleet.balancer.ready, "the balancer sees that they ended")
        for each in self.fleet.webhooks:
            each.start()
        wait_until(lambda: len(self.fleet.balancer.ready) == 2, "they are ready")
        wrong, ended, admitted = [], 0, 0
        for load, before in zip(self._loads, today, strict=True):
            after = expected(load, days)
            passed, refused = answers(load, after)
            wrong += [f"admitted past its end: {load.namespace} {app}" for app in passed]
            wrong += [f"refused: {load.namespace} {each}" for each in refused]
            ended += sum(before[app] and not after[app] for app in before)
            admitted += sum(after.values())
        lasted = time.monotonic() - begun
        name = f"the end of {ended} exceptions comes"
        return Row(name, lasted, 0, admitted, 0, ended, 0, 0.0, tuple(wrong))

    def _settle(self, load):
        found = ["it was never asked"]

        def settled():
            nonlocal found
            try:
                found = unsettled(self.fleet, load)
            except (httpx.HTTPError, DevClusterError) as error:
                found = [f"{type(error).__name__}: {error}"]
            return not found

        begun = time.monotonic()
        with contextlib.suppress(DevClusterError):
            wait_until(settled, "everything holds", timeout=SETTLE_SECONDS, interval=0.5)
            return time.monotonic() - begun, []
        return None, found

    def _row(self, name, lasted, load, wrong=()):
        seconds, found = self._settle(load)
        wrong = [*(f"wrongly admitted: {each}" for each in load.wrong), *wrong, *found]
        if found:
            wrong += [
                f"{each.name}{page}: {each.get(page)[1].strip()}"
                for each in self.fleet.operators
                for page in ("/healthz", "/readyz")
            ]
        return Row(
            *(name, lasted, len(load.memory.seen), load.admitted, len(load.unadmitted)),
            *(load.refused, load.failed, seconds, tuple(wrong)),
        )
