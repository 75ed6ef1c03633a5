# SPDX-License-Identifier: Apache-2.0
"""The alerts, as the chart's values have them."""

import pytest

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
