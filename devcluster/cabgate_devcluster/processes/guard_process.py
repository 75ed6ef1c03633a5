# SPDX-License-Identifier: Apache-2.0
"""The guard: a small process that owns a folder and every process of a local cluster.

It runs as a script of its own, in its own session, and imports the standard library only; or
`preload_process` forks it, with the modules of servers loaded, and it forks those servers. Its
starter holds the other end of the socket on its standard input. When that closes, or when the
starter is no longer its parent, the guard kills what it started and removes the folder: nobody
can SIGKILL their way around that, since the kernel closes a dead process's sockets.

The guard starts the processes itself, so there is no moment at which one exists that it does not
know. It has one thread, so on Linux PR_SET_PDEATHSIG is sound as a second line: that signal comes
when the starting *thread* ends, and here this is when the guard does.

One JSON object a line, each answered by one with the same `id`:
  spawn {argv, env, cwd, log} -> {handle, pid}     poll {handle} -> {returncode or null}
  signal {handle, signal} -> {delivered}           close -> {} (and the guard ends)
"""

import atexit
import contextlib
import ctypes
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_OF_THE_SERVERS = ("CABGATE_", "CHAOS_", "COLUMNS", "DEMO_", "KUBE", "LINES", "PYTEST_")
"""How the names of variables begin that no interpreter and no library reads at its start."""

_TICK = 0.25  # seconds; how often it looks whether its parent is still there


class _Supervisor:
    def __init__(self, folder: str, forking: bool) -> None:
        self.folder = folder
        self.forking = forking
        self.processes: dict[int, subprocess.Popen[bytes] | _Forked] = {}
        self.swept: set[int] = set()
        self.pid = os.getpid()
        self.libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def spawn(self, argv: list[str], env: dict[str, str], cwd: str, log: str) -> dict[str, int]:
        with Path(log).open("ab") as output:
            process = (
                self._fork(argv, env, cwd, output.fileno())
                if self._is_loaded(argv, env)
                else subprocess.Popen(
                    argv,
                    env=env,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    process_group=0,
                    preexec_fn=self._die_with_guard,  # noqa: PLW1509 - one thread, no deadlock
                )
            )
        handle = len(self.processes) + 1
        self.processes[handle] = process
        return {"handle": handle, "pid": process.pid}

    def _is_loaded(self, argv: list[str], env: dict[str, str]) -> bool:
        """Whether a fork of this process is what the command line would start: the same interpreter
        with a module or script.

        An interpreter looks at its environment when it starts (PYTHONPATH, TZ, LD_PRELOAD ...), so
        but for what the servers read themselves it has to be that of this process.
        """
        if not self.forking or argv[:1] != [sys.executable]:
            return False
        differing = {name for name, _ in env.items() ^ os.environ.items()}
        return argv[1].endswith((".py", "-m")) and all(
            name.startswith(_OF_THE_SERVERS) for name in differing
        )

    def _fork(self, argv: list[str], env: dict[str, str], cwd: str, output: int) -> "_Forked":
        pid = os.fork()
        if pid == 0:
            try:
                os.setpgid(0, 0)
                self._die_with_guard()
                os.chdir(cwd)
                _run(argv[1:], env, output)
            finally:
                os._exit(1)  # it did not come to its end: never back into the guard's code
        with contextlib.suppress(OSError):  # the child did it first, or has ended
            os.setpgid(pid, pid)
        return _Forked(pid)

    def _die_with_guard(self) -> None:
        if self.libc is None:
            return
        self.libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self.pid:  # it died before the line above
            os._exit(1)

    def reap(self) -> None:
        for handle, process in self.processes.items():
            if handle not in self.swept and process.poll() is not None:
                # What its leader left behind in the group goes with it.
                self.swept.add(handle)
                _kill_group(process.pid, signal.SIGKILL)

    def send(self, handle: int, number: int) -> bool:
        self.reap()
        if handle in self.swept:
            return False
        _kill_group(self.processes[handle].pid, number)
        return True

    def returncode(self, handle: int) -> int | None:
        self.reap()
        return self.processes[handle].returncode

    def end(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                _kill_group(process.pid, signal.SIGKILL)
        for process in self.processes.values():
            process.wait()
        self.reap()
        for _ in range(20):  # a grandchild may still be writing as it dies
            shutil.rmtree(self.folder, ignore_errors=True)
            if not Path(self.folder).exists():
                return
            time.sleep(0.1)


class _Forked:
    """As much of `subprocess.Popen` as the guard uses, of a child that it forked itself."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._ended(os.WNOHANG)

    def wait(self) -> int | None:
        return self._ended(0)

    def _ended(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid == self.pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _run(argv: list[str], env: dict[str, str], output: int) -> None:
    """Do what `python -m MODULE ...` or `python SCRIPT ...` does, and end the process likewise."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    code: object = 1
    try:
        if argv[0] == "-m":
            sys.argv = argv[1:]
            runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = argv
            sys.path.insert(0, str(Path(argv[0]).parent))
            runpy.run_path(argv[0], run_name="__main__")
        code = 0
    except SystemExit as exc:
        code = exc.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:  # noqa: BLE001 - as the interpreter does at its end
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(int(code or 0) & 0xFF)  # type: ignore[call-overload]


def _kill_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _answer(supervisor: _Supervisor, request: dict[str, Any]) -> dict[str, Any]:
    operation = request["op"]
    if operation == "spawn":
        return dict(
            supervisor.spawn(request["argv"], request["env"], request["cwd"], request["log"])
        )
    if operation == "poll":
        return {"returncode": supervisor.returncode(request["handle"])}
    if operation == "signal":
        return {"delivered": supervisor.send(request["handle"], request["signal"])}
    raise ValueError(f"unknown operation {operation!r}")


def _serve(supervisor: _Supervisor, channel: socket.socket, parent: int) -> None:
    pending = b""
    while os.getppid() == parent:
        readable, _, _ = select.select([channel], [], [], _TICK)
        supervisor.reap()
        if not readable:
            continue
        received = channel.recv(65536)
        if not received:
            return
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if request["op"] == "close":
                supervisor.end()
            try:
                answer = {} if request["op"] == "close" else _answer(supervisor, request)
            except (OSError, ValueError, subprocess.SubprocessError) as exc:
                answer = {"error": f"{type(exc).__name__}: {exc}"}
            _send(channel, {"id": request["id"], **answer})
            if request["op"] == "close":
                return


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _on_sigterm(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _ignore(number: int, frame: object) -> None:
    """Do nothing; a handler and not SIG_IGN, which the children would inherit."""


def main(parent: int, base: str, prefix: str, *, forking: bool = False) -> None:
    """Make the folder, say where it is, serve until the parent is gone, clean up."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    signal.signal(signal.SIGINT, _ignore)
    signal.signal(signal.SIGHUP, _ignore)
    channel = socket.socket(fileno=os.dup(0))
    os.set_inheritable(channel.fileno(), False)
    with open(os.devnull) as nothing:  # noqa: PTH123 - the socket must not stay on fd 0 either
        os.dup2(nothing.fileno(), 0)
    supervisor = _Supervisor(tempfile.mkdtemp(prefix=prefix, dir=base or None), forking)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            _send(channel, {"id": 0, "folder": supervisor.folder, "pid": supervisor.pid})
            _serve(supervisor, channel, parent)
    finally:
        signal.signal(signal.SIGTERM, _ignore)
        supervisor.end()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
