# SPDX-License-Identifier: Apache-2.0
"""A test for each template of the chart: what a user of it would notice."""

import json
import re

import pytest
import yaml

from cabgate_devcluster.installed.chart import CHART
from support.templates import marks, of

METRICS = "".join(path.read_text() for path in CHART.parents[1].glob("*/cabgate_*/**/metrics.py"))
OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
SYSTEM = ["kube-system", "kube-public", "kube-node-lease", "cabgate-system"]
ARGO = "system:serviceaccount:argo-rollouts:argo-rollouts"
BOT = "system:serviceaccount:ops:bot"
KIND = {
    "group": "apps.kruise.io",
    "kind": "CloneSet",
    "resource": "clonesets",
    "paths": ["spec.template"],
}
GATE = ("rollouts.cabgate.dev", "labelled-rollouts.cabgate.dev")
FREEZABLE = tuple(f"policy-{name}" for name in GATE)
OWN_RULES = {
    "apiGroups": ["apps.kruise.io"],
    "apiVersions": ["*"],
    "resources": ["clonesets"],
    "operations": ["CREATE", "UPDATE"],
}


def excluded(selector):
    return next(
        each["values"]
        for each in selector["matchExpressions"]
        if each["key"] == "kubernetes.io/metadata.name"
    )


def rings(selector):
    expressions = selector["matchExpressions"]
    return [each for each in expressions if each["key"] == "cabgate.dev/ring"]


def test_each_template_has_a_test():
    templates = {
        str(path.relative_to(CHART / "templates"))
        for path in (CHART / "templates").rglob("*")
        if path.is_file() and not path.name.startswith("_")
    }
    marked = list(marks())
    # Helm writes no NOTES.txt with its templates: the test of the installation reads it.
    assert templates - {"NOTES.txt"} == {template for template, _ in marked}
    names = [test for _, test in marked]
    # Prometheus finds Pods by the one, and the alerts of the other rest on what it finds there.
    # The page in the cluster is served by a Deployment and let out by a NetworkPolicy.
    together = {
        "test_prometheus_is_told_where_somebody_asks_for_it",
        "test_the_page_is_served_where_there_is_an_issuer",
    }
    assert {each for each in names if names.count(each) > 1} <= together


def test_names_of_one_place_and_labels_on_everything(render):
    for each in render(mode="Audit").objects:
        metadata = each["metadata"]
        assert metadata.get("namespace") in (None, "cabgate-system")
        assert metadata["labels"]["app.kubernetes.io/name"] == "cabgate"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"


@of("crds.yaml")
def test_definitions_are_kept_when_cabgate_goes(render):
    definitions = render().all("CustomResourceDefinition")
    assert len(definitions) == 10
    for each in definitions:
        name = each["metadata"]["name"]
        assert each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        source = CHART.parents[1] / "crds" / f"{name}.yaml"
        assert each["spec"] == yaml.safe_load(source.read_text())["spec"]


@of("operator/configmaps.yaml")
def test_what_the_ledger_is_verified_with_is_kept_and_never_written_over(render):
    found = {each["metadata"]["name"]: each for each in render().all("ConfigMap")}
    del found["cabgate-installation"]
    assert set(found) == {"cabgate-ledger-heads", "cabgate-ledger-checkpoints"}
    for each in found.values():
        assert each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert "data" not in each


@of("operator/lease.yaml")
def test_the_lease_of_the_leader_comes_empty_and_is_never_written_over(render):
    (lease,) = render().all("Lease")
    assert lease["metadata"]["name"] == "cabgate-operator"
    assert "spec" not in lease


@of("webhook/validating.yaml")
def test_the_gate_asks_about_what_the_values_say(render):
    made = render(
        excludedNamespaces=["monitoring"],
        controllers=[ARGO],
        gatedKinds=[KIND],
        webhook={"timeoutSeconds": 7},
    )
    for name in GATE:
        entry = made.webhooks()[name]
        assert entry["failurePolicy"] == "Fail"
        assert entry["timeoutSeconds"] == 7
        assert excluded(entry["namespaceSelector"]) == ["monitoring", "cabgate-system"]
        assert OWN_RULES in entry["rules"]
        controllers = entry["matchConditions"][0]
        assert controllers["name"] == "is-not-the-work-of-a-controller"
        assert f"'{ARGO}'" in controllers["expression"]
        assert f"'{ARGO}'" not in render().webhooks()[name]["matchConditions"][0]["expression"]
    assert excluded(render().webhooks()[GATE[0]]["namespaceSelector"]) == SYSTEM
    assert "namespaceSelector" not in made.webhooks()["records.cabgate.dev"]


def test_a_template_that_stands_elsewhere_is_looked_at_there(render):
    def changes(*paths):
        entry = render(gatedKinds=[{**KIND, "paths": list(paths)}]).webhooks()[GATE[0]]
        return next(
            each["expression"]
            for each in entry["matchConditions"]
            if each["name"] == "changes-what-runs"
        )

    assert "clonesets" not in changes("spec.template")
    assert "object[?'spec'][?'workers'] != oldObject[?'spec'][?'workers']" in changes(
        "spec.workers[*].template"
    )
    both = changes("spec.template", "spec.driver.template")
    assert "object[?'spec'][?'driver'][?'template'] != oldObject" in both
    assert "object[?'spec'][?'template'] != oldObject" in both


@pytest.mark.parametrize("ring", [0, 1, 2, 4])
def test_namespaces_without_a_ring_are_gated_from_a_default_ring_of_two_on(render, ring):
    made = render(defaultRing=ring)
    first, second = (rings(made.webhooks()[name]["namespaceSelector"]) for name in GATE)
    revisions = made.one("ValidatingAdmissionPolicy", "revisions.cabgate.dev")["spec"]
    assert first == rings(revisions["matchConstraints"]["namespaceSelector"])
    exists = {"key": "cabgate.dev/ring", "operator": "Exists"}
    assert (exists in first) == (ring < 2)
    # A namespace without the label is asked about by one of the two.
    assert [each["operator"] for each in second] == (["NotIn"] if ring < 2 else ["In"])


@pytest.mark.parametrize("mode", ["Warn", "Audit"])
def test_outside_enforce_a_dead_webhook_stops_namespaces_that_enforce_alone(render, mode):
    entries = render(mode=mode).webhooks()
    for name in (*GATE, *FREEZABLE):
        assert entries[name]["failurePolicy"] == "Ignore"
        twin = entries[f"enforced-{name}"]
        assert twin["failurePolicy"] == "Fail"
        path = entries[name]["clientConfig"]["service"]["path"]
        assert twin["clientConfig"]["service"]["path"] == path.replace(
            "/validate", "/validate/enforce"
        )
        assert twin["rules"] == entries[name]["rules"]
        assert twin["matchConditions"] == entries[name]["matchConditions"]
        assert twin["namespaceSelector"] != entries[name]["namespaceSelector"]
    assert entries["records.cabgate.dev"]["failurePolicy"] == "Fail"
    assert set(render().webhooks()) == {*GATE, *FREEZABLE, "records.cabgate.dev"}


def test_freezes_are_asked_for_where_a_namespace_carries_a_change_policy_alone(render):
    entries = render().webhooks()
    label = "cabgate.dev/change-policy"
    for name, freezable in zip(GATE, FREEZABLE, strict=True):
        without, carrying = entries[name], entries[freezable]
        assert without["clientConfig"]["service"]["path"] == "/validate"
        assert carrying["clientConfig"]["service"]["path"] == "/validate/freezes"
        terms = [each["namespaceSelector"]["matchExpressions"] for each in (without, carrying)]
        absent = {"key": label, "operator": "DoesNotExist"}
        assert {"key": label, "operator": "Exists"} in terms[1]
        assert absent in terms[0]
        assert [each for each in terms[0] if each != absent] == [
            each for each in terms[1] if each["key"] != label
        ]
        for part in ("rules", "matchConditions", "failurePolicy"):
            assert without[part] == carrying[part]


@of("webhook/mutating.yaml")
def test_what_people_write_goes_through_the_webhook_and_notes_do_not(render):
    made = render(mode="Audit", webhook={"timeoutSeconds": 7})
    (entry,) = made.one("MutatingWebhookConfiguration", "cabgate")["webhooks"]
    assert entry["name"] == "records.cabgate.dev"
    # In every mode and every namespace: who decided is never left to be claimed.
    assert entry["failurePolicy"] == "Fail"
    assert "namespaceSelector" not in entry
    assert entry["timeoutSeconds"] == 7
    assert [(rule["resources"], rule["operations"]) for rule in entry["rules"]] == [
        (["deploymentintents", "cabexceptions"], ["CREATE", "UPDATE"]),
        (["cabrequests/status", "cabexceptions/status", "rolloutoutcomes/status"], ["UPDATE"]),
    ]
    (condition,) = entry["matchConditions"]
    assert "object.spec != oldObject.spec" in condition["expression"]


def test_both_configurations_call_the_service(render):
    for kind, path in (("Validating", "/validate"), ("Mutating", "/mutate")):
        for entry in render().one(f"{kind}WebhookConfiguration", "cabgate")["webhooks"]:
            service = {"namespace": "cabgate-system", "name": "cabgate-webhook", "port": 443}
            freezes = "/freezes" if entry["name"].startswith("policy-") else ""
            assert entry["clientConfig"] == {"service": {**service, "path": path + freezes}}
            # Left out, so that an upgrade leaves alone what is written there.
            assert "caBundle" not in entry["clientConfig"]


@of("policies/modes.yaml")
def test_a_mode_is_warned_of_where_the_cluster_is_stricter(render):
    def warned(mode):
        made = render(mode=mode)
        if not made.has("ValidatingAdmissionPolicy", "modes.cabgate.dev"):
            return None
        [binding] = [
            each["spec"]
            for each in made.all("ValidatingAdmissionPolicyBinding")
            if each["spec"]["policyName"] == "modes.cabgate.dev"
        ]
        assert binding["validationActions"] == ["Warn"]
        [validation] = made.one("ValidatingAdmissionPolicy", "modes.cabgate.dev")["spec"][
            "validations"
        ]
        assert f"mode is {mode}" in validation["messageExpression"]
        return validation["expression"]

    assert "in ['Warn','Audit']" in warned("Enforce")
    assert "in ['Audit']" in warned("Warn")
    assert warned("Audit") is None


@of("policies/metadata.yaml")
def test_intents_and_exceptions_have_metadata_of_a_bounded_size(render):
    policy = render().one("ValidatingAdmissionPolicy", "metadata.cabgate.dev")
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert rule["resources"] == ["deploymentintents", "cabexceptions"]
    assert rule["operations"] == ["CREATE", "UPDATE"]
    binding = render(mode="Audit").one("ValidatingAdmissionPolicyBinding", "metadata.cabgate.dev")
    assert binding["spec"]["validationActions"] == ["Deny"]


@of("policies/revisions.yaml")
def test_whoever_restores_writes_revisions_and_the_mode_says_what_others_get(render):
    def writers(**values):
        policy = render(**values).one("ValidatingAdmissionPolicy", "revisions.cabgate.dev")
        return policy["spec"]["validations"][0]["expression"]

    assert f"'{BOT}'" in writers(restorers=[BOT])
    assert f"'{ARGO}'" in writers(controllers=[ARGO])
    assert BOT not in writers()

    def actions(mode):
        return {
            each["metadata"]["name"]: each["spec"]["validationActions"]
            for each in render(mode=mode).all("ValidatingAdmissionPolicyBinding")
            if each["spec"]["policyName"] == "revisions.cabgate.dev"
        }

    name = "revisions.cabgate.dev"
    assert actions("Enforce") == {name: ["Deny"]}
    assert actions("Warn") == {name: ["Deny"], f"warn-{name}": ["Warn", "Audit"]}
    assert actions("Audit") == {
        name: ["Deny"],
        f"warn-{name}": ["Warn"],
        f"audit-{name}": ["Audit"],
    }


@of("policies/templates.yaml")
def test_containers_are_added_to_no_pod_where_templates_are_asked_for(render):
    made = render(defaultRing=2, excludedNamespaces=["monitoring"])
    policy = made.one("ValidatingAdmissionPolicy", "templates.cabgate.dev")["spec"]
    [rule] = policy["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["pods/ephemeralcontainers"], ["UPDATE"])
    label, excluded = policy["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert label == {"key": "cabgate.dev/require-template", "operator": "Exists"}
    assert excluded["values"] == ["monitoring", "cabgate-system"]
    assert "orValue('2')" in policy["variables"][0]["expression"]
    bindings = [
        each["spec"]["validationActions"]
        for each in render(mode="Audit").all("ValidatingAdmissionPolicyBinding")
        if each["spec"]["policyName"] == "templates.cabgate.dev"
    ]
    assert bindings == [["Deny"], ["Warn"], ["Audit"]]


@of("policies/rings.yaml")
def test_rings_are_guarded_of_the_same_kinds_namespaces_and_controllers_as_rollouts(render):
    made = render(
        defaultRing=2,
        excludedNamespaces=["monitoring"],
        controllers=[ARGO],
        gatedKinds=[KIND],
        lowerRingServiceAccounts=[BOT],
    )
    policy = made.one("ValidatingAdmissionPolicy", "rings.cabgate.dev")["spec"]
    variables = {each["name"]: each["expression"] for each in policy["variables"]}
    assert variables["listedServiceAccounts"] == f"['{BOT}']"
    assert variables["defaultRing"] == "2"
    rules = policy["matchConstraints"]["resourceRules"]
    assert OWN_RULES in rules
    assert {**OWN_RULES, "resources": ["clonesets/status"], "operations": ["UPDATE"]} in rules
    gated = made.webhooks()[GATE[0]]
    where = made.condition("rings.cabgate.dev", "is-not-in-a-namespace-of-the-system")
    assert "['monitoring', 'cabgate-system']" in where
    assert gated["matchConditions"][:2] == [
        each for each in policy["matchConditions"] if each in gated["matchConditions"]
    ]


@of("policies/break-glass.yaml")
def test_who_breaks_the_glass_is_the_same_list_everywhere(render):
    made = render(breakGlassServiceAccounts=[BOT], controllers=[ARGO], defaultRing=2)
    texts = [json.dumps(each) for each in made.objects]
    asks = [text for text in texts if "startsWith('system:serviceaccount:')" in text]
    glass = [text for text in asks if "break-glass" in text]
    assert len(glass) == 4  # keep, who may, notice, and the entries of the gate
    assert all(f"'{BOT}'" in text for text in glass)
    for kind in ("MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"):
        for policy in made.all(kind):
            if not policy["metadata"]["name"].startswith("break-glass"):
                continue
            selector = policy["spec"]["matchConstraints"]["namespaceSelector"]
            assert excluded(selector) == SYSTEM
            name = policy["metadata"]["name"]
            if name == "break-glass-copies.cabgate.dev":  # which is about the platform
                assert f"'{ARGO}'" in made.condition(name, "is-a-controller-that-copies", kind)
            else:
                assert f"'{ARGO}'" in made.condition(name, "is-not-the-platform", kind)
                assert f"'{OPERATOR}'" in made.condition(name, "is-not-the-platform", kind)
            for variable in policy["spec"].get("variables", []):
                if variable["name"] == "ring":
                    assert "orValue('2')" in variable["expression"]


@of("monitoring/podmonitor.yaml", "monitoring/prometheusrule.yaml")
def test_prometheus_is_told_where_somebody_asks_for_it(render):
    assert not render().all("PodMonitor")
    assert not render().all("PrometheusRule")
    page = "https://git.example.com/alerts.md"
    labels = {"release": "prometheus"}
    made = render(
        relay={"enabled": True, "cluster": "prod", "store": {"secret": "event-store"}},
        monitoring={
            "podMonitor": {"enabled": True, "labels": labels, "interval": "15s"},
            "prometheusRule": {"enabled": True, "labels": labels, "runbooks": page},
        },
    )
    monitor, rule = made.one("PodMonitor", "cabgate"), made.one("PrometheusRule", "cabgate")
    assert labels.items() <= monitor["metadata"]["labels"].items()
    assert labels.items() <= rule["metadata"]["labels"].items()
    endpoint = monitor["spec"]["podMetricsEndpoints"][0]
    assert endpoint == {"port": "health", "path": "/metrics", "interval": "15s"}
    for name in ("operator", "webhook", "relay"):
        ports = {each["name"] for each in made.container(name)["ports"]}
        assert endpoint["port"] in ports
    runbooks = (CHART.parents[1] / "docs" / "operations" / "alerts.md").read_text()
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert alert["annotations"]["runbook_url"] == f"{page}#{alert['alert'].lower()}"
        assert f"## {alert['alert']}\n" in runbooks
        for name in re.findall(r"cabgate_\w+", alert["expr"]):
            assert f'"{name.removesuffix("_bucket")}"' in METRICS, f"nobody counts {name}"


@of("policies/rings.yaml")
def test_rings_are_guarded_in_namespaces_and_wherever_the_label_stands(render):
    """Together the bindings leave out what neither had the label nor has it."""
    made = render(mode="Audit")
    bindings = {
        each["metadata"]["name"]: each["spec"]
        for each in made.all("ValidatingAdmissionPolicyBinding")
        if each["spec"]["policyName"] == "rings.cabgate.dev"
    }
    assert {name: each["validationActions"] for name, each in bindings.items()} == {
        "rings.cabgate.dev": ["Deny"],
        "labelled.rings.cabgate.dev": ["Deny"],
    }
    (namespaces,) = bindings["rings.cabgate.dev"]["matchResources"].pop("resourceRules")
    assert bindings["rings.cabgate.dev"]["matchResources"] == {}
    others = bindings["labelled.rings.cabgate.dev"]["matchResources"]
    (excluded_rule,) = others.pop("excludeResourceRules")
    assert others == {
        "objectSelector": {"matchExpressions": [{"key": "cabgate.dev/ring", "operator": "Exists"}]}
    }
    assert namespaces["resources"] == excluded_rule["resources"]
    assert (namespaces["apiGroups"], namespaces["apiVersions"]) == ([""], ["*"])
    assert (excluded_rule["apiGroups"], excluded_rule["apiVersions"]) == ([""], ["*"])
