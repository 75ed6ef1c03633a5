# SPDX-License-Identifier: Apache-2.0
"""Who may do what by the chart's roles, one role after the other. That the processes need all of
theirs is for tests/cluster/installation/test_permissions.py, what people can do for
tests/cluster/reviews/test_roles.py."""

import pytest

from support.templates import of

READ = "get list watch"
CHANGE = "create update patch delete"


def rights(role):
    """What a role grants, as lines: verbs, resources with their groups, names."""
    lines = set()
    for rule in role["rules"]:
        assert set(rule) <= {"apiGroups", "resources", "verbs", "resourceNames"}
        assert all("*" not in each for part in rule.values() for each in part)
        (group,) = rule["apiGroups"]
        suffix = f".{group}" if group else ""
        names = " ".join(rule.get("resourceNames", []))
        for resource in rule["resources"]:
            name, _, subresource = resource.partition("/")
            full = f"{name}{suffix}" + (f"/{subresource}" if subresource else "")
            lines.add(f"{' '.join(rule['verbs'])}: {full}" + (f" {names}" if names else ""))
    return lines


def granted(render, name, kind="ClusterRole", **values):
    return rights(render(**values).one(kind, name))


def bound(render, kind, name, **values):
    """The service accounts that a role of ours is bound to."""
    binding = render(**values).one(f"{kind}Binding", name)
    assert binding["roleRef"]["kind"] == kind
    assert binding["roleRef"]["name"] == name
    return [(each["kind"], each["namespace"], each["name"]) for each in binding["subjects"]]


def each_of(verbs, *resources):
    return {f"{verbs}: {resource}" for resource in resources}


@of("operator/clusterrole.yaml")
def test_the_operator_reads_what_it_reconciles_and_writes_records_alone(render):
    own = ("deploymentintents", "cabrequests", "cabexceptions")
    assert granted(render, "cabgate-operator") == {
        *each_of(READ, *(f"{each}.cabgate.dev" for each in own)),
        *each_of(
            "list watch",
            "riskmodels.cabgate.dev",
            "changepolicies.cabgate.dev",
            "changefreezes.cabgate.dev",
        ),
        *each_of("list", "evidencesigners.cabgate.dev"),
        *each_of(READ, "namespaces", "replicationcontrollers", "rollouts.argoproj.io"),
        *each_of(READ, *(f"{each}.apps" for each in ("deployments", "statefulsets"))),
        *each_of(READ, *(f"{each}.apps" for each in ("daemonsets", "replicasets"))),
        *each_of(READ, "jobs.batch", "cronjobs.batch"),
        "list: pods",
        "get list: podtemplates",
        "create delete: cabrequests.cabgate.dev",
        "get list create delete: cabevidences.cabgate.dev",
        "get list watch create delete: rolloutoutcomes.cabgate.dev",
        "create: riskmodels.cabgate.dev",
        *each_of("update", *(f"{each}.cabgate.dev/status" for each in own)),
        "update: rolloutoutcomes.cabgate.dev/status",
        "list create: cabdecisions.cabgate.dev",
        "create: events",
    }
    account = ("ServiceAccount", "cabgate-system", "cabgate-operator")
    assert bound(render, "ClusterRole", "cabgate-operator") == [account]


@of("operator/role.yaml")
def test_in_its_namespace_the_operator_leads_and_publishes_where_chains_end(render):
    assert granted(render, "cabgate-operator", "Role") == {
        "get update: leases.coordination.k8s.io cabgate-operator",
        "create: leases.coordination.k8s.io",
        "get update: configmaps cabgate-ledger-heads",
        "get: configmaps cabgate-ledger-checkpoints",
        "get: configmaps cabgate-installation",
    }
    account = ("ServiceAccount", "cabgate-system", "cabgate-operator")
    assert bound(render, "Role", "cabgate-operator") == [account]


@of("webhook/clusterrole.yaml")
def test_the_webhook_reads_what_a_verdict_rests_on_and_writes_nothing(render):
    found = granted(render, "cabgate-webhook")
    assert found == {
        *each_of("get", "namespaces", "podtemplates", "replicationcontrollers"),
        *each_of("get", "deployments.apps", "statefulsets.apps", "daemonsets.apps"),
        *each_of("get", "replicasets.apps", "jobs.batch", "cronjobs.batch", "rollouts.argoproj.io"),
        *each_of("get list", "deploymentintents.cabgate.dev", "cabrequests.cabgate.dev"),
        "get: cabevidences.cabgate.dev",
        *each_of("list", "cabexceptions.cabgate.dev", "riskmodels.cabgate.dev"),
        *each_of("list", "changepolicies.cabgate.dev", "changefreezes.cabgate.dev"),
        *each_of("list", "replicasets.apps", "controllerrevisions.apps"),
        *each_of("list", "evidencesigners.cabgate.dev", "rolloutoutcomes.cabgate.dev", "pods"),
        # A question, which is asked by creating it.
        "create: subjectaccessreviews.authorization.k8s.io",
    }
    account = ("ServiceAccount", "cabgate-system", "cabgate-webhook")
    assert bound(render, "ClusterRole", "cabgate-webhook") == [account]
    assert not render().has("Role", "cabgate-webhook"), "it reads no Secret by the API"


OWN = (
    *("deploymentintents.cabgate.dev", "cabrequests.cabgate.dev"),
    *("cabevidences.cabgate.dev", "cabexceptions.cabgate.dev", "rolloutoutcomes.cabgate.dev"),
)
WRITTEN = ("deploymentintents.cabgate.dev", "cabexceptions.cabgate.dev")
PATCH = "get update patch"
LEDGER = "cabgate-signing-keys cabgate-ledger-heads cabgate-ledger-checkpoints"

PEOPLE = {
    "cabgate-requester": {
        *each_of(f"{READ} {CHANGE}", *WRITTEN),
        *each_of(READ, *(each for each in OWN if each not in WRITTEN)),
    },
    "cabgate-cab-member": {
        *each_of(READ, *OWN),
        f"{PATCH}: cabrequests.cabgate.dev/status",
        "approve: cabrequests.cabgate.dev",
    },
    "cabgate-security-reviewer": {
        *each_of(READ, *OWN),
        *each_of(PATCH, "cabrequests.cabgate.dev/status", "cabexceptions.cabgate.dev/status"),
        "approve: cabexceptions.cabgate.dev",
        *each_of("revoke", "cabrequests.cabgate.dev", "cabexceptions.cabgate.dev"),
    },
    "cabgate-break-glass": {"break-glass: rings.cabgate.dev"},
    "cabgate-freeze-keeper": {f"{READ} {CHANGE}: changefreezes.cabgate.dev"},
    "cabgate-freeze-override": {"override: changefreezes.cabgate.dev"},
    "cabgate-promotion-override": {"override: changepolicies.cabgate.dev"},
    "cabgate-outcome-reporter": {
        f"{READ} report: rolloutoutcomes.cabgate.dev",
        f"{PATCH}: rolloutoutcomes.cabgate.dev/status",
    },
    "cabgate-auditor": {
        *each_of(READ, *OWN, "cabdecisions.cabgate.dev"),
        f"get: configmaps {LEDGER}",
    },
    "cabgate-ledger-keeper": {
        *each_of("get list", "cabrequests.cabgate.dev", "cabexceptions.cabgate.dev"),
        "get list: cabdecisions.cabgate.dev",
        "delete: cabdecisions.cabgate.dev",
        "prune: ledgers.cabgate.dev",
        f"get: configmaps {LEDGER} cabgate-relay-cursors",
        "update: configmaps cabgate-ledger-checkpoints",
        "get: leases.coordination.k8s.io cabgate-relay",
    },
    "cabgate-ring-keeper": {"lower-ring: rings.cabgate.dev"},
    "cabgate-riskmodel-reader": each_of(
        READ,
        *("riskmodels.cabgate.dev", "changepolicies.cabgate.dev"),
        *("changefreezes.cabgate.dev", "evidencesigners.cabgate.dev"),
    ),
    "cabgate-aggregate-to-view": each_of(READ, *OWN),
    "cabgate-aggregate-to-edit": each_of(CHANGE, *WRITTEN),
}
"""What each role of roles.yaml grants."""


@of("roles.yaml")
@pytest.mark.parametrize("name", PEOPLE)
def test_a_role_for_people_grants_what_its_holder_is_to_do_and_no_more(render, name):
    made = render()
    assert rights(made.one("ClusterRole", name)) == PEOPLE[name]
    labels = made.one("ClusterRole", name)["metadata"]["labels"]
    aggregated = [label for label in labels if "aggregate-to" in label]
    stock = name.partition("cabgate-aggregate-to-")[2]
    assert aggregated == ([f"rbac.authorization.k8s.io/aggregate-to-{stock}"] if stock else [])
    # Who it is bound to is for whoever installs; but everybody may read what they are scored by.
    if name == "cabgate-riskmodel-reader":
        (subject,) = made.one("ClusterRoleBinding", name)["subjects"]
        assert subject["name"] == "system:authenticated"
    else:
        assert not made.has("ClusterRoleBinding", name)


def test_there_is_no_role_that_nobody_looked_at(render):
    ours = {"cabgate-operator", "cabgate-webhook", "cabgate-certificates"}
    made = render()
    assert {each["metadata"]["name"] for each in made.all("ClusterRole")} == ours | set(PEOPLE)
    roles = {each["metadata"]["name"] for each in made.all("Role")}
    assert roles == {"cabgate-operator", "cabgate-certificates", "cabgate-installation-reader"}


@of("certificates/self-managed.yaml")
def test_the_operator_writes_secrets_and_ca_bundles_only_where_it_makes_them(render):
    name = "cabgate-certificates"
    assert granted(render, name, "Role") == {
        "create: secrets",
        "get update: secrets cabgate-webhook-ca cabgate-webhook-tls",
        "create: configmaps",
        "get update: configmaps cabgate-signing-keys",
    }
    group = "admissionregistration.k8s.io"
    assert granted(render, name) == each_of(
        "get update",
        f"validatingwebhookconfigurations.{group} cabgate",
        f"mutatingwebhookconfigurations.{group} cabgate",
    )
    account = ("ServiceAccount", "cabgate-system", "cabgate-operator")
    for kind in ("Role", "ClusterRole"):
        assert bound(render, kind, name) == [account]
        managed = render(certificates={"mode": "cert-manager"})
        assert not managed.has(kind, name)
        assert not managed.has(f"{kind}Binding", name)
