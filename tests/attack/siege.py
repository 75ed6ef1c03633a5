# SPDX-License-Identifier: Apache-2.0
"""Blocks with and without the attack in turn, and what was found in them."""

from dataclasses import dataclass

from attack.attacker import ATTACKS, Attacker, title
from attack.team import NAMESPACE, Team
from cabgate_bench.load import loadgen
from cabgate_bench.measure import tenants, through
from cabgate_bench.results.figures import pooled, quantiles
from support.invariants import verified
from support.memory import limit_of, peak
from support.namespaces import create_namespace

RATE = 10.0
"""Rollouts a second of the other team, beside its releases."""

PARTS = ("webhook", "operator")

LEASE = "/apis/coordination.k8s.io/v1/namespaces/cabgate-system/leases/cabgate-operator"


@dataclass(frozen=True)
class Found:
    """What was found."""

    minutes: float
    objects: dict
    quiet: list
    attacked: list
    steps: dict
    attacks: dict
    peaks: dict
    stored: dict
    wrong: list

    def markdown(self):
        """All of it, as tables."""
        rows = [
            ["calm, before and in between", *_milliseconds(self.quiet)],
            [f"attacked, {self.minutes:.1f} minutes", *_milliseconds(self.attacked)],
        ]
        head = ["rollouts of the other team", "number", "p50, ms", "p90, ms", "p99, ms"]
        tables = [_table(head, rows)]
        head = ["its releases, step by step", "calm, median s", "attacked, median s", "most, s"]
        tables.append(_table(head, [_step(name, found) for name, found in self.steps.items()]))
        rows = [
            [title(attack), f"{ATTACKS[attack]:g}", sum(counts.values()), _shortened(counts)]
            for attack, counts in self.attacks.items()
        ]
        tables.append(_table(["the attack", "a second", "calls", "answers"], rows))
        rows = [
            [part, f"{self.peaks[part] / 1e6:.0f}", f"{limit_of(part) / 1e6:.0f}"] for part in PARTS
        ]
        tables.append(_table(["process", "resident at most, MB", "limit, MB"], rows))
        tables.append(_table(["what there is of the attacker", "objects"], self.stored.items()))
        wrong = "\n".join(f"- {each}" for each in self.wrong) or "- nothing"
        return "\n\n".join([*tables, f"What went wrong:\n\n{wrong}"])


def _milliseconds(blocks):
    found = quantiles(pooled([block.milliseconds for block in blocks]))
    return [sum(b.sent for b in blocks), *(f"{value:.1f}" for value in found.values())]


def _step(name, found):
    calm, attacked = (sorted(found[side]) for side in (False, True))
    middle = [f"{each[len(each) // 2]:.2f}" if each else "" for each in (calm, attacked)]
    return [name, *middle, f"{attacked[-1]:.2f}" if attacked else ""]


def _shortened(counts):
    return ", ".join(f"{count} {answer.rpartition(': ')[2]}" for answer, count in counts.items())


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


class Siege:
    """One namespace is attacked, and a team works in another one."""

    def __init__(self, world, gate, times=1.0):
        self._world, self._gate = world, gate
        self._attacker = Attacker(world, gate, times)
        self._quiet, self._attacked = [], []
        self._steps = {}
        self._wrong = []
        self._seconds = 0.0
        self._holder = None

    def fill(self):
        """Have the attacker's namespace as full as it may be."""
        create_namespace(self._world.cluster, NAMESPACE)
        self._attacker.prepare()
        self._holder = self._lease()

    def block(self, seconds, calm_seconds=0.0):
        """The team works for some seconds in peace, then for some under attack; what went wrong
        meanwhile, a line for each."""
        before = len(self._wrong)
        if calm_seconds:
            self._quiet.append(self._work(calm_seconds, attacked=False))
        threads = self._attacker.begin(seconds + loadgen.WARMUP_SECONDS)
        self._attacked.append(self._work(seconds, attacked=True))
        for thread in threads:
            thread.join()
        self._seconds += seconds
        return self._wrong[before:]

    def _work(self, seconds, *, attacked):
        with Team(self._gate) as team:
            found = through.load(self._world, RATE, seconds)
        side = "attacked" if attacked else "calm"
        self._wrong += [f"{side}: {each}" for each in team.wrong]
        if found.failed:
            said = {**found.statuses, **found.errors}
            self._wrong.append(f"{side}: {found.failed} rollouts failed: {said} {found.samples}")
        for name, took in team.seconds.items():
            self._steps.setdefault(name, {False: [], True: []})[attacked] += took
        return found

    def found(self):
        """What was found, once the attack is over."""
        wrong = [*self._wrong, *verified(self._gate)]
        installation = self._world.installation
        wrong += [f"the {p} ended" for p in PARTS if not getattr(installation, p).running]
        if self._lease() != self._holder:
            wrong.append(f"the Lease went from {self._holder} to {self._lease()}")
        peaks = {part: peak(self._world, part) for part in PARTS}
        wrong += [
            f"the {part} took {size / 1e6:.0f} MB, more than half its limit"
            for part, size in peaks.items()
            if size > limit_of(part) / 2
        ]
        items = self._gate.items
        stored = {
            plural: len(items(plural, tenants.NAMESPACE))
            for plural in ("deploymentintents", "cabrequests", "cabexceptions")
        }
        stored["cabdecisions"] = sum(
            each["spec"]["subject"].get("namespace") == tenants.NAMESPACE
            for each in self._gate.cluster.api.items("cabdecisions")
        )
        return Found(
            self._seconds / 60,
            self._attacker.objects,
            self._quiet,
            self._attacked,
            self._steps,
            self._attacker.answers(),
            peaks,
            stored,
            wrong,
        )

    def _lease(self):
        lease = self._gate.cluster.api.call("GET", LEASE)["spec"]
        return lease["holderIdentity"], lease.get("leaseTransitions")
