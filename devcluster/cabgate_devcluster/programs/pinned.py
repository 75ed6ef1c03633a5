# SPDX-License-Identifier: Apache-2.0
"""The programs that are built from Go modules, each pinned by a go.mod under `TOOLS`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cabgate_devcluster.errors import DevClusterError

#: the Go modules that pin what is built; beside the package, in the repository
TOOLS = Path(__file__).resolve().parents[2] / "tools"


@dataclass(frozen=True)
class Program:
    """One program: what it is built from, and how long a cold build takes on two cores."""

    name: str
    module: str
    """Go module that has it; its version names the folder in the cache."""
    below: str
    """Path of its package below the module, "" for the module itself."""
    minutes: int
    tools: str
    """Folder below `TOOLS` with its go.mod; that of the control plane has several programs."""
    tags: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Paths in the module of what is kept beside the program, under the last part of their name."""

    @property
    def package(self) -> str:
        """The package that `go build` is given."""
        return f"{self.module}/{self.below}" if self.below else self.module


def _alone(
    name: str,
    module: str,
    below: str,
    minutes: int,
    tags: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
) -> tuple[str, Program]:
    return name, Program(name, module, below, minutes, name, tags, files)


_KUBERNETES = "k8s.io/kubernetes"
_ARGOCD_DEFINITIONS = tuple(
    f"manifests/crds/{kind}-crd.yaml" for kind in ("application", "applicationset", "appproject")
)

_ARGO_ROLLOUTS = (
    "manifests/role/argo-rollouts-clusterrole.yaml",
    *(
        f"manifests/crds/{kind}-crd.yaml"
        for kind in (
            *("rollout", "experiment", "analysis-run"),
            *("analysis-template", "cluster-analysis-template"),
        )
    ),
)


def kubernetes_folder(minor: str) -> str:
    """Return the folder below `TOOLS` that pins a minor version of Kubernetes, such as "1.37"; ""
    for the one that everything is tested with."""
    return f"kubernetes-{minor}" if minor else "kubernetes"


#: environment variable that names another minor version, as `make test-versions` does. Not
#: CABGATE_...: webhook and operator inherit it, and refuse settings that they do not know.
KUBERNETES_VARIABLE = "DEVCLUSTER_KUBERNETES"

#: the folder that this process takes
KUBERNETES_FOLDER = kubernetes_folder(os.environ.get(KUBERNETES_VARIABLE, ""))

#: the local cluster's own, in the order in which they are built: the small ones first
CONTROL_PLANE = {
    "etcd": Program("etcd", "go.etcd.io/etcd/server/v3", "", 1, "etcd"),
    "kubectl": Program("kubectl", _KUBERNETES, "cmd/kubectl", 2, KUBERNETES_FOLDER),
    "kube-apiserver": Program(
        "kube-apiserver", _KUBERNETES, "cmd/kube-apiserver", 4, KUBERNETES_FOLDER
    ),
    "kube-controller-manager": Program(
        "kube-controller-manager", _KUBERNETES, "cmd/kube-controller-manager", 2, KUBERNETES_FOLDER
    ),
}

#: those that stand alone, each with a go.mod and a folder in the cache of its own, so that none is
#: built anew for another one
ALONE = dict(
    [
        _alone("helm", "helm.sh/helm/v4", "cmd/helm", 2),
        # Without the clients of two dozen clouds, in which Prometheus would look for its targets.
        _alone("promtool", "github.com/prometheus/prometheus", "cmd/promtool", 2,
               ("remove_all_sd",)),
        _alone("kustomize-controller", "github.com/fluxcd/kustomize-controller", "", 4),
        _alone("argocd", "github.com/argoproj/argo-cd/v3", "cmd", 8, files=_ARGOCD_DEFINITIONS),
        _alone("rollouts-controller", "github.com/argoproj/argo-rollouts",
               "cmd/rollouts-controller", 4, files=_ARGO_ROLLOUTS),
        _alone("kustomize", "sigs.k8s.io/kustomize/kustomize/v5", "", 1),
        _alone("kine", "github.com/k3s-io/kine", "", 4),
        _alone("dex", "github.com/dexidp/dex", "cmd/dex", 5),
        _alone("krew", "sigs.k8s.io/krew", "cmd/krew", 1),
        _alone("umoci", "github.com/opencontainers/umoci", "cmd/umoci", 1),
    ]
)  # fmt: skip


def program(name: str) -> Program:
    """Return a program by its name; `DevClusterError` where nothing pins one of that name."""
    found = CONTROL_PLANE.get(name) or ALONE.get(name)
    if found is None:
        known = ", ".join([*CONTROL_PLANE, *ALONE])
        raise DevClusterError(f"no program {name!r} is pinned under {TOOLS}: there are {known}")
    return found


def version_of(name: str) -> str:
    """Return the version, such as `v1.36.3`, at which its go.mod pins a program."""
    found = program(name)
    pattern = rf"^\s*(?:require )?{re.escape(found.module)} (v\S+)"
    if version := re.search(pattern, go_mod(found.tools), re.MULTILINE):
        return version[1]
    raise DevClusterError(f"{TOOLS / found.tools / 'go.mod'} does not require {found.module}")


def go_mod(folder: str) -> str:
    """Return the text of the go.mod in a folder below `TOOLS`."""
    path = TOOLS / folder / "go.mod"
    try:
        return path.read_text()
    except OSError as exc:
        raise DevClusterError(
            f"cannot read {path}: the local cluster works from a checkout of the repository only"
        ) from exc
