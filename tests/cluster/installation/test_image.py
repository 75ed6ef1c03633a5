# SPDX-License-Identifier: Apache-2.0
"""What the Dockerfile puts into the image: installed by the same script, moved to where the image
has it, run as a Pod runs it, on a read-only root with the base system and nothing beside. The build
of the image is not run: there is no container engine. What `make image` makes is run by
test_image_archive.py."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from cabgate_devcluster import wait_until
from cabgate_devcluster.installed.installation import ROOT
from cabgate_samples.objects import GOOD
from support.images import (
    COMMANDS,
    Processes,
    asked,
    has_swept,
    launch,
    requested,
    resident,
    state,
)
from support.pod import MOUNTS, TREE, environment_of, on_image

DOCKERFILE = (ROOT / "Dockerfile").read_text()
READY_SECONDS = 2.0
"""Of a processor, until it is ready: that does not depend on what else the machine does."""


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
    """Start a process of the image beside those of the session."""

    def words(mounts, address, program):
        return [*image(mounts), *environment_of(address, f"{TREE}/bin:/usr/bin:/bin"), *program]

    processes = Processes(gate, words, tmp_path)
    yield processes.start
    processes.close()


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
        wait_until(lambda: has_swept(process), timeout=60.0, what="it leads and has swept")
        gate.open(namespace, GOOD, "AutoApproved")
        asked(process)
        used = resident(process.pid)
        record_testsuite_property("image_leader_rest_mib", f"{used / 2**20:.0f}")
        assert used < requested("operator")
    finally:
        process.stop()  # in order: the next need not wait for the Lease


def test_it_holds_no_tools_of_development_and_no_source(tree):
    packages = tree / "lib"
    names = {path.name for path in packages.glob("python*/site-packages/*")}
    ours = {
        "cabgate",
        "cabgate_kube",
        "cabgate_operator",
        "cabgate_webhook",
        "cabgate_collect",
        "cabgate_store",
        "cabgate_portal",
        "cabgate_relay",
        "cabgate_cli",
        "authlib",
        "jinja2",
        "psycopg",
        "psycopg_binary",
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
