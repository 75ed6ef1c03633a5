# SPDX-License-Identifier: Apache-2.0
"""Building the local cluster's programs, and those that tests use beside it, from the Go modules
under `TOOLS`."""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.processes.guard import Guard
from cabgate_devcluster.processes.process import Process
from cabgate_devcluster.programs.golang import Go, find_go
from cabgate_devcluster.programs.pinned import KUBERNETES_FOLDER, TOOLS, program, version_of

Say = Callable[[str], None]

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
        minutes = sum(program(name).minutes for name in missing)
        say(
            f"building {', '.join(missing)} with {go.version} ({go.path}): up to {minutes} "
            "minutes on two cores, less when Go's own cache is warm; once only"
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
    built = program(name)
    version = version_of(name)
    flags = ["-s", "-w"]
    if name == "helm":
        flags += ["-X", f"helm.sh/helm/v4/internal/version.version={version}"]
    if built.tools == KUBERNETES_FOLDER:
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
        *(("-tags", ",".join(built.tags)) if built.tags else ()),
        "-ldflags",
        " ".join(flags),
        "-o",
        str(output),
        built.package,
    ]


def _build_one(
    name: str, folder: Path, go: Go, guard: Guard, say: Say, environ: Mapping[str, str]
) -> None:
    say(f"{name}: building (up to {program(name).minutes} min on two cores)")
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
        cwd=TOOLS / program(name).tools,
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
    _keep_files(name, folder, go, guard, _environment(environ, temporary))
    output.replace(folder / name)
    say(f"{name}: built in {_duration(started)}")


def _keep_files(name: str, folder: Path, go: Go, guard: Guard, environment: dict[str, str]) -> None:
    """Copy what a program's tests need of its module, each file complete or not at all."""
    built = program(name)
    if not built.files:
        return
    command = [str(go.path), "list", "-m", "-f", "{{.Dir}}", built.module]
    asked = subprocess.run(
        command,
        cwd=TOOLS / built.tools,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise DevClusterError(f"{' '.join(command)} failed: {asked.stderr.strip()}")
    for file in built.files:
        source = Path(asked.stdout.strip()) / file
        draft = guard.directory / source.name
        try:
            shutil.copyfile(source, draft)
        except OSError as exc:
            raise DevClusterError(f"{built.module} has no {file}: {exc}") from exc
        draft.replace(folder / source.name)


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
