# SPDX-License-Identifier: Apache-2.0
"""The users of a local cluster, one for each role."""

from collections.abc import Mapping
from typing import Any

from cabgate_devcluster.cluster import DevCluster

ADMIN = "admin"
REQUESTER = "requester"
REVIEWER = "reviewer"
SECURITY = "security"

ROLES: Mapping[str, tuple[str, ...]] = {
    ADMIN: ("cluster-admin",),
    REQUESTER: ("edit", "cabgate-requester"),
    REVIEWER: ("view", "cabgate-cab-member"),
    SECURITY: ("view", "cabgate-security-reviewer"),
}
"""ClusterRoles of each user; the user name is the CN of the certificate."""


EVERYWHERE = "edit-workloads"
"""Role of who has `edit` in namespaces, where it is bound everywhere: in kube-system too."""

_STANDING_FOR_ACCOUNTS = frozenset({"secrets", "serviceaccounts", "serviceaccounts/token"})
"""What leads to the token of a service account."""


def bind(cluster: DevCluster, *namespaces: str) -> None:
    """Bind the users to their roles: in some namespaces, or everywhere if none is named.

    The admin is bound everywhere in any case. Who is not may act as no service account there: with
    `edit` everywhere anybody is the controllers of kube-system, whose rollouts nobody gates.
    """
    if not namespaces:
        cluster.api.apply(editor(cluster))
    for user, roles in ROLES.items():
        for role in roles:
            everywhere = user == ADMIN or not namespaces
            places = [None] if everywhere else list(namespaces)
            named = EVERYWHERE if role == "edit" and everywhere else role
            for place in places:
                cluster.api.apply(_binding(user, named, place))


def editor(cluster: DevCluster) -> dict[str, Any]:
    """What the stock role `edit` may do, without acting as service accounts."""
    rules: list[dict[str, Any]] = []
    for role in ("system:aggregate-to-edit", "system:aggregate-to-view"):
        for rule in cluster.api.get("clusterrole", role)["rules"]:
            verbs = [verb for verb in rule["verbs"] if verb != "impersonate"]
            resources = [r for r in rule["resources"] if r not in _STANDING_FOR_ACCOUNTS]
            if verbs and resources:
                rules.append({**rule, "verbs": verbs, "resources": resources})
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": EVERYWHERE},
        "rules": rules,
    }


def _binding(user: str, role: str, namespace: str | None) -> dict[str, Any]:
    metadata = {"name": f"{user}-{role}"}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding" if namespace is None else "RoleBinding",
        "metadata": metadata,
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": role,
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
