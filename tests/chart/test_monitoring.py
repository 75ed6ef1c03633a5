# SPDX-License-Identifier: Apache-2.0
"""The alerts, as the chart's values have them."""

import json
import re

import pytest
import yaml

from cabgate_devcluster.installed.chart import CHART
from support.prometheus import Rules
from support.templates import of


@of("monitoring/prometheusrule.yaml")
@pytest.mark.parametrize(
    ("values", "renewal", "sweep"),
    [
        ({}, 20 * 86400, 3600),
        ({"operator": {"sweepSeconds": 86400}}, 20 * 86400, 6 * 86400),
        ({"certificates": {"mode": "cert-manager"}}, 20 * 86400, 3600),
        (
            {
                "certificates": {
                    "mode": "cert-manager",
                    "certManager": {"duration": "24h", "renewBefore": "6h"},
                }
            },
            4 * 3600,
            3600,
        ),
    ],
)
def test_alerts_follow_the_times_that_were_chosen(render, values, renewal, sweep):
    made = render(monitoring={"prometheusRule": {"enabled": True}}, **values)
    (group,) = made.one("PrometheusRule", "cabgate")["spec"]["groups"]
    rules = {rule["alert"]: rule for rule in group["rules"]}
    ends, late = rules["CabgateCertificateEnds"], rules["CabgateSweepLate"]
    assert ends["expr"].endswith(f"< {renewal}")
    assert f"less than {renewal // 3600} hours" in ends["annotations"]["summary"]
    assert late["expr"].endswith(f"> {sweep}")
    assert f"for {sweep // 60} minutes" in late["annotations"]["summary"]


def test_nobody_is_alerted_of_a_relay_that_is_not_to_run(render):
    def alerts(**values):
        made = render(monitoring={"prometheusRule": {"enabled": True}}, **values)
        (group,) = made.one("PrometheusRule", "cabgate")["spec"]["groups"]
        return {rule["alert"] for rule in group["rules"]}

    relay = {"enabled": True, "cluster": "prod", "store": {"secret": "event-store"}}
    more = alerts(relay=relay) - alerts()
    assert {"CabgateRelayStuck", "CabgateRelayAnomaly"} < more
    assert all(each.startswith("CabgateRelay") for each in more)


METRICS = "".join(path.read_text() for path in CHART.parents[1].glob("*/cabgate_*/**/metrics.py"))
FULL = re.compile(r"cabgate_[a-z_]+")


@of("monitoring/dashboard.yaml")
def test_promtool_understands_each_query_of_the_dashboard(render, tmp_path):
    assert not render().has("ConfigMap", "cabgate-dashboard")
    shown = {"enabled": True, "labels": {"team": "platform"}}
    made = render(monitoring={"dashboard": shown}).one("ConfigMap", "cabgate-dashboard")
    labels = made["metadata"]["labels"]
    assert (labels["team"], labels["grafana_dashboard"]) == ("platform", "1")
    panels = json.loads(made["data"]["cabgate.json"])["panels"]
    queries = [each["expr"] for panel in panels for each in panel["targets"]]
    rules = [
        {"alert": f"Query{number}", "expr": query, "labels": {}, "annotations": {}}
        for number, query in enumerate(queries)
    ]
    found = Rules({"groups": [{"name": "dashboard", "rules": rules}]}, tmp_path).check()
    assert f"SUCCESS: {len(queries)} rules found" in found
    for name in FULL.findall(yaml.safe_dump(queries)):
        assert f'"{name.removesuffix("_bucket")}"' in METRICS, f"nobody counts {name}"


def test_panels_of_the_dashboard_lie_beside_each_other():
    panels = json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]
    places = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
