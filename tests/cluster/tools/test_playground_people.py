# SPDX-License-Identifier: Apache-2.0
"""The requester of the playground, who is bound everywhere, acts as nobody else."""

import json

from cabgate_devcluster import people, wait_until

USER = "edits-everywhere"


def test_who_edits_everywhere_acts_as_no_account_of_the_system(gate):
    cluster = gate.cluster
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": people.EVERYWHERE,
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
    }
    items = [people.editor(cluster), binding]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    cluster.kubectl("apply", "-f", "-", stdin=body)
    # The authorizer learns of the binding a moment later: first what is allowed, then what is not.
    for verb, resource in (
        ("create", "deployments.apps"),
        ("patch", "deployments.apps"),
        ("get", "pods"),
        ("create", "configmaps"),
    ):
        asked = f"{USER} may {verb} {resource}"
        wait_until(lambda v=verb, r=resource: may(cluster, v, r), asked)
    for verb, resource in (
        ("impersonate", "serviceaccounts"),
        ("create", "serviceaccounts/token"),
        ("get", "secrets"),
        ("create", "secrets"),
    ):
        assert not may(cluster, verb, resource), (verb, resource)


def may(cluster, verb, resource):
    asked = ("auth", "can-i", verb, resource, "-n", "kube-system", "--as", USER)
    return cluster.kubectl(*asked, check=False).stdout.strip() == "yes"
