# SPDX-License-Identifier: Apache-2.0
"""The threat model names a ResourceQuota as what limits a team's intents; so it does."""

import json

from cabgate_devcluster import wait_until
from cabgate_samples.objects import intent

COUNT = "count/deploymentintents.cabgate.dev"


def test_a_quota_limits_how_many_intents_there_are(gate, namespace):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "intents", "namespace": namespace},
        "spec": {"hard": {COUNT: "1"}},
    }
    gate.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(quota))
    wait_until(
        lambda: (
            COUNT
            in gate.get("resourcequota", "intents", namespace).get("status", {}).get("used", {})
        ),
        # Kubernetes' controller of quotas asks every half minute which kinds there are, and counts
        # a new one once it has read all; on a control plane that has just begun it takes turns.
        "the quota is counted",
        timeout=240.0,
    )
    gate.apply("requester", intent(namespace, name="first"))
    said = gate.refused(
        "requester", "apply", "-f", "-", stdin=json.dumps(intent(namespace, name="second"))
    )
    assert "exceeded quota: intents" in said
    assert COUNT in said
