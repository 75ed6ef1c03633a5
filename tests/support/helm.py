# SPDX-License-Identifier: Apache-2.0
"""cabgate as Helm installs it. No kubelet starts what the Deployments ask for, so the processes are
started beside the API server: by their command, with their arguments, their mounts and the tokens
of their service accounts."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cabgate_devcluster import locate_program
from cabgate_devcluster.installed.chart import CHART, NAMESPACE
from support.replicas import Replicas

PLACES = {"health-port", "port"}
"""Arguments about places that several processes on one machine cannot share."""

CLIENT = re.compile(r'(define "cabgate\.client" -}}\n).*?({{- end -}})', re.DOTALL)
"""What the chart says of where the API server finds the webhook."""


class Released(Replicas):
    """A release of the chart: two operators, and two webhooks behind a balancer."""

    def __init__(self, cluster):
        super().__init__(cluster, operators=2)

    def helm(self, *args, check=True):
        """Run Helm as a cluster admin; the completed process."""
        folder = self.cluster.directory / "helm"
        result = subprocess.run(
            [str(locate_program("helm")), *map(str, args), "--namespace", NAMESPACE],
            env={
                "KUBECONFIG": str(self.cluster.admin),
                "HOME": str(folder),
                "PATH": "/usr/bin:/bin",
                "GOGC": "off",  # a quarter of its CPU time
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

    def upgrade(self, *args, chart=CHART):
        """`helm upgrade` to a chart, but that the webhook configurations name the balancer: nothing
        routes to a Service here."""
        return self.helm("upgrade", "cabgate", self._called_here(chart), *args).stdout

    def rollback(self, revision):
        """`helm rollback`."""
        self.helm("rollback", "cabgate", revision)

    def _called_here(self, chart):
        folder = self.cluster.directory / "chart"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(chart, folder)
        path = folder / "templates" / "_admission.tpl"
        url = f"url: https://127.0.0.1:{self.webhook_port}{{{{ .path }}}}"
        text, changes = CLIENT.subn(rf"\g<1>{url}\n\g<2>", path.read_text())
        assert changes == 1
        path.write_text(text)
        return folder

    def start(self, chart=CHART):
        """Start all processes; returns once rollouts are judged."""
        self.upgrade(chart=chart)
        self.start_managing()
        self.run_webhooks()
        self.wait_until_gating()

    def restart_in_turn(self):
        """Restart each process, with the arguments that its Deployment has now."""
        for port in self.managers:
            assert self.stop_manager(port) == 0
            self.start_manager(port)
        for backend in self.backends:
            assert self.stop_replica(backend) == 0
            self.start_replica(backend)

    def command_lines(self, component):
        """The command line of each process of a component that runs, as the system has it."""
        processes = self.operators if component == "operator" else self.processes
        return [
            Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
            for process in processes.values()
        ]

    def operator_words(self):
        return [*self._words("operator"), "--webhook-name=127.0.0.1"]

    def webhook_words(self, backend, _argv):
        port, health_port = backend
        places = [f"--port={port}", f"--health-port={health_port}", "--host=127.0.0.1"]
        return [*self._words("webhook"), *places]

    def _words(self, component):
        """Command and arguments of a container, with what it mounts where it is here."""
        found = self.cluster.kubectl(
            *("get", "deployment", f"cabgate-{component}", "-n", NAMESPACE, "-o", "json")
        )
        pod = json.loads(found.stdout)["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert "env" not in container
        (program,) = container["command"]
        words = [str(Path(sys.executable).with_name(program))]
        words += [each for each in container["args"] if each[2:].partition("=")[0] not in PLACES]
        secrets = {each["name"]: each["secret"]["secretName"] for each in pod.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            folder = str(self.mounted[secrets[mount["name"]]])
            words = [each.replace(mount["mountPath"], folder) for each in words]
        return words
