# SPDX-License-Identifier: Apache-2.0
"""The wheel in an environment that holds nothing else: each command is there and starts, on the
oldest Python that is supported and on the newest that this machine has."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cabgate_devcluster import Binaries
from cabgate_devcluster.installed.installation import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
UV = shutil.which("uv") or str(ROOT / ".uv/bin/uv")


def pythons():
    """The oldest Python that is supported, and the newest, of those that start here."""
    folders = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep)]
    folders += Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin")
    found = {sys.version_info[:2]: Path(sys.executable)}
    for path in sorted(each for folder in folders for each in folder.glob("python3.*")):
        version = re.fullmatch(r"python3\.(\d+)", path.name)
        if version and (3, int(version[1])) >= (3, 11):
            started = subprocess.run([path, "-c", ""], capture_output=True, check=False)
            if started.returncode == 0:  # what a version manager puts there may not
                found.setdefault((3, int(version[1])), path)
    return {found[each] for each in (min(found), max(found))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [UV, "build", "--quiet", "--wheel", "--out-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module", params=sorted(pythons()), ids=lambda path: path.name)
def environment(request, wheel, tmp_path_factory):
    """A folder of commands: those of the wheel, and Python's."""
    folder = tmp_path_factory.mktemp("environment")
    lock = folder / "lock.txt"
    export = [UV, "export", "--quiet", "--locked", "--no-dev", "--no-hashes", "--no-emit-project"]
    lock.write_bytes(subprocess.run(export, cwd=ROOT, check=True, capture_output=True).stdout)
    made = folder / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", request.param, made], check=True)
    install = [UV, "pip", "install", "--quiet", "--python", made / "bin/python", wheel]
    subprocess.run([*install, "--constraint", lock], check=True, cwd=folder)
    return made / "bin"


def run(environment, *words, path=""):
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=environment,
        env={"PATH": f"{environment}:{path}", "HOME": str(environment)},
    )


@pytest.mark.parametrize("command", PROJECT["scripts"])
def test_each_command_starts(environment, command):
    words = ["queue", ""] if "complete" in command else ["--help"]
    done = run(environment, str(environment / command), *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


def test_kubectl_finds_the_plugin(environment):
    kubectl = Binaries.locate().kubectl
    done = run(environment, str(kubectl), "cab", "--help", path=str(kubectl.parent))
    assert done.returncode == 0, done.stderr
    assert "kubectl cab" in done.stdout


def test_it_says_which_version_it_is(environment):
    done = run(environment, str(environment / "cabgate"), "--version")
    assert PROJECT["version"] in done.stdout, done.stderr


def test_what_a_wheel_brings_is_not_the_checkout(environment):
    look = "import cabgate as a, cabgate_webhook as b; print(a.__path__[0], b.__path__[0])"
    done = run(environment, str(environment / "python"), "-c", look)
    for path in done.stdout.split():
        assert Path(path).is_relative_to(environment.parent), path
