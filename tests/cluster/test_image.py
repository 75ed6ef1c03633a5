# SPDX-License-Identifier: Apache-2.0
"""What the Dockerfile puts into the image: installed by the same script, moved to where the image
has it, run as a Pod runs it, on a read-only root with the base system and nothing beside. The build
of the image is not run: there is no container engine."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

from cabgate_devcluster import wait_until
from cabgate_devcluster.installed.chart import NAMESPACE, arguments, manifests
from cabgate_devcluster.installed.installation import ROOT
from cabgate_samples.objects import GOOD
from support.pod import MOUNTS, TREE, account_folder, environment_of, on_image

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMMANDS = {"webhook": "cabgate-webhook", "operator": "cabgate-operator"}
READY_SECONDS = 2.0
"""Of a processor, until it is ready: that does not depend on what else the machine does."""

ASKED = 30
"""How often it is asked how it is, as a kubelet and Prometheus do, until it is at rest."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The folder of the image, in another place than it was installed in."""
    folder = tmp_path_factory.mktemp("image")
    # The stage that builds sees these files and no others.
    for name in copied():
        source, target = ROOT / name, folder / "build" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    env = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    subprocess.run(
        ["image/install.sh", str(folder / "installed")],
        cwd=folder / "build",
        check=True,
        timeout=500,
        env=env,
    )
    shutil.rmtree(folder / "build")
    moved = folder / "root" / "opt" / "cabgate"
    moved.parent.mkdir(parents=True)
    (folder / "installed").rename(moved)
    return moved


def copied():
    """The files and folders that the Dockerfile copies into the stage that builds."""
    found = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [name for line in found for name in line.split()]


@pytest.fixture
def image(tree, tmp_path):
    """What a command is to begin with so that it runs on the image, by the folder of its mounts."""
    command = on_image(tmp_path, tree, tmp_path / "none")
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"NOT PROVED that the image runs by itself: no root of its own: {tried.stderr}")
    return lambda mounts: on_image(tmp_path, tree, mounts)


@pytest.fixture
def started(gate, image, tmp_path):
    """Start a process of the image beside those of the session; the process, and the seconds of a
    processor that it took until it was ready."""
    processes = []

    def start(component, *options):
        cluster, port = gate.cluster, gate.cluster.free_port()
        mounts = tmp_path / str(port)
        command = image(mounts)
        token = cluster.service_account_token(NAMESPACE, f"cabgate-{component}")
        account_folder(mounts / "account", token, cluster.ca_pem.decode())
        for path, file in files(gate).items():
            shutil.copy(file, mounts / path)
        address = cluster.server.removeprefix("https://")
        program = [COMMANDS[component], *options, f"--health-port={port}"]
        process = cluster.spawn(
            f"image-{component}-{port}",
            [*command, *environment_of(address, f"{TREE}/bin:/usr/bin:/bin"), *program],
            cwd=Path("/"),
        )
        process.health_port = port
        processes.append(process)
        wait_until(
            lambda: not process.running or ready(port), f"{component} is ready", interval=0.01
        )
        assert process.running, process.log.read_text()
        return process, spent(process.pid)

    yield start
    for process in processes:
        process.kill()


def files(gate):
    """What the mounted Secrets hold."""
    given = dict(each[2:].partition("=")[::2] for each in gate.installation.webhook_options())
    return {
        "tls/tls.crt": given["certificate"],
        "tls/tls.key": given["key"],
        "signing-key/key.pem": given["signing-key"],
        "admission-proof/token": given["admission-proof"],
    }


def ready(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
        return answer.status == 200


def state(tree):
    """What would change if something were written."""
    return {
        str(path.relative_to(tree)): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in tree.rglob("*")
    }


@pytest.mark.parametrize("component", COMMANDS)
def test_it_runs_with_nothing_beside_it_and_is_soon_ready(
    gate, tree, started, component, record_testsuite_property
):
    record = record_testsuite_property
    before = state(tree)
    taken = []
    # Whoever shares the caches of a processor slows it down, too: the best of a few.
    for _ in range(5):
        process, seconds = started(component, *launch(gate, component))
        taken.append(seconds)
        process.kill()
        if seconds < READY_SECONDS:
            break
    record(f"image_{component}_ready_seconds", f"{min(taken):.2f}")
    assert min(taken) < READY_SECONDS, taken
    assert state(tree) == before


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


def test_there_is_nothing_else_and_nothing_can_be_written(tree, image, tmp_path):
    command = image(tmp_path / "mounts")

    def run(*words):
        return subprocess.run([*command, *words], capture_output=True, text=True, check=False)

    for path in ("/old", "/tmp", ROOT, sys.prefix, tree):
        assert run("test", "-e", str(path)).returncode == 1, f"{path} is there"
    for folder in ("", "/usr", "/run", TREE, *MOUNTS.values()):
        assert "Read-only" in run("touch", f"{folder}/new").stderr, folder
    assert run(f"{TREE}/bin/cabgate", "--help").returncode == 0


@pytest.mark.parametrize("component", COMMANDS)
def test_at_rest_it_stays_below_what_the_chart_asks_for(
    gate, started, component, record_testsuite_property
):
    record = record_testsuite_property
    process, _ = started(component, *launch(gate, component))
    asked(process)
    used = resident(process.pid)
    record(f"image_{component}_rest_mib", f"{used / 2**20:.0f}")
    assert used < requested(component)


@pytest.fixture
def no_other_operator(gate):
    """The session's operator is stopped in order, so that its Lease is free; it is back at the
    end."""
    gate.installation.operator.stop()
    yield
    gate.installation.start_operator()


def test_it_leads_with_the_service_account_of_its_pod(
    gate, namespace, no_other_operator, started, record_testsuite_property
):
    process, _ = started("operator", *launch(gate, "operator"))
    try:

        def swept():
            text = metrics(process)
            return "\ncabgate_leader 1.0" in text and (
                "\ncabgate_last_sweep_timestamp_seconds 0.0" not in text
            )

        wait_until(swept, timeout=60.0, what="it leads and has swept")
        gate.open(namespace, GOOD, "AutoApproved")
        asked(process)
        used = resident(process.pid)
        record_testsuite_property("image_leader_rest_mib", f"{used / 2**20:.0f}")
        assert used < requested("operator")
    finally:
        process.stop()  # in order: the next need not wait for the Lease


def metrics(process):
    url = f"http://127.0.0.1:{process.health_port}/metrics"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


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


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def spent(pid):
    """Seconds of a processor that a process and what it started took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(spent(int(child)) for child in children_of(pid))


def resident(pid):
    """Bytes of memory of a process and of what it started."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024
    return own + sum(resident(int(child)) for child in children_of(pid))


def test_it_holds_no_tools_of_development_and_no_source(tree):
    packages = tree / "lib"
    names = {path.name for path in packages.glob("python*/site-packages/*")}
    ours = {
        "cabgate",
        "cabgate_kube",
        "cabgate_operator",
        "cabgate_webhook",
        "cabgate_collect",
        "cabgate_cli",
    }
    assert ours <= names
    for unwanted in ("pytest", "mypy", "ruff", "hypothesis", "cabgate_devcluster", "cabgate_demo"):
        assert unwanted not in names
    assert not [path for path in packages.rglob("*.pth") if str(ROOT) in path.read_text()]
    compiled = list(packages.glob("python*/site-packages/cabgate/__pycache__/*.pyc"))
    assert compiled, "nothing is left to be compiled at the start"


def test_the_dockerfile_says_what_the_tests_do():
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert stages == ["${BASE}", "${BASE}"], "both stages on the one base that somebody pinned"
    before = DOCKERFILE.partition("FROM ")[0]
    assert re.search(r"^ARG BASE=python:3\.1\d-slim-\w+$", before, re.MULTILINE), "as it is typed"
    assert len(re.findall(r"^ARG BASE\b", DOCKERFILE, re.MULTILINE)) == 2, "the label knows it"
    assert 'org.opencontainers.image.base.name="${BASE}"' in DOCKERFILE, "and says what it was"
    assert re.search(r"^RUN image/install.sh /opt/cabgate$", DOCKERFILE, re.MULTILINE)
    users = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert users == [("65532", "65532")]
    for label in ("title", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in DOCKERFILE
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for name in copied():
        assert f"!{name}" in ignored
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(COMMANDS.values()) <= set(scripts)
