# SPDX-License-Identifier: Apache-2.0
"""The cluster through kubectl, a process for each call: whatever kubectl signs in with works, and
nobody acts as anybody but themselves. Imports nothing of the domain, so that a list is on its way
while that is imported."""

import codecs
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from cabgate_cli.errors import Unavailable
from cabgate_cli.input.names import namespace_name

PROGRAM = "kubectl"
"""What is run; PATH says where it is."""

READ_SECONDS = 30
"""Longest wait for one answer to a read."""

CHUNK = 500
"""Objects in one page of a list."""

ROOT = "/apis/cabgate.dev/v1alpha1"
"""Where the API server serves cabgate's kinds; written out, to import nothing for it."""

DENIED = "denied the request"
"""What stands in kubectl's error where an admission webhook has refused a write."""

_PLUGIN = re.compile(rb"\b(exec|auth-provider)\b")
"""The keys of a kubeconfig's user that name a program, or a provider, which signs in."""

Object = dict[str, Any]
"""A Kubernetes object as JSON."""


class NotThere(Unavailable):
    """There is no such object."""

    lasting = True


class NotPermitted(Unavailable):
    """The user may not do it."""

    lasting = True


@dataclass(frozen=True)
class Ran:
    """How a process of kubectl ended."""

    code: int
    output: str
    errors: str

    @property
    def denied(self) -> bool:
        """Whether the gate, or another webhook, has refused a write."""
        return self.code != 0 and DENIED in self.errors


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the options that say which cluster is meant, and as whom."""

    options: tuple[str, ...] = ()

    def argv(self, *args: str) -> list[str]:
        """The command line of a call, as it is run and as it is shown."""
        return [PROGRAM, *args, *self.options]

    def shown(self, *args: str) -> str:
        """The command line of a call, to be pasted into a shell."""
        return shlex.join(self.argv(*args))

    def run(self, *args: str, quiet: bool = False) -> Ran:
        """Run kubectl. What it says on stderr is passed on as it comes, since a plugin that signs
        in may ask something there; `quiet` keeps it back."""
        try:
            process = subprocess.Popen(
                self.argv(*args),
                stdin=subprocess.DEVNULL if quiet else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise Unavailable(
                f"no cluster to read from: {PROGRAM} cannot be run: {error.strerror}. Install "
                "kubectl, or put it on PATH."
            ) from None
        said: list[bytes] = []
        listener = threading.Thread(target=_passed_on, args=(process, said, quiet), daemon=True)
        listener.start()
        output = process.stdout.read() if process.stdout else b""
        code = process.wait()
        listener.join()
        return Ran(code, output.decode(errors="replace"), b"".join(said).decode(errors="replace"))

    def get(self, path: str, what: str, *, quiet: bool = True, **query: str) -> Object:
        """The answer to one GET; `what` says in messages what was read. Raises `Unavailable`."""
        target = f"{path}?{urlencode(query)}" if query else path
        ran = self.run(*("get", "--raw", target, f"--request-timeout={READ_SECONDS}s"), quiet=quiet)
        if ran.code != 0:
            raise _refused(what, ran, shown=not quiet)
        return _object(ran.output, what)

    def list(
        self,
        namespace: str | None,
        plural: str,
        *,
        quiet: bool = True,
        selector: str = "",
        labels: str = "",
    ) -> Iterator[Object]:
        """The objects of a kind of cabgate's, in a namespace, or in all if that is None."""
        place = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
        where = f" in namespace {namespace}" if namespace is not None else ""
        query = {"limit": str(CHUNK)}
        query |= {"fieldSelector": selector} if selector else {}
        query |= {"labelSelector": labels} if labels else {}
        while True:
            page = self.get(f"{ROOT}{place}/{plural}", f"{plural}{where}", quiet=quiet, **query)
            yield from page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    def one(self, namespace: str, plural: str, name: str, *, quiet: bool = True) -> Object:
        """An object of a kind of cabgate's."""
        path = f"{ROOT}/namespaces/{quote(namespace, safe='')}/{plural}/{quote(name, safe='')}"
        return self.get(path, f"{plural.removesuffix('s')} {namespace}/{name}", quiet=quiet)

    def given(self, option: str) -> str | None:
        """The value of one of its options; None where it was not given."""
        values = [o.partition("=")[2] for o in self.options if o.startswith(f"{option}=")]
        return values[0] if values else None

    def may_sign_in(self) -> bool:
        """Whether kubectl may run a plugin that signs in, and may ask something for that: a
        kubeconfig names one, or cannot be read. By its text, whoever of its users is meant."""
        given = self.given("--kubeconfig")
        paths = [given] if given else os.environ.get("KUBECONFIG", "").split(os.pathsep)
        files = [path for path in paths if path] or [f"{os.environ.get('HOME', '')}/.kube/config"]
        return any(map(_names_plugin, map(Path, files)))

    def namespace(self, given: str | None = None) -> str:
        """The namespace that was given, else that of the context. Raises `BadInput` for what
        cannot be one."""
        if given is not None:
            return namespace_name(given, "--namespace")
        path = "-o=jsonpath={.contexts[0].context.namespace}"
        ran = self.run("config", "view", "--minify", path, quiet=True)
        found = ran.output.strip() if ran.code == 0 else ""
        return (
            namespace_name(found, "namespace of the kubeconfig's context") if found else "default"
        )

    def whoami(self) -> Object | None:
        """Who acts, as the API server authenticates them; None where it does not say."""
        timeout = f"--request-timeout={READ_SECONDS}s"
        ran = self.run("auth", "whoami", "-o", "json", timeout, quiet=True)
        if ran.code != 0:
            return None
        found = _object(ran.output, "who acts").get("status", {}).get("userInfo")
        return found if isinstance(found, dict) and found.get("username") else None


def _names_plugin(kubeconfig: Path) -> bool:
    try:
        return _PLUGIN.search(kubeconfig.read_bytes()) is not None
    except FileNotFoundError:
        return False  # kubectl takes it as empty
    except OSError:
        return True


def _passed_on(process: "subprocess.Popen[bytes]", said: list[bytes], quiet: bool) -> None:
    errors: IO[bytes] | None = process.stderr
    if errors is None:
        return
    # A letter may come in two chunks.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while chunk := errors.read1(65536):  # type: ignore[attr-defined]
        said.append(chunk)
        if not quiet:
            sys.stderr.write(decoder.decode(chunk))
            sys.stderr.flush()


def _object(text: str, what: str) -> Object:
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise Unavailable(f"{what}: {error}") from None
    if not isinstance(found, dict):
        raise Unavailable(f"{what}: the answer is not an object")
    return found


def _refused(what: str, ran: Ran, *, shown: bool) -> Unavailable:
    said = "" if shown else f": {_last_line(ran.errors)}"
    if "(NotFound)" in ran.errors:
        return NotThere(f"{what} not found{said}. Check name and namespace (-n).")
    if "(Forbidden)" in ran.errors:
        return NotPermitted(f"you may not read {what}{said}. Ask for that right, or use -n.")
    return Unavailable(
        f"no cluster to read from: kubectl did not return {what}{said}. Check kubectl's connection "
        "(kubectl version), --kubeconfig and --context."
    )


def _last_line(errors: str) -> str:
    from cabgate.text.inert import first_words

    lines: Sequence[str] = [line for line in errors.splitlines() if line.strip()]
    return first_words(lines[-1], 300).rstrip(".") if lines else "no message"
