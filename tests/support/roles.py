# SPDX-License-Identifier: Apache-2.0
"""The columns of the table of docs/roles.md, and who stands for them."""

NAMESPACE = "roles"
AUTHORS = "roles-authors"
"""The group of those who may write intents while the table is laid."""

OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"

ROLES = {
    "requester": "cabgate-requester",
    "CAB member": "cabgate-cab-member",
    "security reviewer": "cabgate-security-reviewer",
    "auditor": "cabgate-auditor",
    "view": "view",
    "edit": "edit",
    "admin": "admin",
    "cluster admin": None,
    "service account": None,
    "operator": None,
}
"""The ClusterRole that a column is bound to in the namespace."""

USERS = {
    **{column: f"role-{column.replace(' ', '-')}" for column in ROLES},
    "service account": f"system:serviceaccount:{NAMESPACE}:robot",
    "operator": OPERATOR,
}

ROLE_USERS = {USERS[column]: AUTHORS if role else "" for column, role in ROLES.items()}
"""Their groups."""
