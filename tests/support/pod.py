# SPDX-License-Identifier: Apache-2.0
"""A process as a Pod would run it: with the files of a service account where they belong, and
nothing that can be written. In a user namespace, so that it needs no root."""

import subprocess
from pathlib import Path

from cabgate_devcluster.chart import NAMESPACE

ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
POD = ["unshare", "--map-root-user", "--mount", "sh", "-ec", f"""
mount -t tmpfs none /run
mkdir -p {ACCOUNT}
mount --bind "$1" {ACCOUNT}
mount --rbind / /
mount -o remount,ro,bind /
mount -o remount,ro,bind /run
shift
exec "$@"
""", "sh"]  # fmt: skip
"""Runs a command, after the folder of a service account."""


def why_no_pod(folder: Path) -> str:
    """Why commands cannot be run so here; empty if they can."""
    tried = subprocess.run(
        [*POD, str(folder), "touch", str(folder / ".never")],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if "Read-only" in tried.stderr else f"no mounts of one's own: {tried.stderr}"


def put(path, text):
    """Replace a file as the kubelet does: at no time is it half written."""
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(path)


def account_folder(folder, token, ca):
    """Make the folder of a service account."""
    folder.mkdir()
    for name, content in (("token", token), ("ca.crt", ca), ("namespace", NAMESPACE)):
        put(folder / name, content)
    return folder


def in_pod(folder, address, program):
    """The command line that runs a program so; `address` is the API server's, HOST:PORT."""
    host, _, port = address.partition(":")
    environment = [f"KUBERNETES_SERVICE_HOST={host}", f"KUBERNETES_SERVICE_PORT={port}",
                   "PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"]  # fmt: skip
    return [*POD, str(folder), "env", "-i", *environment, *program]
