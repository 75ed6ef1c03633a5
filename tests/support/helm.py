# SPDX-License-Identifier: Apache-2.0
"""cabgate as Helm installs it. No kubelet starts what the Deployments ask for, so the processes are
started beside the API server: with their arguments, and the tokens of their service accounts."""

import json
import subprocess
import sys

from cabgate_devcluster import locate_helm
from cabgate_devcluster.chart import CHART, NAMESPACE
from support.replicas import ENTRY, TIMES, Replicas

CONFIGURATIONS = ("validatingwebhookconfiguration", "mutatingwebhookconfiguration")
PLACES = {"health-port", "port"}
"""Arguments about places that several processes on one machine cannot share."""


class Released(Replicas):
    """A release of the chart: two operators, and two webhooks behind a balancer."""

    other_operator = None

    def helm(self, *args, check=True):
        """Run Helm as a cluster admin; the completed process."""
        folder = self.cluster.directory / "helm"
        result = subprocess.run(
            [str(locate_helm()), *map(str, args), "--namespace", NAMESPACE],
            env={
                "KUBECONFIG": str(self.cluster.admin),
                "HOME": str(folder),
                "PATH": "/usr/bin:/bin",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert not check or result.returncode == 0, result.stderr
        return result

    def install(self, chart=CHART, *args):
        """`helm install`, into a namespace that takes restricted Pods alone; what it says."""
        self.cluster.kubectl("create", "namespace", NAMESPACE)
        label = "pod-security.kubernetes.io/enforce=restricted"
        self.cluster.kubectl("label", "namespace", NAMESPACE, label)
        return self.helm("install", "cabgate", chart, *args).stdout

    def upgrade(self, *args):
        """`helm upgrade`, with the Service named again."""
        self.point_at_service()
        said = self.helm("upgrade", "cabgate", CHART, *args).stdout
        self.point_here()
        return said

    def rollback(self, revision):
        """`helm rollback`."""
        self.point_at_service()
        self.helm("rollback", "cabgate", revision)
        self.point_here()

    def start(self):
        """Start all processes; returns once rollouts are judged."""
        self.point_here()
        self.start_managing()
        self.run_webhooks()
        self.wait_until_gating()

    def deployment(self, component):
        """A Deployment as the API server has it."""
        name = f"cabgate-{component}"
        found = self.cluster.kubectl("get", "deployment", name, "-n", NAMESPACE, "-o", "json")
        return json.loads(found.stdout)

    def arguments(self, component):
        container = self.deployment(component)["spec"]["template"]["spec"]["containers"][0]
        assert "env" not in container
        return container["args"]

    def start_managing(self):
        given = [
            each for each in self.arguments("operator") if each[2:].partition("=")[0] not in PLACES
        ]
        assert "--manage-certificates" in given
        argv = [sys.executable, str(ENTRY), json.dumps(TIMES), *given, "--webhook-name=127.0.0.1"]
        self.start_operator(argv)
        port = self.cluster.free_port()
        self.other_operator = self.start_operator_replica(f"operator-{port}", port, argv)

    def stop_all(self):
        self.other_operator.stop()
        super().stop_all()

    def point_here(self):
        """Have the API server call the balancer. Nothing routes to a Service here."""
        self._each_client(self._here)

    def point_at_service(self):
        """Have the API server call what the chart names."""
        self._each_client(self._at_service)

    def _each_client(self, changed):
        for kind in CONFIGURATIONS:
            found = json.loads(self.cluster.kubectl("get", kind, "cabgate", "-o", "json").stdout)
            patch = [
                {
                    "op": "replace",
                    "path": f"/webhooks/{index}/clientConfig",
                    "value": changed(webhook["clientConfig"]),
                }
                for index, webhook in enumerate(found["webhooks"])
            ]
            args = ("patch", kind, "cabgate", "--type=json", "-p", json.dumps(patch))
            self.cluster.kubectl(*args)

    def _here(self, client):
        made = {key: value for key, value in client.items() if key != "service"}
        if "service" in client:
            made["url"] = f"https://127.0.0.1:{self.webhook_port}{client['service']['path']}"
        return made

    def _at_service(self, client):
        made = {key: value for key, value in client.items() if key != "url"}
        if "url" in client:
            path = "/" + client["url"].split("/", 3)[3]
            service = {"namespace": NAMESPACE, "name": "cabgate-webhook", "port": 443}
            made["service"] = {**service, "path": path}
        return made
