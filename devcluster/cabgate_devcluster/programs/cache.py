# SPDX-License-Identifier: Apache-2.0
"""Where built programs are kept, and under which name, so that a stale one is never used."""

import hashlib
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.programs.pinned import KUBERNETES_FOLDER, TOOLS, go_mod, program, version_of

# Counts up when the flags of the build change, which the module files do not show.
_RECIPE = "1"


def required_go() -> tuple[int, int]:
    """Return the oldest Go (major, minor) that the go.mod files accept."""
    found = re.search(r"^go (\d+)\.(\d+)", go_mod(KUBERNETES_FOLDER), re.MULTILINE)
    if not found:
        raise DevClusterError(f"{TOOLS / KUBERNETES_FOLDER}/go.mod has no go line")
    return int(found[1]), int(found[2])


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return the folder of everything that this package keeps between runs."""
    base = environ.get("XDG_CACHE_HOME", "")
    # The XDG rules: a relative path there is to be ignored.
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return folder / "cabgate" / "devcluster"


def cached_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the control plane that the present module files build here."""
    kubernetes, etcd = version_of("kube-apiserver"), version_of("etcd")
    key = _key(f"kubernetes-{kubernetes}-etcd-{etcd}", "etcd", KUBERNETES_FOLDER)
    return cache_root(environ) / key


def program_folder(name: str, environ: Mapping[str, str]) -> Path:
    """Return the folder of one of the programs that stand alone (`ALONE`)."""
    return cache_root(environ) / _key(f"{name}-{version_of(name)}", program(name).tools)


def _key(readable: str, *folders: str) -> str:
    """Name that changes with the module files in folders below `TOOLS`, and with the platform."""
    digest = hashlib.sha256(_RECIPE.encode())
    for folder in folders:
        for name in ("go.mod", "go.sum"):
            digest.update((TOOLS / folder / name).read_bytes())
    return f"{readable}-{sys.platform}-{platform.machine()}-{digest.hexdigest()[:12]}"
