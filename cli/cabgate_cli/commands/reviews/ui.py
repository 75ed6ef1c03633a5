# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab ui`: the page for reviewers, on this machine alone."""

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import click

from cabgate.api.kinds import BUILT_IN, GatedKind
from cabgate.rollout.installation import CONFIG_MAP, SYSTEM_NAMESPACE
from cabgate_cli.commands.kubectl_options import kubectl_options
from cabgate_cli.errors import Unavailable, note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.kubectl.process import PROGRAM, Kubectl

PAGE = "cabgate_portal.page.local"
"""The process that serves the page. Not imported: it needs what the command line does not."""

NEEDED = ("cabgate_portal", "jinja2", "uvicorn", "uvloop")
"""What a Python has that can run it."""

_NAME = "[a-z0-9][-a-z0-9.]*"


def _path_of(kind: GatedKind) -> str:
    """A workload of a kind by its name."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    return f"^{root.replace('.', '[.]')}/namespaces/{_NAME}/{kind.resource}/{_NAME}$"


PATHS = (
    f"^/apis/cabgate[.]dev/v1alpha1(/{_NAME})+$",
    "^/apis/authentication[.]k8s[.]io/v1/selfsubjectreviews$",
    f"^/api/v1/namespaces(/{_NAME})?$",
    f"^/api/v1/namespaces/{SYSTEM_NAMESPACE}/configmaps/{CONFIG_MAP}$",
    *map(_path_of, BUILT_IN),
)
"""What is passed on to the API server: all that the page asks for, and no name that leads up the
path, however it is written. kubectl has no way to say which method goes with which path. Of a kind
that is gated by configuration the plural is not known, and the page does not read it."""

METHODS = "^(?i:DELETE|PUT|OPTIONS|HEAD|TRACE|CONNECT)$"
"""What is not passed on."""

START_SECONDS = 60.0
"""How long kubectl may take to listen: a plugin may ask something to sign in."""

STOP_SECONDS = 5.0
"""How long a process may take to end."""

_POLL_SECONDS = 0.05


@click.command(
    epilog="""\b
Examples:
  kubectl cab ui
  kubectl cab ui --context production --port 8443
"""
    + of_command("ended by Ctrl-C or SIGTERM")
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port on 127.0.0.1; default: one that is free.",
)
@kubectl_options
@click.pass_context
def ui(ctx: click.Context, kubectl: Kubectl, port: int | None) -> None:
    """Serve the page for reviewers on this machine.

    It prints a URL that is good once, for the browser that opens it, and serves on 127.0.0.1 until
    Ctrl-C. What you do there is done as you, by kubectl: what waits, what it changes, deciding,
    change freezes, the ledger, and a dashboard.
    """
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        raise Unavailable(
            f"the page is not installed here ({', '.join(lacking)} is missing): install it with "
            "pip install 'cabgate[portal]', or uv tool install 'cabgate[portal]'"
        )
    # Ended like by Ctrl-C: the processes below are, too.
    signal.signal(signal.SIGTERM, _interrupt)
    with (
        tempfile.TemporaryDirectory(prefix="cabgate-ui-") as folder,  # that nobody else may enter
        _proxied(kubectl, Path(folder, "api")) as proxy,
        _served(Path(folder, "api"), port) as page,
        contextlib.suppress(KeyboardInterrupt),
    ):
        while page.poll() is None:
            if proxy.poll() is not None:
                raise Unavailable(f"{PROGRAM} proxy ended, and the page with it: run it again")
            time.sleep(_POLL_SECONDS)
        ctx.exit(_code_of(page.returncode))


def _code_of(returned: int) -> ExitCode:
    """How the command ends where the page did so: a code of the table, or what the page meets
    unexpectedly."""
    if returned in (0, -signal.SIGINT):
        return ExitCode.OK
    return (
        ExitCode(returned)
        if returned in (ExitCode.USAGE, ExitCode.UNAVAILABLE)
        else ExitCode.INTERNAL
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _proxied(kubectl: Kubectl, path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`kubectl proxy` on a socket, once it listens there. Raises `Unavailable`."""
    words = kubectl.argv(
        *("proxy", f"--unix-socket={path}", f"--accept-paths={','.join(PATHS)}"),
        f"--reject-methods={METHODS}",
    )
    try:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    except OSError as error:
        raise Unavailable(
            f"no cluster to read from: {PROGRAM} cannot be run: {error.strerror}. Install kubectl, "
            "or put it on PATH."
        ) from None
    with _ended(process):
        until = time.monotonic() + START_SECONDS
        while not _listens(path):
            if process.poll() is not None:
                raise Unavailable(
                    f"no cluster to read from: {PROGRAM} proxy ended; check --kubeconfig and "
                    "--context"
                )
            if time.monotonic() > until:
                raise Unavailable(f"{PROGRAM} proxy does not listen after {START_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        yield process


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        try:
            tried.connect(str(path))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _served(path: Path, port: int | None) -> Iterator["subprocess.Popen[bytes]"]:
    """The page. It ends with its standard input, should this process be killed."""
    # -P: nothing is imported from the folder that somebody happens to be in: it may be another's.
    # Not -I: that finds nothing that was installed by `pip install --user`.
    words = [sys.executable, "-P", "-m", PAGE, "--socket", str(path)]
    words += ["--port", str(port)] if port is not None else []
    note("open this URL in your browser; it is good once. Ctrl-C ends the page.")
    process = subprocess.Popen(words, stdin=subprocess.PIPE)
    with _ended(process):
        yield process


@contextlib.contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
