# SPDX-License-Identifier: Apache-2.0
"""Builds that fail, that are interrupted, that run at the same time: with a `go` made of shell."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cabgate_devcluster import DevClusterError, wait_until
from cabgate_devcluster.programs.build import build, build_command
from cabgate_devcluster.programs.pinned import program

pytestmark = pytest.mark.slow

HALF = """
out=""
while [ $# -gt 0 ]; do if [ "$1" = -o ]; then out=$2; fi; shift; done
printf half > "$out"
"""
GOOD = HALF + 'echo some/package >&2; printf \' done\' >> "$out"; chmod +x "$out"'


def environ(tmp_path: Path, build_script: str, version: str = "go1.26.0") -> dict[str, str]:
    """An environment whose PATH leads to a `go` that runs `build_script` for `go build`."""
    folder = tmp_path / "path"
    folder.mkdir()
    go = folder / "go"
    go.write_text(
        f'#!/bin/sh\nif [ "$1" = env ]; then echo {version}; exit 0; fi\n'
        f"echo build >> {tmp_path}/calls\n{build_script}\n"
    )
    go.chmod(0o755)
    return {"PATH": f"{folder}:{os.defpath}", "XDG_CACHE_HOME": str(tmp_path / "xdg")}


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_build_puts_the_programs_into_place_and_says_so(tmp_path: Path) -> None:
    lines: list[str] = []
    cache = tmp_path / "cache"
    build(["etcd", "kubectl"], cache, lines.append, environ(tmp_path, GOOD))
    assert visible(cache) == ["etcd", "kubectl"]
    assert (cache / "etcd").read_text() == "half done"
    assert "go1.26.0" in lines[0]
    assert "minutes" in lines[0]
    assert any(line.startswith("kubectl: built in") for line in lines)


def test_a_failed_build_says_what_failed(tmp_path: Path) -> None:
    script = HALF + "echo 'x.go:3:1: undefined: frobnicate' >&2; exit 1"
    cache = tmp_path / "cache"
    with pytest.raises(DevClusterError, match=r"building kubectl failed.*exit code 1") as caught:
        build(["kubectl"], cache, lambda _: None, environ(tmp_path, script))
    assert "undefined: frobnicate" in str(caught.value)
    assert visible(cache) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_build_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    script = HALF + f"echo $$ > {tmp_path}/pid; sleep 600"
    cache = tmp_path / "cache"
    env = environ(tmp_path, script)
    code = (
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import os, pathlib; from cabgate_devcluster.programs.build import build; "
        f"build(['etcd'], pathlib.Path({str(cache)!r}), print, dict(os.environ))"
    )
    builder = subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    pid = int(wait_until((tmp_path / "pid").read_text, timeout=60, what="the build begins"))
    assert list(cache.glob(".build-*/etcd"))
    builder.send_signal(number)
    builder.wait(60)
    wait_until(lambda: visible(cache) == [], timeout=60, what="the half-built file is gone")
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), timeout=60, what="go is gone")


def test_what_a_crash_left_is_cleared_away(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / ".build-old").mkdir(parents=True)
    build(["etcd"], cache, lambda _: None, environ(tmp_path, GOOD))
    assert visible(cache) == ["etcd"]


def test_concurrent_builders_build_once(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    go_on = tmp_path / "go-on"
    env = environ(tmp_path, f"{GOOD}; until [ -e {go_on} ]; do sleep 0.05; done")
    lines: list[str] = []
    threads = [
        threading.Thread(target=build, args=(["etcd"], cache, lines.append, env)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    wait_until(
        lambda: any("waiting" in line for line in lines), timeout=60, what="another one waits"
    )
    go_on.touch()
    for thread in threads:
        thread.join(60)
    assert (tmp_path / "calls").read_text() == "build\n"
    assert (cache / "etcd").read_text() == "half done"
    assert not any(thread.is_alive() for thread in threads)


def test_the_command_sets_the_version_that_kubernetes_reports() -> None:
    command = " ".join(build_command("kube-apiserver", Path("out"), Path("go")))
    assert "-trimpath" in command
    assert "-s -w -X k8s.io/component-base/version.gitVersion=v1." in command
    assert "version.gitMajor=1 " in command
    assert "version.gitMinor=" in command


def test_the_command_sets_the_version_that_helm_reports() -> None:
    command = " ".join(build_command("helm", Path("out"), Path("go")))
    assert "-s -w -X helm.sh/helm/v4/internal/version.version=v4." in command


def test_promtool_is_built_without_the_clients_of_clouds() -> None:
    command = " ".join(build_command("promtool", Path("out"), Path("go")))
    assert "-tags remove_all_sd -ldflags" in command
    assert "-tags" not in build_command("kubectl", Path("out"), Path("go"))


def with_module(tmp_path: Path, *files: str) -> dict[str, str]:
    """A `go` that knows the folder of the module, too."""
    env = environ(tmp_path, GOOD)
    module = tmp_path / "module"
    for file in files:
        (module / file).parent.mkdir(parents=True, exist_ok=True)
        (module / file).write_text(file)
    go = tmp_path / "path" / "go"
    answer = f'#!/bin/sh\nif [ "$1" = list ]; then echo {module}; exit 0; fi'
    go.write_text(go.read_text().replace("#!/bin/sh", answer, 1))
    return env


def test_what_a_test_needs_of_the_module_is_kept_beside_the_program(tmp_path: Path) -> None:
    files = program("argocd").files
    cache = tmp_path / "cache"
    build(["argocd"], cache, lambda _: None, with_module(tmp_path, *files))
    assert visible(cache) == sorted(["argocd", *(Path(file).name for file in files)])
    assert (cache / "application-crd.yaml").read_text() == "manifests/crds/application-crd.yaml"


def test_a_module_without_such_a_file_gives_no_program(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(DevClusterError, match=r"argo-cd/v3 has no manifests/crds/application-crd"):
        build(["argocd"], cache, lambda _: None, with_module(tmp_path))
    assert visible(cache) == []


def test_the_users_go_settings_do_not_change_what_is_built(tmp_path: Path) -> None:
    script = f"env > {tmp_path}/env\n{GOOD}"
    env = environ(tmp_path, script)
    env |= {"GOFLAGS": "-mod=vendor", "GOOS": "plan9", "GOPROXY": "https://proxy.test"}
    build(["etcd"], tmp_path / "cache", lambda _: None, env)
    seen = (tmp_path / "env").read_text().splitlines()
    assert "GOFLAGS=-mod=readonly" in seen
    assert "CGO_ENABLED=0" in seen
    assert "GOTOOLCHAIN=local" in seen
    assert "GOPROXY=https://proxy.test" in seen
    assert not any(line.startswith("GOOS=") for line in seen)
