# SPDX-License-Identifier: Apache-2.0
"""The Pods of operator and webhook, and what finds, protects and reaches them."""

import tomllib

import pytest

from cabgate_devcluster.installed.chart import CHART
from cabgate_kube.process.serving import STOP_SECONDS
from support.templates import of

OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
KIND = {
    "group": "apps.kruise.io",
    "kind": "CloneSet",
    "resource": "clonesets",
    "paths": ["spec.a", "spec.b"],
}
PEER = {"ipBlock": {"cidr": "10.0.0.0/24"}}
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
RELAY = {"enabled": True, "cluster": "prod", "store": {"secret": "event-store"}}
SCRIPTS = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]["scripts"]


def pod(made, component):
    return made.one("Deployment", f"cabgate-{component}")["spec"]["template"]["spec"]


def labels(made, component):
    template = made.one("Deployment", f"cabgate-{component}")["spec"]["template"]
    return template["metadata"]["labels"]


def found_by(made, selector):
    """The components whose Pods a selector finds."""
    return {
        component
        for component in ("operator", "webhook", "relay")
        if made.has("Deployment", f"cabgate-{component}")
        and selector.items() <= labels(made, component).items()
    }


@of("webhook/deployment.yaml")
def test_the_webhook_is_run_as_the_values_say(render):
    default = render().container("webhook")
    assert default["command"] == ["cabgate-webhook"]
    assert default["command"][0] in SCRIPTS
    assert {"--mode=Enforce", "--default-ring=0", f"--operator={OPERATOR}"} <= set(default["args"])
    assert "--drain-seconds=10" in default["args"]
    assert not [each for each in default["args"] if each.startswith("--require-digests-from")]
    assert not [each for each in default["args"] if each.startswith("--client-ca")]
    assert default["image"].startswith("cabgate:")
    made = render(
        mode="Warn",
        defaultRing=1,
        requireDigestsFrom=0,
        gatedKinds=[KIND],
        image={"repository": "r/cabgate", "digest": "sha256:" + "0" * 64, "pullSecrets": ["r"]},
        webhook={
            "drainSeconds": 30,
            "clientCAConfigMap": "ca",
            "replicas": 3,
            "logFormat": "text",
        },
    )
    container = made.container("webhook")
    for each in (
        "--mode=Warn",
        "--default-ring=1",
        "--require-digests-from=0",
        "--gated-kind=apps.kruise.io/CloneSet=spec.a,spec.b",
        "--drain-seconds=30",
        "--client-ca=/etc/cabgate/client-ca/ca.crt",
        "--log-format=text",
    ):
        assert each in container["args"]
    assert container["image"] == "r/cabgate@sha256:" + "0" * 64
    assert pod(made, "webhook")["imagePullSecrets"] == [{"name": "r"}]
    assert made.one("Deployment", "cabgate-webhook")["spec"]["replicas"] == 3


def test_the_webhook_finds_its_files_where_its_arguments_say(render):
    made = render(webhook={"clientCAConfigMap": "apiserver-ca"})
    container = made.container("webhook")
    volumes = {each["name"]: each for each in pod(made, "webhook")["volumes"]}
    assert volumes["tls"]["secret"]["secretName"] == "cabgate-webhook-tls"
    assert volumes["signing-key"]["secret"]["secretName"] == "cabgate-signing-key"
    assert volumes["admission-proof"]["secret"]["secretName"] == "cabgate-admission-proof"
    assert volumes["client-ca"]["configMap"]["name"] == "apiserver-ca"
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    assert {each["name"] for each in mounts.values()} == set(volumes)
    assert all(each["readOnly"] for each in mounts.values())
    arguments = dict(each[2:].split("=", 1) for each in container["args"])
    for key in ("certificate", "key", "signing-key", "admission-proof", "client-ca"):
        assert arguments[key].rpartition("/")[0] in mounts


@pytest.mark.parametrize("drain", [0, 10, 300])
def test_a_webhook_that_stops_is_given_the_time_that_it_takes(render, drain):
    made = render(webhook={"drainSeconds": drain})
    container = made.container("webhook")
    # Before SIGTERM: until every API server has seen that the Pod is no endpoint any more.
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert f"--drain-seconds={drain}" in container["args"]
    # And then some, to end.
    needed = pause + drain + STOP_SECONDS + 5
    assert pod(made, "webhook")["terminationGracePeriodSeconds"] == needed
    # Not shorter than the readiness probe takes to notice.
    probe = container["readinessProbe"]
    assert pause >= probe["periodSeconds"] * probe["failureThreshold"]


@of("operator/deployment.yaml")
def test_the_operator_is_run_as_the_values_say(render):
    default = render().container("operator")
    assert default["command"] == ["cabgate-operator"]
    assert default["command"][0] in SCRIPTS
    assert "--manage-certificates" in default["args"]
    made = render(
        defaultRing=3,
        keepApproved=7,
        gatedKinds=[KIND],
        operator={"sweepSeconds": 60, "logFormat": "text", "replicas": 4},
        certificates={"mode": "cert-manager"},
    )
    arguments = made.container("operator")["args"]
    wanted = {"--default-ring=3", "--keep-approved=7", "--sweep-seconds=60", "--log-format=text"}
    wanted |= {each for each in made.container("webhook")["args"] if "gated-kind" in each}
    assert len(wanted) == 5, "it knows what the webhook gates"
    assert wanted < set(arguments)
    assert "--manage-certificates" not in arguments
    assert made.one("Deployment", "cabgate-operator")["spec"]["replicas"] == 4
    assert "volumes" not in pod(made, "operator"), "it reads no Secret as a file"
    # It hands over within a second of SIGTERM; a call that hangs then is what the rest is for.
    assert pod(made, "operator")["terminationGracePeriodSeconds"] == 30


@pytest.mark.parametrize("name", ["operator", "webhook", "relay"])
def test_a_pod_may_do_nothing_but_run(render, name):
    made = render(relay=RELAY)
    spec = pod(made, name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert made.container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["enableServiceLinks"] is False
    assert set(made.container(name)["resources"]) == {"requests", "limits"}


@pytest.mark.parametrize("name", ["operator", "webhook", "relay"])
def test_pods_run_where_the_values_say_and_apart(render, name):
    placed = {
        "nodeSelector": {"pool": "platform"},
        "tolerations": [{"key": "platform", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "important",
        "resources": {"requests": {"cpu": 1}},
    }
    placed |= {"podLabels": {"team": "p"}, "podAnnotations": {"n": "o"}}
    made = render(**{"relay": RELAY, name: {**(RELAY if name == "relay" else {}), **placed}})
    spec = pod(made, name)
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert spec[key] == placed[key]
    assert made.container(name)["resources"]["requests"]["cpu"] == 1
    template = made.one("Deployment", f"cabgate-{name}")["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "p"
    assert template["metadata"]["annotations"]["n"] == "o"
    spread = spec["topologySpreadConstraints"]
    keys = [each["topologyKey"] for each in spread]
    assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for each in spread:
        assert found_by(made, each["labelSelector"]["matchLabels"]) == {name}


@pytest.mark.parametrize("name", ["operator", "webhook", "relay"])
def test_a_rollout_of_ours_takes_nothing_away_before_there_is_more(render, name):
    made = render(relay=RELAY)
    deployment = made.one("Deployment", f"cabgate-{name}")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert found_by(made, deployment["selector"]["matchLabels"]) == {name}
    container = made.container(name)
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["startupProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert f"--health-port={ports['health']}" in container["args"]
    if name == "webhook":
        assert f"--port={ports['admission']}" in container["args"]


def _account(made, component):
    account = made.one("ServiceAccount", f"cabgate-{component}")
    assert account["automountServiceAccountToken"] is False
    spec = pod(made, component)
    assert spec["serviceAccountName"] == account["metadata"]["name"]
    assert spec["automountServiceAccountToken"] is True


@of("operator/serviceaccount.yaml")
def test_the_operators_token_is_for_its_own_pods_and_its_name_is_what_the_webhook_trusts(render):
    _account(render(), "operator")
    account = render().one("ServiceAccount", "cabgate-operator")["metadata"]
    user = f"system:serviceaccount:{account['namespace']}:{account['name']}"
    assert f"--operator={user}" in render().container("webhook")["args"]


@of("webhook/serviceaccount.yaml")
def test_the_webhooks_token_is_for_its_own_pods(render):
    _account(render(), "webhook")


def _budget(made, component):
    budget = made.one("PodDisruptionBudget", f"cabgate-{component}")["spec"]
    assert budget["maxUnavailable"] == 1
    # A Pod that is broken holds no drain of a node up.
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert found_by(made, budget["selector"]["matchLabels"]) == {component}


@of("operator/poddisruptionbudget.yaml")
def test_one_operator_at_a_time_may_be_evicted(render):
    _budget(render(), "operator")


@of("webhook/poddisruptionbudget.yaml")
def test_one_webhook_at_a_time_may_be_evicted(render):
    _budget(render(), "webhook")


@of("webhook/service.yaml")
def test_the_service_leads_to_the_admission_port_of_webhooks(render):
    made = render()
    service = made.one("Service", "cabgate-webhook")["spec"]
    assert found_by(made, service["selector"]) == {"webhook"}
    assert service["ports"] == [{"name": "admission", "port": 443, "targetPort": "admission"}]
    assert "admission" in {each["name"] for each in made.container("webhook")["ports"]}
    # Pods that are not ready get no admission requests.
    assert "publishNotReadyAddresses" not in service
    for entry in made.webhooks().values():
        called = entry["clientConfig"]["service"]
        assert (called["name"], called["port"]) == ("cabgate-webhook", 443)


def _network(made, component):
    policy = made.one("NetworkPolicy", f"cabgate-{component}")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert found_by(made, policy["podSelector"]["matchLabels"]) == {component}
    out = [(port["port"], port["protocol"]) for rule in policy["egress"] for port in rule["ports"]]
    assert out == [(6443, "TCP"), (53, "UDP"), (53, "TCP")]
    assert all("to" not in rule for rule in policy["egress"])
    return policy["ingress"]


@of("operator/networkpolicy.yaml")
def test_the_operator_is_reached_for_metrics_alone(render):
    made = render(networkPolicy={"apiServerPorts": [6443], "metricsFrom": [MONITORING]})
    assert _network(made, "operator") == [{"ports": [{"port": "health"}], "from": [MONITORING]}]
    open_to_all = render(networkPolicy={"apiServerPorts": [6443]})
    assert _network(open_to_all, "operator") == [{"ports": [{"port": "health"}]}]
    assert not render(networkPolicy={"enabled": False}).has("NetworkPolicy", "cabgate-operator")


@of("webhook/networkpolicy.yaml")
def test_the_webhook_is_reached_for_admission_and_metrics_by_who_is_named(render):
    given = {"admissionFrom": [PEER], "metricsFrom": [MONITORING], "apiServerPorts": [6443]}
    assert _network(render(networkPolicy=given), "webhook") == [
        {"ports": [{"port": "admission"}], "from": [PEER]},
        {"ports": [{"port": "health"}], "from": [MONITORING]},
    ]
    assert _network(render(networkPolicy={"apiServerPorts": [6443]}), "webhook") == [
        {"ports": [{"port": "admission"}]},
        {"ports": [{"port": "health"}]},
    ]
    assert not render(networkPolicy={"enabled": False}).has("NetworkPolicy", "cabgate-webhook")
