# SPDX-License-Identifier: Apache-2.0
"""What was installed without Helm becomes a release of the chart: docs/operations/install.md."""

from cabgate_devcluster import DevCluster
from cabgate_devcluster.installed.chart import CHART, NAMESPACE
from support.helm import Released


def test_what_was_applied_without_helm_becomes_the_releases():
    with DevCluster() as cluster:
        release = Released(cluster)
        cluster.kubectl("create", "namespace", NAMESPACE)
        rendered = release.helm("template", "cabgate", CHART).stdout
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=rendered)

        refused = release.helm("install", "cabgate", CHART, check=False)
        assert refused.returncode != 0
        assert "invalid ownership metadata" in refused.stderr

        release.helm("install", "cabgate", CHART, "--take-ownership", "--force-conflicts")
        [listed] = release.helm("list", "--short").stdout.splitlines()
        assert listed == "cabgate"
        # What it took over it also takes away.
        release.helm("uninstall", "cabgate")
        gone = cluster.kubectl(
            *("get", "validatingwebhookconfigurations", "cabgate"), "--ignore-not-found"
        )
        assert gone.stdout == ""
