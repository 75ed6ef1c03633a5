# SPDX-License-Identifier: Apache-2.0
"""Where the four programs of the local cluster come from, and those that stand alone."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.programs.build import build
from cabgate_devcluster.programs.cache import (
    cache_root,
    cached_folder,
    helm_folder,
    krew_folder,
    kustomize_controller_folder,
    promtool_folder,
    umoci_folder,
)

Progress = Callable[[str], None]

#: file names, in the order in which they are built: the small ones first
NAMES = ("etcd", "kubectl", "kube-apiserver", "kube-controller-manager")


@dataclass(frozen=True)
class Binaries:
    """Paths of the four programs."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path

    @classmethod
    def locate(
        cls, progress: Progress | None = print, environ: Mapping[str, str] | None = None
    ) -> "Binaries":
        """Find each program, or build it.

        The first of these that has it: its own variable (`TEST_ASSET_KUBE_APISERVER`,
        `TEST_ASSET_ETCD`, `TEST_ASSET_KUBECTL`), the folder `KUBEBUILDER_ASSETS`, the user's
        cache; what none of them has is built from Go modules into the cache, which takes about
        ten minutes on two cores, once. `progress` gets a line at a time (None: silence). Raises
        `DevClusterError` when a variable names a file that is not there, and when a build fails.
        """
        environ = os.environ if environ is None else environ
        say = progress or (lambda _line: None)
        cache = cached_folder(environ)
        found: dict[str, Path] = {}
        for name in NAMES:
            path = _given(name, environ) or _program(cache / name)
            if path is not None:
                found[name] = path
        missing = [name for name in NAMES if name not in found]
        if missing:
            build(missing, cache, say, environ)
            found.update({name: cache / name for name in missing})
        return cls(
            etcd=found["etcd"],
            kube_apiserver=found["kube-apiserver"],
            kube_controller_manager=found["kube-controller-manager"],
            kubectl=found["kubectl"],
        )

    def by_name(self) -> dict[str, Path]:
        """Return the paths by file name."""
        return {
            "etcd": self.etcd,
            "kubectl": self.kubectl,
            "kube-apiserver": self.kube_apiserver,
            "kube-controller-manager": self.kube_controller_manager,
        }

    def folder(self, environ: Mapping[str, str] | None = None) -> Path:
        """Return one folder with all four under their usual names, fit for PATH.

        Where they come from several folders, or have other names, it is a folder of links in the
        cache.
        """
        paths = self.by_name()
        parents = {path.parent for path in paths.values()}
        if len(parents) == 1 and all(path.name == name for name, path in paths.items()):
            return parents.pop()
        digest = hashlib.sha256(repr(sorted(paths.items())).encode()).hexdigest()[:12]
        folder = cache_root(os.environ if environ is None else environ) / f"links-{digest}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in paths.items():
            draft = folder / f".{name}.{os.getpid()}"
            draft.unlink(missing_ok=True)
            draft.symlink_to(path)
            draft.replace(folder / name)
        return folder


def locate_helm(
    progress: Progress | None = print, environ: Mapping[str, str] | None = None
) -> Path:
    """Find Helm, or build it: `TEST_ASSET_HELM`, `KUBEBUILDER_ASSETS`, the cache, a build.

    Only tests of charts need it, so `Binaries.locate` does without. `progress` and errors are as
    there; the build takes about two minutes, once.
    """
    environ = os.environ if environ is None else environ
    return _locate_alone("helm", helm_folder(environ), progress, environ)


def locate_promtool(
    progress: Progress | None = print, environ: Mapping[str, str] | None = None
) -> Path:
    """Find promtool, or build it: `TEST_ASSET_PROMTOOL`, `KUBEBUILDER_ASSETS`, the cache, a build.

    Only the tests of alerts need it. All else is as with `locate_helm`.
    """
    environ = os.environ if environ is None else environ
    return _locate_alone("promtool", promtool_folder(environ), progress, environ)


def locate_kustomize_controller(
    progress: Progress | None = print, environ: Mapping[str, str] | None = None
) -> Path:
    """Find Flux's kustomize-controller, or build it: `TEST_ASSET_KUSTOMIZE_CONTROLLER`,
    `KUBEBUILDER_ASSETS`, the cache, a build.

    Only the tests of GitOps need it; the build takes about four minutes, once. All else is as with
    `locate_helm`.
    """
    environ = os.environ if environ is None else environ
    cache = kustomize_controller_folder(environ)
    return _locate_alone("kustomize-controller", cache, progress, environ)


def kustomize_controller_at_hand(environ: Mapping[str, str] | None = None) -> bool:
    """Whether `locate_kustomize_controller` has nothing to build."""
    environ = os.environ if environ is None else environ
    name = "kustomize-controller"
    return _at_hand(name, kustomize_controller_folder(environ), environ)


def locate_umoci(
    progress: Progress | None = print, environ: Mapping[str, str] | None = None
) -> Path:
    """Find umoci, or build it: `TEST_ASSET_UMOCI`, `KUBEBUILDER_ASSETS`, the cache, a build.

    Only the image is made with it. All else is as with `locate_helm`.
    """
    environ = os.environ if environ is None else environ
    return _locate_alone("umoci", umoci_folder(environ), progress, environ)


def umoci_at_hand(environ: Mapping[str, str] | None = None) -> bool:
    """Whether `locate_umoci` has nothing to build."""
    environ = os.environ if environ is None else environ
    return _at_hand("umoci", umoci_folder(environ), environ)


def _at_hand(name: str, cache: Path, environ: Mapping[str, str]) -> bool:
    return (_given(name, environ) or _program(cache / name)) is not None


def locate_krew(
    progress: Progress | None = print, environ: Mapping[str, str] | None = None
) -> Path:
    """Find krew, or build it: `TEST_ASSET_KREW`, `KUBEBUILDER_ASSETS`, the cache, a build.

    Only the test of the plugin's installation needs it. All else is as with `locate_helm`.
    """
    environ = os.environ if environ is None else environ
    return _locate_alone("krew", krew_folder(environ), progress, environ)


def krew_at_hand(environ: Mapping[str, str] | None = None) -> bool:
    """Whether `locate_krew` has nothing to build."""
    environ = os.environ if environ is None else environ
    return _at_hand("krew", krew_folder(environ), environ)


def _locate_alone(
    name: str, cache: Path, progress: Progress | None, environ: Mapping[str, str]
) -> Path:
    """Find or build a program that has a folder of its own in the cache."""
    found = _given(name, environ) or _program(cache / name)
    if found is None:
        build([name], cache, progress or (lambda _line: None), environ)
        found = cache / name
    return found


def _given(name: str, environ: Mapping[str, str]) -> Path | None:
    """What the user's own variables name, if they name this program."""
    variable = "TEST_ASSET_" + name.upper().replace("-", "_")
    if value := environ.get(variable):
        path = _program(Path(value).absolute())
        if path is None:
            raise DevClusterError(f"{variable}={value} is not a file that can be executed")
        return path
    if folder := environ.get("KUBEBUILDER_ASSETS"):
        return _program(Path(folder).absolute() / name)
    return None


def _program(path: Path) -> Path | None:
    return path if path.is_file() and os.access(path, os.X_OK) else None
