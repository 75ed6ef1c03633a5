# SPDX-License-Identifier: Apache-2.0
"""A process as a Pod would run it: with the files of a service account where they belong, and
nothing that can be written; on the root of this machine, or on that of the image. In a user
namespace, so that it needs no root."""

import re
import subprocess
from pathlib import Path

from cabgate_devcluster.installed.chart import NAMESPACE

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


TREE = "/opt/cabgate"
MOUNTS = {
    "account": ACCOUNT,
    "tls": "/etc/cabgate/tls",
    "signing-key": "/etc/cabgate/signing-key",
    "admission-proof": "/etc/cabgate/admission-proof",
}
"""Folders that a Pod mounts, by their names here."""

IMAGE = ["unshare", "--map-root-user", "--mount", "sh", "-ec", f"""
root=$1 tree=$2 python=$3 mounts=$4
shift 4
mount -t tmpfs -o mode=755 none "$root"
show() {{ mkdir -p "$root$2"; mount --rbind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; }}
for each in /usr /bin /sbin /lib /lib64; do
    if [ -L $each ]; then cp -P $each "$root"; elif [ -d $each ]; then show $each $each; fi
done
case $python in /usr|/usr/*) ;; *) show "$python" "$python" ;; esac
mkdir -p "$root/etc" "$root/dev" "$root/proc" "$root/run" "$root/var" "$root/old"
for each in hosts ld.so.cache nsswitch.conf passwd; do
    if [ -e /etc/$each ]; then cp /etc/$each "$root/etc"; fi
done
for each in null random urandom zero; do
    touch "$root/dev/$each"
    mount --bind /dev/$each "$root/dev/$each"
done
mount --rbind /proc "$root/proc"
ln -s /run "$root/var/run"
show "$tree" {TREE}
{chr(10).join(f'show "$mounts/{name}" {path}' for name, path in MOUNTS.items())}
cd "$root"
pivot_root . old
cd /
umount -l /old
rmdir /old
mount -o remount,ro none /
exec "$@"
""", "sh"]  # fmt: skip
"""Runs a command in a root that holds the base system, its Python, the folder of the image and the
folders that are mounted. Nothing there can be written, and the root before it is gone. Arguments:
an empty folder for the root, the tree, the Python, the folders that are mounted."""


def on_image(folder: Path, tree: Path, mounts: Path) -> list[str]:
    """What a command is to begin with so that it runs on the root of the image."""
    root = folder / "root"
    root.mkdir(exist_ok=True)
    (home,) = re.findall(r"^home = (.+)/bin$", (tree / "pyvenv.cfg").read_text(), re.MULTILINE)
    for name in MOUNTS:
        (mounts / name).mkdir(parents=True, exist_ok=True)
    return [*IMAGE, str(root), str(tree), home, str(mounts)]


UNPACKED = ["unshare", "--map-root-user", "--mount", "sh", "-ec", f"""
root=$1 mounts=$2 user=$3 group=$4
shift 4
mount --rbind "$root" "$root"
mount -t tmpfs none "$root/dev"
for each in null random urandom zero; do
    touch "$root/dev/$each"
    mount --bind /dev/$each "$root/dev/$each"
done
mount --rbind /proc "$root/proc"
show() {{ mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; }}
{chr(10).join(f'show "$mounts/{name}" {path}' for name, path in MOUNTS.items())}
mount -o remount,ro "$root/dev"
mount -o remount,bind,ro "$root"
exec unshare --user --map-user="$user" --map-group="$group" --root="$root" --wd=/ "$@"
""", "sh"]  # fmt: skip
"""Runs a command in the root of an unpacked image and nothing else, as the user that the image
names. Nothing can be written, though the files are of that user here. Arguments: the root, the
folders that are mounted, user and group."""


def on_unpacked(root: Path, mounts: Path, user: str) -> list[str]:
    """What a command is to begin with so that it runs in the root of an unpacked image; `user` is
    UID:GID. Folders to mount on are made in it, as a container runtime does."""
    for name, path in MOUNTS.items():
        (mounts / name).mkdir(parents=True, exist_ok=True)
        (root / path.removeprefix("/")).mkdir(parents=True, exist_ok=True)
    uid, _, gid = user.partition(":")
    return [*UNPACKED, str(root), str(mounts), uid, gid]


def environment_of(address: str, path: str = "/usr/bin:/bin") -> list[str]:
    """The environment of a Pod, for env(1); `address` is the API server's, HOST:PORT."""
    host, _, port = address.partition(":")
    return [
        *("env", "-i", f"KUBERNETES_SERVICE_HOST={host}", f"KUBERNETES_SERVICE_PORT={port}"),
        *(f"PATH={path}", "PYTHONDONTWRITEBYTECODE=1"),
    ]


def put(path, text):
    """Replace a file as the kubelet does: at no time is it half written."""
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(path)


def account_folder(folder, token, ca):
    """Make the folder of a service account."""
    folder.mkdir(exist_ok=True)
    for name, content in (("token", token), ("ca.crt", ca), ("namespace", NAMESPACE)):
        put(folder / name, content)
    return folder


def in_pod(folder, address, program):
    """The command line that runs a program so; `address` is the API server's, HOST:PORT."""
    return [*POD, str(folder), *environment_of(address), *program]
