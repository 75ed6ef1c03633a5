# SPDX-License-Identifier: Apache-2.0
"""Building the local cluster's programs, and those that tests use beside it, from the Go modules
under `TOOLS`."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.processes.guard import Guard
from cabgate_devcluster.processes.process import Process
from cabgate_devcluster.programs.cache import TOOLS, module_version
from cabgate_devcluster.programs.golang import Go, find_go

Say = Callable[[str], None]

# Name: folder of its go.mod, package, and what it takes of a cold build on two cores.
_PROGRAMS = {
    "etcd": ("etcd", "go.etcd.io/etcd/server/v3", "1 min"),
    "kubectl": ("kubernetes", "k8s.io/kubernetes/cmd/kubectl", "2 min"),
    "kube-apiserver": ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", "4 min"),
    "kube-controller-manager": (
        "kubernetes",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "2 min",
    ),
    "helm": ("helm", "helm.sh/helm/v4/cmd/helm", "2 min"),
    "promtool": ("promtool", "github.com/prometheus/prometheus/cmd/promtool", "2 min"),
    "kustomize-controller": (
        "kustomize-controller",
        "github.com/fluxcd/kustomize-controller",
        "4 min",
    ),
    "krew": ("krew", "sigs.k8s.io/krew/cmd/krew", "1 min"),
    "umoci": ("umoci", "github.com/opencontainers/umoci/cmd/umoci", "1 min"),
}
_ALONE = {"helm", "promtool", "kustomize-controller", "krew", "umoci"}
# Leaves out the clients of two dozen clouds, in which Prometheus would look for its targets.
_TAGS = {"promtool": ["-tags", "remove_all_sd"]}
_REPORT_EVERY = 10.0  # seconds
# Variables that would change what is built, or for which machine.
_DROPPED = ("GOOS", "GOARCH", "GOEXPERIMENT", "GO111MODULE", "GOWORK", "GOROOT", "GOTOOLDIR")


def build(names: Sequence[str], folder: Path, say: Say, environ: Mapping[str, str]) -> None:
    """Build the programs `names` into `folder`; those that are there by then are left alone.

    Several builders at once wait for one another. A program appears complete or not at all, also
    when this process is killed; go and its compilers die with it. Raises `DevClusterError` with
    the end of Go's output when a build fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder, say):
        missing = [name for name in names if not (folder / name).is_file()]
        if not missing:
            return
        go = find_go(say, environ)
        minutes = "two to four" if _ALONE.issuperset(missing) else "five to ten"
        say(
            f"building {', '.join(missing)} with {go.version} ({go.path}): "
            f"{minutes} minutes on two cores, less when Go's own cache is warm; once only"
        )
        started = time.monotonic()
        for left in folder.glob(".build-*"):  # of a machine that went down; we hold the lock
            shutil.rmtree(left, ignore_errors=True)
        # In the cache's folder, so that the finished file can be moved into place in one step.
        guard = Guard(".build-", folder)
        try:
            for name in missing:
                _build_one(name, folder, go, guard, say, environ)
        finally:
            guard.close()
        say(f"all built in {_duration(started)}; kept in {folder}")


def build_command(name: str, output: Path, go: Path) -> list[str]:
    """Return the command that builds one program to the file `output`."""
    module, package, _ = _PROGRAMS[name]
    flags = ["-s", "-w"]
    if name == "helm":
        version = module_version("helm.sh/helm/v4")
        flags += ["-X", f"helm.sh/helm/v4/internal/version.version={version}"]
    if module == "kubernetes":
        version = module_version("k8s.io/kubernetes")
        major, minor = version.removeprefix("v").split(".")[:2]
        prefix = "k8s.io/component-base/version"
        flags += ["-X", f"{prefix}.gitVersion={version}"]
        flags += ["-X", f"{prefix}.gitMajor={major}", "-X", f"{prefix}.gitMinor={minor}"]
    # -v: a line for each package that is compiled, so that progress can be seen
    return [
        str(go),
        "build",
        "-v",
        "-trimpath",
        *_TAGS.get(name, ()),
        "-ldflags",
        " ".join(flags),
        "-o",
        str(output),
        package,
    ]


def _build_one(
    name: str, folder: Path, go: Go, guard: Guard, say: Say, environ: Mapping[str, str]
) -> None:
    module, _, expected = _PROGRAMS[name]
    say(f"{name}: building (up to {expected} on two cores)")
    output = guard.directory / name
    temporary = guard.directory / f"{name}.tmp"
    temporary.mkdir()
    started = reported = time.monotonic()
    process = Process(
        guard,
        f"go build {name}",
        build_command(name, output, go.path),
        log=guard.directory / f"{name}.log",
        env=_environment(environ, temporary),
        cwd=TOOLS / module,
    )
    while not process.wait(0.2):
        if time.monotonic() - reported >= _REPORT_EVERY:
            reported = time.monotonic()
            say(f"{name}: {_duration(started)}, {_compiled(process.log)}")
    if process.returncode != 0 or not output.is_file():
        raise DevClusterError(
            f"building {name} failed after {_duration(started)} (go build ended with exit code "
            f"{process.returncode}):\n{_complaints(process.log)}"
        )
    output.replace(folder / name)
    say(f"{name}: built in {_duration(started)}")


def _environment(environ: Mapping[str, str], temporary: Path) -> dict[str, str]:
    """The user's environment (GOPROXY, GOMODCACHE, ... stay theirs) with what must not vary."""
    env = {name: value for name, value in environ.items() if name not in _DROPPED}
    env.update(
        CGO_ENABLED="0",
        GOFLAGS="-mod=readonly",
        GOTOOLCHAIN="local",
        GOWORK="off",
        GOTMPDIR=str(temporary),
    )
    return env


def _compiled(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    downloads = sum(line.startswith("go: downloading") for line in lines)
    return f"{len(lines) - downloads} packages compiled, {downloads} modules downloaded"


def _complaints(log: Path) -> str:
    """The end of Go's output, without the lines that only say what was compiled or downloaded."""
    lines = log.read_text(errors="replace").splitlines()
    complaints = [line for line in lines if " " in line.strip() and "go: downloading" not in line]
    return "\n".join((complaints or lines)[-15:])


def _duration(started: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


@contextmanager
def _lock(folder: Path, say: Say) -> Iterator[None]:
    """Hold the folder's lock; the kernel gives it back when its holder dies."""
    with (folder / ".lock").open("w") as file:
        waited = 0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waited % 50 == 0:
                    say(f"another process is building in {folder}; waiting for it")
                waited += 1
                time.sleep(0.2)
            else:
                break
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
