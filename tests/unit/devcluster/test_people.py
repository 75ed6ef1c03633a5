# SPDX-License-Identifier: Apache-2.0
"""Who is bound to what in a local cluster."""

from cabgate_devcluster import people

STOCK = {
    "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "create"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get"]},
    ]
}


class Cluster:
    """Takes what is applied, and has the stock roles."""

    def __init__(self):
        self.items = []
        self.api = self

    def apply(self, document):
        self.items.append(document)

    def get(self, resource, name):
        return STOCK


def roles(cluster, user):
    return {
        item["roleRef"]["name"]
        for item in cluster.items
        if "roleRef" in item and item["subjects"][0]["name"] == user
    }


def test_everywhere_the_requester_does_not_hold_the_stock_role():
    cluster = Cluster()
    people.bind(cluster)
    assert roles(cluster, people.REQUESTER) == {people.EVERYWHERE, "cabgate-requester"}
    made = next(item for item in cluster.items if item["kind"] == "ClusterRole")
    assert [(rule["resources"], rule["verbs"]) for rule in made["rules"][:2]] == [
        (["pods"], ["get", "create"]),
        (["configmaps"], ["get"]),
    ]


def test_in_a_namespace_the_requester_holds_it():
    cluster = Cluster()
    people.bind(cluster, "shop")
    assert roles(cluster, people.REQUESTER) == {"edit", "cabgate-requester"}
