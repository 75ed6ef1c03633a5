# SPDX-License-Identifier: Apache-2.0
"""What runs in a namespace, read from a cluster; imported only for that."""

from collections import defaultdict
from collections.abc import Collection, Iterator

from cabgate.api.kinds import BUILT_IN, GatedKind
from cabgate.gate.coverage import GATED_LABELS, Running, Uncovered, running_of, uncovered
from cabgate.lifecycle.state.standing import standings_of, standings_of_exceptions
from cabgate.rollout.installation import InstallationSettings, kind_name
from cabgate.rollout.rings import GATED_FROM
from cabgate.rollout.workloads import kind_of
from cabgate_cli.errors import note
from cabgate_cli.input.cluster.client import Cluster, NotServed
from cabgate_cli.input.cluster.gate_source import GateSource
from cabgate_cli.input.viewer import now


class Inventory:
    """The objects of gated kinds, and which of them nothing covers. Every read raises
    `Unavailable`."""

    def __init__(
        self,
        cluster: Cluster,
        installation: InstallationSettings,
        named: Collection[GatedKind] = (),
    ) -> None:
        """`named` are the kinds that whoever asks has named: those have to be there."""
        self.source = GateSource(cluster)
        self._cluster = cluster
        self.installation = installation
        self._named = frozenset(named)
        self._noted: set[GatedKind] = set()
        self._kinds = [
            kind for kind in (*BUILT_IN, *installation.kinds) if kind.kind != "PodTemplate"
        ]

    def running(self, namespace: str) -> list[Running]:
        """Every object of a gated kind of a namespace."""
        found = list(self._listed(namespace))
        # Read one by one, since the stock roles may not list them, and few are ever referred to.
        templates = {item.reference for item in found if item.reference is not None}
        for reference in sorted(templates - {item.itself for item in found}):
            kind = kind_of(f"{reference.group}/", reference.kind)
            obj = self._cluster.workload_or_none(reference, namespace)
            if kind is not None and obj is not None:
                found.append(running_of(kind, namespace, obj))
        return found

    def _listed(self, namespace: str, **query: str) -> Iterator[Running]:
        for kind in self._kinds:
            try:
                path = self._cluster.path(kind, namespace)
            except NotServed:
                if kind in self._named:
                    raise
                if kind not in BUILT_IN and kind not in self._noted:  # as Argo Rollouts may be
                    self._noted.add(kind)
                    note(
                        f"the installation gates {kind_name(kind)}, which this cluster does not "
                        "know: there are none of them"
                    )
                continue
            plural = path.rpartition("/")[2]
            what = f"{plural} in {f'namespace {namespace}' if namespace else 'all namespaces'}"
            for obj in self._cluster.list(path, what, **query):
                place = namespace or str(obj["metadata"].get("namespace") or "")
                yield running_of(kind, place, obj)

    def uncovered(self, namespace: str) -> list[Uncovered]:
        """What runs uncovered in a namespace."""
        ring = self.installation.namespace_ring(namespace, self.source.namespace_labels(namespace))
        if self.installation.excludes(namespace):
            return []
        if ring >= GATED_FROM:
            return self._judged(namespace, ring, self.running(namespace))
        labelled = list(self._listed(namespace, labelSelector=GATED_LABELS))
        return self._judged(namespace, ring, labelled)

    def uncovered_everywhere(self) -> list[Uncovered]:
        """What runs uncovered in every namespace, by namespace."""
        rings = {
            name: self.installation.namespace_ring(name, labels)
            for name, labels in self.source.namespaces().items()
        }
        labelled: dict[str, list[Running]] = defaultdict(list)
        for item in self._listed("", labelSelector=GATED_LABELS):
            labelled[item.rollout.namespace].append(item)
        found = []
        for name, ring in sorted(rings.items()):
            if self.installation.excludes(name):
                continue
            gated = ring >= GATED_FROM
            found += self._judged(name, ring, self.running(name) if gated else labelled[name])
        return found

    def _judged(self, namespace: str, ring: int, running: list[Running]) -> list[Uncovered]:
        if not running:
            return []
        requests = standings_of(self.source.requests(namespace))
        exceptions = standings_of_exceptions(self.source.exceptions(namespace))
        return uncovered(namespace, ring, running, requests, exceptions, now())
