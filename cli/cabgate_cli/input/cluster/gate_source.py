# SPDX-License-Identifier: Apache-2.0
"""What a verdict rests on, read from a cluster as the gate reads it; imported only for that."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cabgate import GROUP, VERSION
from cabgate.api import (
    CABException,
    CABRequest,
    DeploymentIntent,
    RolloutOutcome,
    changefreeze,
    exception,
    intent,
    outcome,
    request,
)
from cabgate.lifecycle.limits.promotion import (
    FITS_NONE,
    EarlierRings,
    OutcomeKey,
    key_of,
    releases_for,
)
from cabgate.lifecycle.state.standing import may_have_admitted, standings_of
from cabgate.outcomes.running import outcome_kind, running_workload
from cabgate.outcomes.writing import runs_still, workload_of
from cabgate.rollout.appliers import with_applier
from cabgate.rollout.earlier import (
    KEPT_AS,
    REPLICA_SET,
    made_by_controllers,
    replica_sets,
    revisions_of,
    same_as,
    selected_by,
)
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload, selectors
from cabgate.rollout.templates import Template, ring_template
from cabgate_cli.errors import Unavailable, note
from cabgate_cli.input.cluster.client import Cluster, NotAllowed
from cabgate_cli.input.stored import parsed


class GateSource:
    """Namespaces, requests, exceptions and intents. Every read raises `Unavailable`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def namespace_labels(self, name: str) -> dict[str, str]:
        """Labels of a namespace."""
        found = self._cluster.get(f"/api/v1/namespaces/{name}", f"namespace {name}")
        return dict((found.get("metadata") or {}).get("labels") or {})

    def namespaces(self) -> dict[str, dict[str, str]]:
        """Labels of every namespace, by name."""
        items = self._cluster.list("/api/v1/namespaces", "namespaces")
        return {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in items}

    def request(self, namespace: str, name: str) -> CABRequest:
        """A request."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{request.PLURAL}/{name}"
        return parsed(CABRequest, self._cluster.get(path, f"CABRequest {namespace}/{name}"))

    def requests(self, namespace: str) -> list[CABRequest]:
        """The requests of a namespace."""
        return [parsed(CABRequest, item) for item in self._items(namespace, request.PLURAL)]

    def requests_naming(self, namespace: str, workloads: Iterable[Workload]) -> list[CABRequest]:
        """The requests of a namespace that name one of some workloads, each once."""
        return [
            parsed(CABRequest, item)
            for selector in selectors(workloads)
            for item in self._items(namespace, request.PLURAL, labelSelector=selector)
        ]

    def exceptions(self, namespace: str) -> list[CABException]:
        """The exceptions of a namespace."""
        return [parsed(CABException, item) for item in self._items(namespace, exception.PLURAL)]

    def freezes(self) -> list[dict[str, Any]]:
        """Every freeze, as the API server has it."""
        path = f"/apis/{GROUP}/{VERSION}/{changefreeze.PLURAL}"
        return list(self._cluster.list(path, changefreeze.PLURAL))

    def earlier_rings(
        self, requests: Iterable[CABRequest], ring: int, template: Template | None
    ) -> EarlierRings:
        """What became of the releases of some requests, as far as a rollout into a ring asks for
        it and it may be read; `template` is what its containers do."""
        found: dict[str, list[RolloutOutcome]] = {}
        path = f"/apis/{GROUP}/{VERSION}/{outcome.PLURAL}"
        for release in releases_for(requests, ring):
            query = {"labelSelector": f"{outcome.RELEASE_LABEL}={release}"}
            try:
                items = list(self._cluster.list(path, outcome.PLURAL, **query))
            except NotAllowed as error:
                note(f"what became of release {release} is not known: {error.message}")
                continue
            found[release] = [parsed(RolloutOutcome, item) for item in items]
        return EarlierRings(found, ring_template(template) or FITS_NONE)

    def still_running(self, outcomes: Iterable[RolloutOutcome]) -> frozenset[OutcomeKey] | None:
        """Those of some outcomes whose workloads run now what they say; None where one may not be
        read."""
        try:
            return frozenset(key_of(each) for each in outcomes if self._is_running(each))
        except NotAllowed as error:
            note(f"whether it runs in the ring before still is not known: {error.message}")
            return None

    def _is_running(self, outcome: RolloutOutcome) -> bool:
        workload, namespace = workload_of(outcome.spec.target), outcome.metadata.namespace
        kind = outcome_kind(workload.group, workload.kind)
        stored = None if kind is None else self._cluster.workload_or_none(workload, namespace)
        if kind is None or stored is None:
            return False
        referred = self._cluster.referred(kind, stored, namespace)
        try:
            return runs_still(outcome, running_workload(kind, stored, referred))
        except PodTemplateError:
            return False

    def ran(self, rollout: Rollout, template: Template | None) -> list[datetime]:
        """From when on a workload that exists ran what a rollout is to run, by what its controller
        keeps; `template` is what its containers do, without what stands beside its pod template."""
        workload, namespace = rollout.workload, rollout.namespace
        kept_as = KEPT_AS.get((workload.group, workload.kind))
        stored = None if kept_as is None else self._cluster.workload_or_none(workload, namespace)
        if stored is None or kept_as is None:
            return []
        path = f"/apis/apps/v1/namespaces/{namespace}/{kept_as[1].lower()}s"
        selector = selected_by(stored)
        query = {"labelSelector": selector} if selector else {}
        kept = self._cluster.list(path, f"{kept_as[1]}s in namespace {namespace}", **query)
        revisions = revisions_of(workload, stored["metadata"]["uid"], kept)
        found = same_as(rollout.images, template, revisions)
        if kept_as == REPLICA_SET and found:
            requests = self.requests_naming(namespace, replica_sets(found))
            found = made_by_controllers(found, may_have_admitted(standings_of(requests)))
        return [each.created for each in found]

    def intent(self, namespace: str, name: str) -> DeploymentIntent:
        """An intent."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{intent.PLURAL}/{name}"
        found = self._cluster.get(path, f"DeploymentIntent {namespace}/{name}")
        return parsed(DeploymentIntent, found)

    def with_appliers(self, namespace: str, requests: list[CABRequest]) -> list[CABRequest]:
        """Requests as messages tell of them: where one does not say that a tool applies its intent,
        the intent is asked, as far as it is there and may be read."""
        references = (item.spec.intent_ref for item in requests)
        for name in sorted({ref.name for ref in references if ref and ref.applied_by is None}):
            try:
                found = self.intent(namespace, name)
            except Unavailable:
                continue
            requests = [with_applier(item, found) for item in requests]
        return requests

    def intents(self, namespace: str) -> list[DeploymentIntent]:
        """The intents of a namespace."""
        return [parsed(DeploymentIntent, item) for item in self._items(namespace, intent.PLURAL)]

    def _items(self, namespace: str, plural: str, **query: str) -> Iterable[dict[str, Any]]:
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}"
        return self._cluster.list(path, f"{plural} in namespace {namespace}", **query)
