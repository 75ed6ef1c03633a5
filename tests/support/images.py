# SPDX-License-Identifier: Apache-2.0
"""Processes of an image beside those of the session: started as a Pod starts them, and asked how
they are."""

import os
import re
import shutil
import urllib.request
from pathlib import Path

from cabgate_devcluster import wait_until
from cabgate_devcluster.installed.chart import NAMESPACE, arguments, manifests
from support.pod import account_folder

COMMANDS = {"webhook": "cabgate-webhook", "operator": "cabgate-operator"}

ASKED = 30
"""How often it is asked how it is, as a kubelet and Prometheus do, until it is at rest."""


class Processes:
    """Starts processes of an image, and stops them all at the end. `words` makes the command line
    of a program, by the folder of its mounts, the API server's HOST:PORT and the program."""

    def __init__(self, gate, words, folder):
        self._gate, self._words, self._folder = gate, words, folder
        self._started = []

    def start(self, component, *options):
        """Start one; the process, and the seconds of a processor that it took until it was
        ready."""
        cluster, port = self._gate.cluster, self._gate.cluster.free_port()
        mounts = self._folder / str(port)
        program = [COMMANDS[component], *options, f"--health-port={port}"]
        address = cluster.server.removeprefix("https://")
        command = self._words(mounts, address, program)
        token = cluster.service_account_token(NAMESPACE, f"cabgate-{component}")
        account_folder(mounts / "account", token, cluster.ca_pem.decode())
        for path, file in _files(self._gate).items():
            shutil.copy(file, mounts / path)
        process = cluster.spawn(f"image-{component}-{port}", command, cwd=Path("/"))
        process.health_port = port
        self._started.append(process)
        wait_until(
            lambda: not process.running or ready(port), f"{component} is ready", interval=0.01
        )
        assert process.running, process.log.read_text()
        return process, _spent(process.pid)

    def close(self):
        for process in self._started:
            process.kill()


def _files(gate):
    """What the mounted Secrets hold."""
    given = dict(each[2:].partition("=")[::2] for each in gate.installation.webhook_options())
    return {
        "tls/tls.crt": given["certificate"],
        "tls/tls.key": given["key"],
        "signing-key/key.pem": given["signing-key"],
        "admission-proof/token": given["admission-proof"],
    }


def launch(gate, component):
    """The arguments: the webhook's are the chart's, but for places; beside the session's operator
    another one must not manage certificates."""
    if component == "operator":
        return ["--sweep-seconds=600"]
    places = {"port": gate.cluster.free_port(), "host": "127.0.0.1"}
    kept = [
        each
        for each in arguments({}, component)
        if each[2:].partition("=")[0] not in {*places, "health-port"}
    ]
    return [*kept, *(f"--{key}={value}" for key, value in places.items())]


def ready(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
        return answer.status == 200


def metrics(process):
    url = f"http://127.0.0.1:{process.health_port}/metrics"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def has_swept(process):
    """Whether it leads, and has looked at every object."""
    text = metrics(process)
    return "\ncabgate_leader 1.0" in text and (
        "\ncabgate_last_sweep_timestamp_seconds 0.0" not in text
    )


def asked(process):
    """Ask a process how it is until what it did at its start is over."""
    for _ in range(ASKED):
        assert ready(process.health_port)
        assert metrics(process)


def requested(component):
    """Bytes of memory that the chart asks for."""
    container = next(
        each["spec"]["template"]["spec"]["containers"][0]
        for each in manifests()
        if (each["kind"], each["metadata"]["name"]) == ("Deployment", f"cabgate-{component}")
    )
    return int(container["resources"]["requests"]["memory"].removesuffix("Mi")) * 2**20


def _children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _spent(pid):
    """Seconds of a processor that a process and what it started took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_spent(int(child)) for child in _children_of(pid))


def resident(pid):
    """Bytes of memory of a process and of what it started."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024
    return own + sum(resident(int(child)) for child in _children_of(pid))


def state(tree):
    """What would change if something were written."""
    return {
        str(path.relative_to(tree)): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in tree.rglob("*")
    }
