# SPDX-License-Identifier: Apache-2.0
"""Notifications: off, until a Secret with channels is named; and then no more than they need."""

import yaml

from cabgate_devcluster.installed.chart import CHART
from cabgate_relay.settings import Settings
from support.templates import of

ROLES = CHART.parents[1] / "examples" / "relay" / "notifications.yaml"
RELAY = {"enabled": True, "cluster": "prod", "store": {"secret": "event-store"}}
NAME = "cabgate-notifications"
SLACK = {"ipBlock": {"cidr": "203.0.113.0/24"}}


def notifying(render, notifications=None, **values):
    return render(relay={**RELAY, "notifications": notifications or {"secret": "s"}}, **values)


def test_nothing_of_it_is_there_by_default(render):
    for made in (render(), render(relay=RELAY), render(relay={"notifications": {"secret": "s"}})):
        assert NAME not in {each["metadata"]["name"] for each in made.objects}
    arguments = render(relay=RELAY).container("relay")["args"]
    assert not any("notifications" in each for each in arguments)


@of("relay/deployment.yaml")
def test_the_secret_is_mounted_and_its_file_of_channels_is_read(render):
    made = notifying(render, {"secret": "channels", "key": "all.yaml"})
    container = made.container("relay")
    pod = made.one("Deployment", "cabgate-relay")["spec"]["template"]["spec"]
    (volume,) = pod["volumes"]
    assert volume["secret"] == {"secretName": "channels", "defaultMode": 0o440}
    (mount,) = container["volumeMounts"]
    assert (mount["name"], mount["readOnly"]) == (volume["name"], True)
    assert f"--notifications={mount['mountPath']}/all.yaml" in container["args"]
    assert "notifications" in Settings.model_fields


@of("relay/deployment.yaml")
def test_the_database_keeps_its_authority(render):
    store = {"secret": "s", "caConfigMap": "ca"}
    made = render(relay={**RELAY, "store": store, "notifications": {"secret": "c"}})
    mounts = made.container("relay")["volumeMounts"]
    assert [each["name"] for each in mounts] == ["store-ca", "notifications"]


@of("relay/notifications.yaml")
def test_to_notify_it_may_do_what_the_example_beside_the_chart_says_and_no_more(render):
    def kept(objects):
        return [
            {key: each[key] for key in ("kind", "rules", "roleRef", "subjects") if key in each}
            for each in objects
            if each["metadata"]["name"] == NAME
        ]

    found = kept(notifying(render).objects)
    assert sorted(found, key=str) == sorted(kept(yaml.safe_load_all(ROLES.read_text())), key=str)
    assert len(found) == 5
    assert "data" not in notifying(render).one("ConfigMap", NAME), "no upgrade empties it"


@of("relay/networkpolicy.yaml")
def test_it_reaches_its_channels(render):
    network = {"notificationPorts": [443, 2525], "notificationTo": [SLACK]}
    made = notifying(render, networkPolicy=network).one("NetworkPolicy", "cabgate-relay")
    _, _, channels = made["spec"]["egress"]
    assert channels == {
        "ports": [{"port": 443, "protocol": "TCP"}, {"port": 2525, "protocol": "TCP"}],
        "to": [SLACK],
    }
    *_, anywhere = notifying(render).one("NetworkPolicy", "cabgate-relay")["spec"]["egress"]
    assert [each["port"] for each in anywhere["ports"]] == [443, 465, 587]
    assert "to" not in anywhere
    silent = render(relay=RELAY).one("NetworkPolicy", "cabgate-relay")
    assert len(silent["spec"]["egress"]) == 2


@of("monitoring/prometheusrule.yaml")
def test_a_channel_that_fails_is_alerted_of_where_there_are_channels(render):
    def alerts(made):
        (group,) = made.one("PrometheusRule", "cabgate")["spec"]["groups"]
        return {rule["alert"] for rule in group["rules"]}

    shown = {"prometheusRule": {"enabled": True}}
    more = alerts(notifying(render, monitoring=shown)) - alerts(
        render(relay=RELAY, monitoring=shown)
    )
    assert more == {"CabgateRelayNotificationsFailing"}
