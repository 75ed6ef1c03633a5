# SPDX-License-Identifier: Apache-2.0
"""The relay: off, until it is told which store it appends to."""

import pytest
import yaml

from cabgate_devcluster.installed.chart import CHART
from cabgate_relay.settings import Settings
from cabgate_relay.sinks.configuration import read_sinks
from support.templates import of

ROLES = CHART.parents[1] / "examples" / "relay" / "roles.yaml"
ON = {"enabled": True, "cluster": "prod", "store": {"secret": "event-store"}}
STORE = {"ipBlock": {"cidr": "10.0.1.0/24"}}
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
NAME = "cabgate-relay"
LOG = {"name": "log", "type": "stdout", "format": "ocsf"}
SIEM = {
    "name": "siem",
    "type": "https",
    "url": "https://siem.example.com/ingest?a=b",
    "secret": {"name": "siem-token", "key": "token"},
    "header": "X-Api-Key",
    "caConfigMap": "siem-ca",
}
FOUND = {"app.kubernetes.io/name": "cabgate", "app.kubernetes.io/component": "relay"}


def relay(render, **values):
    return render(relay={**ON, **values})


def pod(made):
    return made.one("Deployment", NAME)["spec"]["template"]["spec"]


@pytest.mark.parametrize("values", [{}, {"relay": {**ON, "enabled": False}}])
def test_nothing_of_it_is_there_by_default(render, values):
    named = [each for each in render(**values).objects if each["metadata"]["name"] == NAME]
    assert not named


@of("relay/deployment.yaml")
def test_the_relay_is_run_as_the_values_say(render):
    container = relay(render).container("relay")
    assert container["command"] == ["cabgate-relay"]
    given = dict(each[2:].split("=") for each in container["args"])
    assert given == {
        "cluster": "prod",
        "health-port": "8080",
        "sweep-seconds": "600",
        "log-format": "json",
    }
    assert {each.replace("-", "_") for each in given} <= set(Settings.model_fields)
    made = relay(render, sweepSeconds=60, logFormat="text", replicas=1)
    given = made.container("relay")["args"]
    assert {"--sweep-seconds=60", "--log-format=text"} < set(given)
    assert made.one("Deployment", NAME)["spec"]["replicas"] == 1


def test_the_url_of_the_store_comes_from_the_secret_alone(render):
    container = relay(render, store={"secret": "s", "key": "dsn"}).container("relay")
    assert container["env"] == [
        {"name": "CABGATE_STORE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "dsn"}}}
    ]
    assert "volumes" not in pod(relay(render)), "nothing can be written, and nothing is mounted"


def test_the_database_shows_a_certificate_of_the_authority_that_was_given(render):
    made = relay(render, store={"secret": "s", "caConfigMap": "database-ca"})
    container = made.container("relay")
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment["PGSSLMODE"] == "verify-full"
    (volume,) = pod(made)["volumes"]
    assert volume["configMap"] == {"name": "database-ca"}
    (mount,) = container["volumeMounts"]
    assert mount["readOnly"] is True
    assert mount["name"] == volume["name"]
    assert environment["PGSSLROOTCERT"] == f"{mount['mountPath']}/ca.crt"


@of("relay/serviceaccount.yaml")
def test_its_token_is_for_its_own_pods(render):
    made = relay(render)
    account = made.one("ServiceAccount", NAME)
    assert account["automountServiceAccountToken"] is False
    assert pod(made)["serviceAccountName"] == NAME
    assert pod(made)["automountServiceAccountToken"] is True


def granted(objects):
    """Who may do what, by kind and name, without labels and comments."""
    return {
        (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace")): {
            key: each[key] for key in ("rules", "roleRef", "subjects") if key in each
        }
        for each in objects
        if each["kind"].endswith(("Role", "RoleBinding")) and each["metadata"]["name"] == NAME
    }


@of("relay/roles.yaml")
def test_it_may_do_what_the_example_beside_the_chart_lets_it_do_and_no_more(render):
    found = granted(relay(render, siem={"sinks": [LOG]}).objects)
    assert found == granted(yaml.safe_load_all(ROLES.read_text()))
    assert len(found) == 4


def test_without_a_store_it_reads_the_ledger_alone(render):
    made = relay(render, store={"secret": ""}, siem={"sinks": [LOG]})
    (rule,) = made.one("ClusterRole", NAME)["rules"]
    assert rule["resources"] == ["cabdecisions"]


def test_without_sinks_it_writes_its_lease_alone(render):
    rules = relay(render).one("Role", NAME)["rules"]
    written = [each["resources"] for each in rules if {"create", "update"} & set(each["verbs"])]
    assert written == [["leases"], ["leases"]]


@of("relay/lease.yaml")
def test_its_lease_comes_empty(render):
    assert "spec" not in relay(render).one("Lease", NAME)


@of("relay/lease.yaml")
def test_the_lease_stays_when_the_relay_goes(render):
    """`cabgate ledger prune` takes it for the sign that there is a store."""
    annotations = relay(render).one("Lease", NAME)["metadata"]["annotations"]
    assert annotations == {"helm.sh/resource-policy": "keep"}


@of("relay/poddisruptionbudget.yaml")
def test_one_at_a_time_may_be_evicted(render):
    budget = relay(render).one("PodDisruptionBudget", NAME)["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"]["matchLabels"] == FOUND


@of("relay/networkpolicy.yaml")
def test_it_reaches_the_api_server_and_its_store_and_is_reached_for_metrics(render):
    def policy(**network):
        made = render(relay=ON, networkPolicy={"apiServerPorts": [6443], **network})
        return made.one("NetworkPolicy", NAME)["spec"]

    found = policy(storePorts=[6432], storeTo=[STORE], metricsFrom=[MONITORING])
    assert found["podSelector"]["matchLabels"] == FOUND
    assert found["policyTypes"] == ["Ingress", "Egress"]
    assert found["ingress"] == [{"ports": [{"port": "health"}], "from": [MONITORING]}]
    api, store = found["egress"]
    assert [each["port"] for each in api["ports"]] == [6443, 53, 53]
    assert store == {"ports": [{"port": 6432, "protocol": "TCP"}], "to": [STORE]}
    _, anywhere = policy()["egress"]
    assert anywhere == {"ports": [{"port": 5432, "protocol": "TCP"}]}
    assert not render(relay=ON, networkPolicy={"enabled": False}).has("NetworkPolicy", NAME)


@of("relay/sinks.yaml")
def test_the_relay_reads_the_sinks_of_the_values(render, tmp_path):
    """By the relay's own reader; what it reads is mounted where the file says."""
    made = relay(render, store={}, siem={"sinks": [SIEM, LOG]})
    container = made.container("relay")
    assert "env" not in container, "without a store nothing names one"
    (path,) = (each.removeprefix("--sinks=") for each in container["args"] if "--sinks" in each)
    ((key, text),) = made.one("ConfigMap", "cabgate-relay-sinks")["data"].items()
    assert path == f"/etc/cabgate/sinks/{key}"
    (tmp_path / key).write_text(text)
    siem, log = read_sinks(tmp_path / key)
    assert (siem.url, siem.header, log.format) == (SIEM["url"], "X-Api-Key", "ocsf")
    mounts = {each["name"]: each for each in container["volumeMounts"]}
    assert all(each["readOnly"] for each in mounts.values())
    assert str(siem.credential_file.parent) == mounts["sink-siem"]["mountPath"]
    volumes = {each["name"]: each for each in pod(made)["volumes"]}
    secret, authority = volumes["sink-siem"]["projected"]["sources"]
    assert secret["secret"] == {
        "name": "siem-token",
        "items": [{"key": "token", "path": siem.credential_file.name}],
    }
    assert authority["configMap"] == {
        "name": "siem-ca",
        "items": [{"key": "ca.crt", "path": siem.ca_file.name}],
    }
    assert set(volumes) == {"sinks", "sink-siem"}


@of("relay/sinks.yaml")
def test_another_sink_starts_new_pods(render):
    def template(*sinks):
        made = relay(render, siem={"sinks": list(sinks)})
        return made.one("Deployment", NAME)["spec"]["template"]

    assert template(SIEM) == template(SIEM)
    assert template(SIEM) != template({**SIEM, "url": "https://other.example.com/"})


@of("relay/sinks.yaml")
def test_the_positions_of_the_sinks_come_empty_and_stay(render):
    made = relay(render, siem={"sinks": [LOG]}).one("ConfigMap", "cabgate-relay-cursors")
    assert "data" not in made
    assert made["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert not relay(render).has("ConfigMap", "cabgate-relay-cursors")


def test_it_reaches_siems_only_where_it_has_sinks_of_https(render):
    def out(**values):
        made = relay(render, **values)
        return made.one("NetworkPolicy", NAME)["spec"]["egress"][1:]

    https = {"ports": [{"port": 443, "protocol": "TCP"}]}
    assert out(store={}, siem={"sinks": [SIEM]}) == [https]
    assert out(store={}, siem={"sinks": [LOG]}) == []
    assert len(out(siem={"sinks": [SIEM, LOG]})) == 2
    given = {"siemPorts": [8088], "siemTo": [STORE]}
    made = render(relay={**ON, "siem": {"sinks": [SIEM]}}, networkPolicy=given)
    *_, found = made.one("NetworkPolicy", NAME)["spec"]["egress"]
    assert found == {"ports": [{"port": 8088, "protocol": "TCP"}], "to": [STORE]}


def test_alerts_of_sinks_are_there_where_there_are_sinks(render):
    def alerts(sinks):
        made = relay(
            lambda **values: render(monitoring={"prometheusRule": {"enabled": True}}, **values),
            siem={"sinks": sinks},
        )
        (group,) = made.one("PrometheusRule", "cabgate")["spec"]["groups"]
        return {rule["alert"] for rule in group["rules"]}

    assert alerts([LOG]) - alerts([]) == {"CabgateRelaySinkBehind", "CabgateRelaySinkStuck"}
