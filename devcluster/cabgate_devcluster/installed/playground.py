# SPDX-License-Identifier: Apache-2.0
"""`make cluster`: a control plane with cabgate on it, to play with until Ctrl-C."""

import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from cabgate_devcluster import people
from cabgate_devcluster.cluster import DevCluster
from cabgate_devcluster.installed.installation import ENFORCE, PROBE, ROOT, Installation
from cabgate_devcluster.programs.binaries import locate_program


def run_playground(folder: Path = ROOT / ".devcluster", mode: str = ENFORCE) -> None:
    """Boot, install in a mode, write the kubeconfigs into `folder`, and stay until SIGINT or
    SIGTERM.

    What was written goes when it ends.
    """
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    # From the start on: whoever presses Ctrl-C while it boots gets an orderly end too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    written: list[Path] = []
    try:
        with DevCluster() as cluster:
            installation = Installation(cluster)
            installation.values["mode"] = mode
            installation.install()
            cluster.api.call("DELETE", f"/api/v1/namespaces/{PROBE}")
            people.bind(cluster)
            written = _write(cluster, folder)
            _tell(folder, installation)
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
    for own in ("cabgate", "cabgate-relay", "kubectl-cab", "kubectl_complete-cab"):
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
    print("\nCtrl-C ends it.\nready", flush=True)
