# SPDX-License-Identifier: Apache-2.0
"""Where the four programs of the local cluster come from, and those that stand alone."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.programs.build import build
from cabgate_devcluster.programs.cache import cache_root, cached_folder, program_folder
from cabgate_devcluster.programs.pinned import CONTROL_PLANE

Progress = Callable[[str], None]

#: file names, in the order in which they are built
NAMES = tuple(CONTROL_PLANE)


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


def locate_program(
    name: str, progress: Progress | None = print, environ: Mapping[str, str] | None = None
) -> Path:
    """Find one of the programs that stand alone (`pinned.ALONE`), or build it.

    The first of these that has it: its own variable (`TEST_ASSET_HELM` for "helm"), the folder
    `KUBEBUILDER_ASSETS`, a folder of its own in the cache, a build into that. Only some tests need
    these, so `Binaries.locate` does without; `progress` and errors are as there.
    """
    environ = os.environ if environ is None else environ
    cache = program_folder(name, environ)
    found = _given(name, environ) or _program(cache / name)
    if found is None:
        build([name], cache, progress or (lambda _line: None), environ)
        found = cache / name
    return found


def program_at_hand(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether `locate_program` has nothing to build."""
    environ = os.environ if environ is None else environ
    return (_given(name, environ) or _program(program_folder(name, environ) / name)) is not None


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
