# SPDX-License-Identifier: Apache-2.0
"""What service accounts may, and what the API server's audit log says that they did."""

import json
from dataclasses import dataclass

ACCOUNTS = ("cabgate-operator", "cabgate-webhook")
PREFIX = "system:serviceaccount:cabgate-system:"

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "users": [f"{PREFIX}{account}" for account in ACCOUNTS]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a resource, as a rule of a role grants it."""

    account: str
    verb: str
    group: str
    resource: str
    name: str = ""
    """Of the one object that the rule is about; empty if it is about all."""
    everywhere: bool = True
    """Whether a ClusterRoleBinding grants it, not a RoleBinding."""

    def __str__(self):
        where = "everywhere" if self.everywhere else "in its namespace"
        group = f".{self.group}" if self.group else ""
        name = f" {self.name}" if self.name else ""
        return f"{self.account}: {self.verb} {self.resource}{group}{name}, {where}"

    def covers(self, event):
        """Whether it is what allowed a request."""
        ref = event["objectRef"]
        resource = "/".join(filter(None, (ref["resource"], ref.get("subresource", ""))))
        return (
            event["user"]["username"] == f"{PREFIX}{self.account}"
            and event["verb"] == self.verb
            and ref.get("apiGroup", "") == self.group
            and resource == self.resource
            and self.name in ("", ref.get("name", ""))
            and (self.everywhere or ref.get("namespace") == "cabgate-system")
        )


def granted(documents):
    """What the roles among some manifests grant to our accounts."""
    roles = {
        (each["kind"], each["metadata"]["name"]): each["rules"]
        for each in documents
        if each["kind"] in ("ClusterRole", "Role")
    }
    found = []
    for each in documents:
        if each["kind"] not in ("ClusterRoleBinding", "RoleBinding"):
            continue
        for subject in each["subjects"]:
            if subject["kind"] != "ServiceAccount":
                continue
            everywhere = each["kind"] == "ClusterRoleBinding"
            for rule in roles[each["roleRef"]["kind"], each["roleRef"]["name"]]:
                found += [
                    Right(subject["name"], verb, group, resource, name, everywhere)
                    for verb in rule["verbs"]
                    for group in rule["apiGroups"]
                    for resource in rule["resources"]
                    for name in rule.get("resourceNames", [""])
                ]
    assert len(found) == len(set(found)), "the same right twice"
    return found


def events(path):
    """The requests for resources in an audit log. The last line may be half written."""
    lines = path.read_text().splitlines()
    found = []
    for number, line in enumerate(lines):
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            assert number == len(lines) - 1, line
            continue
        if "objectRef" in event:
            found.append(event)
    return found


def allowed(event):
    """Whether the API server's authorizer let a request through."""
    return event["annotations"].get("authorization.k8s.io/decision") == "allow"


def by_us(event):
    """Whether it is one of our bindings that allowed a request, not one that everybody has."""
    return '"cabgate' in event["annotations"].get("authorization.k8s.io/reason", "")


def seen(event):
    """A request in words."""
    ref = event["objectRef"]
    where = "/".join(
        filter(
            None,
            (
                ref.get("apiGroup"),
                ref["resource"],
                ref.get("namespace"),
                ref.get("name"),
                ref.get("subresource"),
            ),
        )
    )
    return f"{event['user']['username'].removeprefix(PREFIX)}: {event['verb']} {where}"
