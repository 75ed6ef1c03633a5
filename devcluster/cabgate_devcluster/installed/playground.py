# SPDX-License-Identifier: Apache-2.0
"""`make cluster`: a control plane with cabgate on it, to play with until Ctrl-C."""

import contextlib
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from cabgate_devcluster import people
from cabgate_devcluster.cluster import DevCluster
from cabgate_devcluster.installed.installation import ENFORCE, PROBE, ROOT, Installation
from cabgate_devcluster.installed.portal import make_tokens, start_portal, write_tokens
from cabgate_devcluster.programs.binaries import locate_program


def run_playground(
    folder: Path = ROOT / ".devcluster", mode: str = ENFORCE, *, portal: bool = False
) -> None:
    """Boot, install in a mode, write the kubeconfigs into `folder`, and stay until SIGINT or
    SIGTERM. With `portal` the REST API runs beside it, and `folder` has a token of each user.

    What was written goes when it ends.
    """
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    # From the start on: whoever presses Ctrl-C while it boots gets an orderly end too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    written: list[Path] = []
    tokens = make_tokens(people.ROLES) if portal else {}
    try:
        with contextlib.ExitStack() as stack:
            secret = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tokens.csv"
            arguments = [write_tokens(secret, tokens)] if portal else []
            cluster = stack.enter_context(DevCluster(apiserver_args=arguments))
            installation = Installation(cluster)
            installation.values["mode"] = mode
            installation.install()
            cluster.api.call("DELETE", f"/api/v1/namespaces/{PROBE}")
            people.bind(cluster)
            written = _write(cluster, folder)
            _tell(folder, installation)
            if portal:
                written += _write_tokens(folder, tokens)
                _tell_of_portal(folder, start_portal(cluster))
            print("\nCtrl-C ends it.\nready", flush=True)
            ended.wait()
            print("stopping")
    finally:
        for path in written:
            path.unlink(missing_ok=True)


def _write(cluster: DevCluster, folder: Path) -> list[Path]:
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    written = []
    programs_of = {"kubectl": cluster.binaries.kubectl, "helm": locate_program("helm")}
    for own in (
        "cabgate",
        "cabgate-portal",
        "cabgate-relay",
        "kubectl-cab",
        "kubectl_complete-cab",
    ):
        programs_of[own] = Path(sys.executable).with_name(own)
    for name, target in programs_of.items():
        link = programs / name
        link.unlink(missing_ok=True)
        link.symlink_to(target.absolute())
        written.append(link)
    written += [
        cluster.user(user, kubeconfig=folder / f"{user}.kubeconfig") for user in people.ROLES
    ]
    return written


def _tell(folder: Path, installation: Installation) -> None:
    print("Rollouts are gated in namespaces with the label cabgate.dev/ring: 2, 3 or 4.")
    print("Pods stay Pending: there is no scheduler and no kubelet.")
    print(f"The cluster's mode is {installation.mode}. Metrics:")
    for name, port in (
        ("webhook", installation.webhook_health_port),
        ("operator", installation.operator_health_port),
    ):
        print(f"  {name}: http://127.0.0.1:{port}/metrics")
    print(f"\nexport PATH={folder / 'bin'}:$PATH")
    # Pasted as a whole this leaves the admin, who labels the first namespace.
    for number, (user, roles) in enumerate(people.ROLES.items()):
        line = f"export KUBECONFIG={folder / f'{user}.kubeconfig'}"
        # Shells that take no comments where somebody types, as zsh, stumble over what has one.
        print(f"# {line}  # {', '.join(roles)}" if number else line)


def _write_tokens(folder: Path, tokens: Mapping[str, str]) -> list[Path]:
    written = []
    for user, token in tokens.items():
        path = folder / f"{user}.token"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(token)
        written.append(path)
    return written


def _tell_of_portal(folder: Path, url: str) -> None:
    print(f"\nexport CAB={url}")
    print(f'export token="$(cat {folder / "reviewer.token"})"')
    for user in people.ROLES:
        if user != people.REVIEWER:
            print(f'# export token="$(cat {folder / f"{user}.token"})"')
    print('curl -sS "$CAB/pending" -H "Authorization: Bearer $token"')
