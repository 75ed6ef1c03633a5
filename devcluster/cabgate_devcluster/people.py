# SPDX-License-Identifier: Apache-2.0
"""The users of a local cluster, one for each role."""

import json
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


def bind(cluster: DevCluster, *namespaces: str) -> None:
    """Bind the users to their roles: in some namespaces, or everywhere if none is named.

    The admin is bound everywhere in any case.
    """
    bindings = []
    for user, roles in ROLES.items():
        for role in roles:
            everywhere = user == ADMIN or not namespaces
            places = [None] if everywhere else list(namespaces)
            bindings += [_binding(user, role, place) for place in places]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": bindings})
    cluster.kubectl("apply", "-f", "-", stdin=body)


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
