# SPDX-License-Identifier: Apache-2.0
"""A test for each template of the chart: what a user of it would notice."""

import json
import re

import pytest
import yaml

from cabgate_devcluster.chart import CHART

METRICS = "".join(path.read_text() for path in CHART.parents[1].glob("*/cabgate_*/metrics.py"))
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
OWN_RULES = {
    "apiGroups": ["apps.kruise.io"],
    "apiVersions": ["*"],
    "resources": ["clonesets"],
    "operations": ["CREATE", "UPDATE"],
}

TESTED = {}


def of(*templates):
    """Marks the test of a template."""

    def mark(test):
        TESTED.update(dict.fromkeys(templates, test.__name__))
        return test

    return mark


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
    # Helm writes no NOTES.txt with its templates: the test of the installation reads it.
    assert templates - {"NOTES.txt"} == set(TESTED)


def test_names_of_one_place_and_labels_on_everything(render):
    for each in render(mode="Audit").objects:
        metadata = each["metadata"]
        assert metadata.get("namespace") in (None, "cabgate-system")
        assert metadata["labels"]["app.kubernetes.io/name"] == "cabgate"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm"


@of("crds.yaml")
def test_definitions_are_kept_when_cabgate_goes(render):
    definitions = render().all("CustomResourceDefinition")
    assert len(definitions) == 5
    for each in definitions:
        name = each["metadata"]["name"]
        assert each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        source = CHART.parents[1] / "crds" / f"{name}.yaml"
        assert each["spec"] == yaml.safe_load(source.read_text())["spec"]


@of("operator/configmaps.yaml")
def test_what_the_ledger_is_verified_with_is_kept_and_never_written_over(render):
    for each in render().all("ConfigMap"):
        assert each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert "data" not in each
    assert {each["metadata"]["name"] for each in render().all("ConfigMap")} == {
        "cabgate-ledger-heads",
        "cabgate-ledger-checkpoints",
    }


@of("operator/lease.yaml")
def test_the_lease_of_the_leader_comes_empty_and_is_never_written_over(render):
    (lease,) = render().all("Lease")
    assert lease["metadata"]["name"] == "cabgate-operator"
    assert "spec" not in lease


@of("operator/serviceaccount.yaml", "webhook/serviceaccount.yaml")
def test_a_token_is_mounted_where_a_pod_asks_for_it_alone(render):
    for each in render().all("ServiceAccount"):
        assert each["automountServiceAccountToken"] is False
    for each in render().all("Deployment"):
        pod = each["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is True
        assert pod["serviceAccountName"] == each["metadata"]["name"]


@pytest.mark.parametrize("name", ["operator", "webhook"])
def test_a_pod_may_do_nothing_but_run(render, name):
    pod = render().one("Deployment", f"cabgate-{name}")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert render().container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["enableServiceLinks"] is False
    assert {each["topologyKey"] for each in pod["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    assert set(render().container(name)["resources"]) == {"requests", "limits"}


@of("webhook/deployment.yaml")
def test_the_webhook_is_run_as_the_values_say(render):
    default = render().container("webhook")
    assert "--mode=Enforce" in default["args"]
    assert "--default-ring=0" in default["args"]
    assert f"--operator={OPERATOR}" in default["args"]
    assert not [each for each in default["args"] if each.startswith("--require-digests-from")]
    assert default["image"].startswith("cabgate:")
    made = render(
        mode="Warn",
        defaultRing=1,
        requireDigestsFrom=0,
        gatedKinds=[{**KIND, "paths": ["spec.a", "spec.b"]}],
        image={"repository": "r/cabgate", "digest": "sha256:" + "0" * 64},
        webhook={"drainSeconds": 30, "clientCAConfigMap": "ca", "replicas": 3},
    )
    container = made.container("webhook")
    for each in (
        "--mode=Warn",
        "--default-ring=1",
        "--require-digests-from=0",
        "--gated-kind=apps.kruise.io/CloneSet=spec.a,spec.b",
        "--drain-seconds=30",
        "--client-ca=/etc/cabgate/client-ca/ca.crt",
    ):
        assert each in container["args"]
    assert container["image"] == "r/cabgate@sha256:" + "0" * 64
    deployment = made.one("Deployment", "cabgate-webhook")["spec"]
    assert deployment["replicas"] == 3
    # The kubelet's pause, the time to drain, and what is under way then.
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] >= 5 + 30 + 10
    volumes = {each["name"] for each in deployment["template"]["spec"]["volumes"]}
    assert volumes == {each["name"] for each in container["volumeMounts"]}


@pytest.mark.parametrize("name", ["operator", "webhook"])
def test_a_rollout_of_ours_takes_nothing_away_before_there_is_more(render, name):
    deployment = render().one("Deployment", f"cabgate-{name}")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    container = render().container(name)
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert f"--health-port={ports['health']}" in container["args"]


@of("operator/deployment.yaml")
def test_the_operator_is_run_as_the_values_say(render):
    default = render().container("operator")["args"]
    assert "--manage-certificates" in default
    made = render(
        defaultRing=3,
        keepApproved=7,
        operator={"sweepSeconds": 60, "logFormat": "text"},
        certificates={"mode": "cert-manager"},
    ).container("operator")["args"]
    wanted = {"--default-ring=3", "--keep-approved=7", "--sweep-seconds=60", "--log-format=text"}
    assert wanted < set(made)
    assert "--manage-certificates" not in made


@of("operator/poddisruptionbudget.yaml", "webhook/poddisruptionbudget.yaml", "webhook/service.yaml")
def test_budgets_and_the_service_find_the_pods(render):
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in render().all("Deployment")
    }
    for each in render().all("PodDisruptionBudget"):
        assert each["spec"]["maxUnavailable"] == 1
        labels = pods[each["metadata"]["name"]]
        assert each["spec"]["selector"]["matchLabels"].items() <= labels.items()
    service = render().one("Service", "cabgate-webhook")["spec"]
    finds = {name for name, labels in pods.items() if service["selector"].items() <= labels.items()}
    assert finds == {"cabgate-webhook"}
    assert service["ports"] == [{"name": "admission", "port": 443, "targetPort": "admission"}]


@of("operator/networkpolicy.yaml", "webhook/networkpolicy.yaml")
def test_the_network_is_closed_but_for_admission_metrics_and_the_api_server(render):
    peer = {"ipBlock": {"cidr": "10.0.0.0/24"}}
    made = render(networkPolicy={"admissionFrom": [peer], "apiServerPorts": [6443]})
    webhook = made.one("NetworkPolicy", "cabgate-webhook")["spec"]
    assert webhook["policyTypes"] == ["Ingress", "Egress"]
    assert webhook["ingress"][0] == {"ports": [{"port": "admission"}], "from": [peer]}
    assert webhook["ingress"][1] == {"ports": [{"port": "health"}]}
    operator = made.one("NetworkPolicy", "cabgate-operator")["spec"]
    assert operator["ingress"] == [{"ports": [{"port": "health"}]}]
    for each in (webhook, operator):
        assert {port["port"] for rule in each["egress"] for port in rule["ports"]} == {6443, 53}
    assert not render(networkPolicy={"enabled": False}).all("NetworkPolicy")


@of("operator/clusterrole.yaml", "operator/role.yaml", "webhook/clusterrole.yaml", "roles.yaml")
def test_no_role_has_a_wildcard_and_every_binding_names_a_role(render):
    made = render()
    for kind in ("ClusterRole", "Role"):
        for role in made.all(kind):
            for rule in role["rules"]:
                assert all("*" not in each for part in rule.values() for each in part), role
    for kind in ("ClusterRole", "Role"):
        for binding in made.all(f"{kind}Binding"):
            assert binding["roleRef"]["kind"] == kind
            assert made.has(kind, binding["roleRef"]["name"])


def test_who_may_edit_workloads_is_not_thereby_a_reviewer(render):
    verbs = {"approve", "revoke", "lower-ring", "break-glass", "prune"}
    for role in render().all("ClusterRole"):
        if any("aggregate-to" in label for label in role["metadata"]["labels"]):
            assert not verbs & {verb for rule in role["rules"] for verb in rule["verbs"]}


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
    for name in GATE:
        assert entries[name]["failurePolicy"] == "Ignore"
        twin = entries[f"enforced-{name}"]
        assert twin["failurePolicy"] == "Fail"
        assert twin["clientConfig"]["service"]["path"] == "/validate/enforce"
        assert twin["rules"] == entries[name]["rules"]
        assert twin["matchConditions"] == entries[name]["matchConditions"]
        assert twin["namespaceSelector"] != entries[name]["namespaceSelector"]
    assert entries["records.cabgate.dev"]["failurePolicy"] == "Fail"
    assert set(render().webhooks()) == {*GATE, "records.cabgate.dev"}


@of("webhook/mutating.yaml")
def test_both_configurations_call_the_service_by_the_certificate_of_whoever_makes_it(render):
    managed = render(certificates={"mode": "cert-manager"})
    for kind, path in (("Validating", "/validate"), ("Mutating", "/mutate")):
        name = f"{kind}WebhookConfiguration"
        for entry in render().one(name, "cabgate")["webhooks"]:
            service = {"namespace": "cabgate-system", "name": "cabgate-webhook", "port": 443}
            assert entry["clientConfig"] == {"service": {**service, "path": path}}
        assert "annotations" not in render().one(name, "cabgate")["metadata"]
        assert managed.one(name, "cabgate")["metadata"]["annotations"] == {
            "cert-manager.io/inject-ca-from": "cabgate-system/cabgate-webhook"
        }


@of("policies/records.yaml", "policies/ledger.yaml", "policies/pruning.yaml",
    "policies/definitions.yaml")  # fmt: skip
def test_records_are_guarded_by_policies_that_deny_in_every_mode(render):
    for mode in ("Enforce", "Audit"):
        made = render(mode=mode)
        for name in ("records", "ledger", "pruning", "definitions"):
            policy = made.one("ValidatingAdmissionPolicy", f"{name}.cabgate.dev")
            binding = made.one("ValidatingAdmissionPolicyBinding", f"{name}.cabgate.dev")
            assert policy["spec"]["failurePolicy"] == "Fail"
            assert binding["spec"]["validationActions"] == ["Deny"]
            assert "matchResources" not in binding["spec"]


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
            if name != "break-glass-copies.cabgate.dev":  # which is about the platform
                assert f"'{ARGO}'" in made.condition(name, "is-not-the-platform", kind)
                assert f"'{OPERATOR}'" in made.condition(name, "is-not-the-platform", kind)
            for variable in policy["spec"].get("variables", []):
                if variable["name"] == "gated":
                    assert "orValue('2')" in variable["expression"]


@of("certificates/self-managed.yaml", "certificates/cert-manager.yaml")
def test_the_operator_may_write_secrets_and_ca_bundles_only_where_it_makes_them(render):
    itself = render()
    assert itself.has("Role", "cabgate-certificates")
    assert not itself.all("Certificate")
    managed = render(certificates={"mode": "cert-manager"})
    assert not managed.has("Role", "cabgate-certificates")
    assert not managed.has("ClusterRole", "cabgate-certificates")
    leaf = managed.one("Certificate", "cabgate-webhook")["spec"]
    assert leaf["dnsNames"] == ["cabgate-webhook.cabgate-system.svc"]
    pod = managed.one("Deployment", "cabgate-webhook")["spec"]["template"]["spec"]
    mounted = {each.get("secret", {}).get("secretName") for each in pod["volumes"]}
    assert leaf["secretName"] in mounted
    authority = managed.one("Certificate", "cabgate-webhook-ca")["spec"]
    assert authority["isCA"] is True
    issuer = managed.one("Issuer", leaf["issuerRef"]["name"])
    assert issuer["spec"] == {"ca": {"secretName": authority["secretName"]}}
    theirs = {"name": "platform", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    given = render(certificates={"mode": "cert-manager", "certManager": {"issuerRef": theirs}})
    assert given.one("Certificate", "cabgate-webhook")["spec"]["issuerRef"] == theirs
    assert not given.all("Issuer")


@of("monitoring/podmonitor.yaml", "monitoring/prometheusrule.yaml")
def test_prometheus_is_told_where_somebody_asks_for_it(render):
    assert not render().all("PodMonitor")
    assert not render().all("PrometheusRule")
    page = "https://git.example.com/alerts.md"
    labels = {"release": "prometheus"}
    made = render(
        monitoring={
            "podMonitor": {"enabled": True, "labels": labels, "interval": "15s"},
            "prometheusRule": {"enabled": True, "labels": labels, "runbooks": page},
        }
    )
    monitor, rule = made.one("PodMonitor", "cabgate"), made.one("PrometheusRule", "cabgate")
    assert labels.items() <= monitor["metadata"]["labels"].items()
    assert labels.items() <= rule["metadata"]["labels"].items()
    endpoint = monitor["spec"]["podMetricsEndpoints"][0]
    assert endpoint == {"port": "health", "path": "/metrics", "interval": "15s"}
    for name in ("operator", "webhook"):
        ports = {each["name"] for each in made.container(name)["ports"]}
        assert endpoint["port"] in ports
    runbooks = (CHART.parents[1] / "docs" / "operations" / "alerts.md").read_text()
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert alert["annotations"]["runbook_url"] == f"{page}#{alert['alert'].lower()}"
        assert f"## {alert['alert']}\n" in runbooks
        for name in re.findall(r"cabgate_\w+", alert["expr"]):
            assert f'"{name.removesuffix("_bucket")}"' in METRICS, f"nobody counts {name}"
