# SPDX-License-Identifier: Apache-2.0
"""Which change policy and risk model hold for a namespace, and who holds which verbs there;
imported only for that."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cabgate import GROUP, VERSION
from cabgate.api import ChangePolicy, RiskModel, changepolicy, request, riskmodel
from cabgate.api.changepolicy import APPROVE
from cabgate.api.selectable import NoneHolds
from cabgate.lifecycle.requests.terms import choose_policy
from cabgate.lifecycle.requests.voters import Group
from cabgate.risk.model_choice import choose_model
from cabgate_cli.errors import Refused
from cabgate_cli.input.cluster.client import Cluster
from cabgate_cli.input.cluster.gate_source import GateSource
from cabgate_cli.input.cluster.installation import installation_of

_ROOT = f"/apis/{GROUP}/{VERSION}"
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_EVERYBODY = "system:authenticated"


@dataclass(frozen=True)
class PolicyPlace:
    """A namespace, as far as its change policy goes by it."""

    cluster: Cluster
    namespace: str
    labels: dict[str, str]
    ring: int

    @classmethod
    def read(cls, cluster: Cluster, namespace: str) -> "PolicyPlace":
        """The namespace with its ring. Raises `Unavailable`."""
        labels = GateSource(cluster).namespace_labels(namespace)
        ring = installation_of(cluster).namespace_ring(namespace, labels)
        return cls(cluster, namespace, labels, ring)

    def policy(self) -> ChangePolicy | None:
        """Its change policy. Raises `Refused` where nobody knows which one holds."""
        path = f"{_ROOT}/{changepolicy.PLURAL}"
        return _held(choose_policy(self.labels, list(self.cluster.list(path, "ChangePolicies"))))

    def model(self) -> RiskModel:
        """Its risk model. Raises `Refused` where nobody knows which one holds."""
        path = f"{_ROOT}/{riskmodel.PLURAL}"
        return _held(choose_model(self.labels, list(self.cluster.list(path, "RiskModels"))))

    def group(
        self, name: str, groups: Sequence[str], people: int | None, verbs: Collection[str]
    ) -> Group:
        """What people hold who are in all of some groups. Raises `Unavailable`."""
        wanted = sorted({APPROVE, *verbs})
        return Group(
            name=name,
            people=people,
            verbs=frozenset(verb for verb in wanted if self._may(groups, verb)),
            writes=self._may(groups, "patch", "status"),
        )

    def _may(self, groups: Sequence[str], verb: str, subresource: str = "") -> bool:
        attributes = {
            "namespace": self.namespace,
            "verb": verb,
            "group": GROUP,
            "resource": request.PLURAL,
            "subresource": subresource,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"groups": [*groups, _EVERYBODY], "resourceAttributes": attributes},
        }
        what = "subjectaccessreviews.authorization.k8s.io"
        answer = self.cluster.asked(_REVIEWS, what, body).get("status")
        return isinstance(answer, dict) and answer.get("allowed") is True


Held = TypeVar("Held")


def _held(found: Held | NoneHolds) -> Held:
    if isinstance(found, NoneHolds):
        raise Refused(f"{found.reason}: {found.message}. Until then no request is opened there")
    return found
