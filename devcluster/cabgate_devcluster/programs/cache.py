# SPDX-License-Identifier: Apache-2.0
"""Where built programs are kept, and under which name, so that a stale one is never used."""

import hashlib
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from cabgate_devcluster.errors import DevClusterError

#: the Go modules that pin what is built; beside the package, in the repository
TOOLS = Path(__file__).resolve().parents[2] / "tools"

# Counts up when the flags of the build change, which the module files do not show.
_RECIPE = "1"


def module_version(module: str) -> str:
    """Return the version, such as `v1.36.3`, at which a go.mod under `TOOLS` pins `module`."""
    alone = ("helm", "promtool", "kustomize-controller", "krew", "umoci")
    for folder in ("kubernetes", "etcd", *alone):
        text = _go_mod(folder)
        if found := re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", text, re.MULTILINE):
            return found[1]
    raise DevClusterError(f"no go.mod under {TOOLS} requires {module}")


def required_go() -> tuple[int, int]:
    """Return the oldest Go (major, minor) that the go.mod files accept."""
    found = re.search(r"^go (\d+)\.(\d+)", _go_mod("kubernetes"), re.MULTILINE)
    if not found:
        raise DevClusterError(f"{TOOLS}/kubernetes/go.mod has no go line")
    return int(found[1]), int(found[2])


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return the folder of everything that this package keeps between runs."""
    base = environ.get("XDG_CACHE_HOME", "")
    # The XDG rules: a relative path there is to be ignored.
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return folder / "cabgate" / "devcluster"


def cached_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the control plane that the present module files build here."""
    kubernetes = module_version("k8s.io/kubernetes")
    etcd = module_version("go.etcd.io/etcd/server/v3")
    key = _key(f"kubernetes-{kubernetes}-etcd-{etcd}", "etcd", "kubernetes")
    return cache_root(environ) / key


def helm_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of Helm, apart from the others: neither is built anew for the other."""
    return cache_root(environ) / _key(f"helm-{module_version('helm.sh/helm/v4')}", "helm")


def promtool_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of promtool, apart from the others too."""
    version = module_version("github.com/prometheus/prometheus")
    return cache_root(environ) / _key(f"promtool-{version}", "promtool")


def kustomize_controller_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of Flux's kustomize-controller, apart from the others too."""
    version = module_version("github.com/fluxcd/kustomize-controller")
    return cache_root(environ) / _key(f"kustomize-controller-{version}", "kustomize-controller")


def krew_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of krew, apart from the others too."""
    return cache_root(environ) / _key(f"krew-{module_version('sigs.k8s.io/krew')}", "krew")


def umoci_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of umoci, apart from the others too."""
    version = module_version("github.com/opencontainers/umoci")
    return cache_root(environ) / _key(f"umoci-{version}", "umoci")


def _key(readable: str, *folders: str) -> str:
    """Name that changes with the module files in folders below `TOOLS`, and with the platform."""
    digest = hashlib.sha256(_RECIPE.encode())
    for folder in folders:
        for name in ("go.mod", "go.sum"):
            digest.update((TOOLS / folder / name).read_bytes())
    return f"{readable}-{sys.platform}-{platform.machine()}-{digest.hexdigest()[:12]}"


def _go_mod(folder: str) -> str:
    try:
        return (TOOLS / folder / "go.mod").read_text()
    except OSError as exc:
        raise DevClusterError(
            f"cannot read {TOOLS / folder / 'go.mod'}: the local cluster works from a checkout of "
            "the repository only"
        ) from exc
