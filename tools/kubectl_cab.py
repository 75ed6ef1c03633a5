# SPDX-License-Identifier: Apache-2.0
"""Make the zipapp `kubectl-cab` of a platform, what krew installs of it, and krew's manifest.

    python tools/kubectl_cab.py build [--platform linux/arm64] [--python 3.11 --python 3.12]
    python tools/kubectl_cab.py krew --url https://downloads.example.com/v0.1.0

One zipapp for each platform, since pydantic and cryptography have native modules; those of several
Pythons stand in it side by side. The same input makes the same bytes.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import yaml

ROOT = Path(__file__).resolve().parents[1]

TARGETS = {
    "linux/amd64": "x86_64-manylinux_2_28",
    "linux/arm64": "aarch64-manylinux_2_28",
    "darwin/arm64": "aarch64-apple-darwin",
}
"""Platforms as Go and krew call them, and as uv does. Those that cryptography has wheels for: for
Macs with Intel's processors it has none."""

SERVER_ONLY = (
    "aiohttp", "aiohttp-retry", "fastapi", "httptools", "kopf", "prometheus-client",
    "pydantic-settings", "uvicorn", "uvloop", "yarl",
)  # fmt: skip
"""Dependencies of operator and webhook alone, or of parts of the client of Kubernetes that the
command line does not use."""

NOT_OURS = ("cabgate_operator", "cabgate_webhook", "cabgate_relay", "cabgate_portal")
"""Packages of the wheel that are not of the command line."""

_LEFT_OUT = {
    "RECORD",
    "INSTALLER",
    "REQUESTED",
    "direct_url.json",
    "uv_cache.json",
    "uv_build.json",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)

PROGRAM, COMPLETION = "kubectl-cab", "kubectl_complete-cab"


def here() -> str:
    """The platform that this runs on."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}/{machine}"


def version() -> str:
    """That of the project."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def install(folder: Path, target: str, python: str) -> None:
    """Install the command line for a platform and a Python into a folder, as uv.lock says."""
    uv = os.environ.get("UV", "uv")
    prune = [word for name in SERVER_ONLY for word in ("--prune", name)]
    lock = [uv, "export", "--quiet", "--locked", "--no-dev", "--no-emit-project", *prune]
    wanted = folder.parent / f"wanted-{python}.txt"
    with wanted.open("wb") as stream:
        subprocess.run(lock, check=True, cwd=ROOT, stdout=stream)
    into = [uv, "pip", "install", "--target", str(folder), "--python-platform"]
    into += [TARGETS[target], "--python-version", python]
    into += ["--no-deps"]  # the lock has named them all, but for those that no server is there for
    only = ["--only-binary", ":all:", "--require-hashes", "-r", str(wanted)]
    subprocess.run([*into, *only], check=True, cwd=ROOT)
    subprocess.run([*into, str(ROOT)], check=True, cwd=ROOT)


def gathered(folders: Iterable[Path]) -> dict[str, bytes]:
    """The files of several installations as one; raises `ValueError` where they contradict."""
    found: dict[str, bytes] = {}
    for folder in folders:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = path.relative_to(folder).as_posix()
            if not _kept(PurePosixPath(name)):
                continue
            content = path.read_bytes()
            if found.setdefault(name, content) != content:
                raise ValueError(f"{name}: differs between Pythons; build one zipapp for each")
    return found


def _kept(name: PurePosixPath) -> bool:
    first = name.parts[0]
    if first.endswith(".dist-info"):  # the rest is about one wheel, and its Python
        return name.name == "METADATA" or "licenses" in name.parts
    return first not in (*NOT_OURS, "bin", ".lock") and "__pycache__" not in name.parts


def zipapp(files: dict[str, bytes], pythons: Sequence[str]) -> bytes:
    """A file that any Python runs: a line that says so, and a zip."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    about = {"digest": digest.hexdigest(), "pythons": list(pythons)}
    whole = {
        "__main__.py": (ROOT / "tools" / "zipapp_main.py").read_bytes(),
        "about.json": json.dumps(about).encode(),
        **{f"site/{name}": content for name, content in sorted(files.items())},
    }
    stream = io.BytesIO()
    stream.write(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as made:
        for name, content in whole.items():
            made.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def archive(program: bytes) -> bytes:
    """What krew downloads: the zipapp and the licence. Without its second name: krew unpacks no
    archive that has a link in it, and puts one name on PATH."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as made,
    ):
        _add(made, PROGRAM, program, 0o755)
        _add(made, "LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644)
    return stream.getvalue()


def _add(made: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    made.addfile(info, io.BytesIO(content))


def archive_name(target: str) -> str:
    """The file name of the archive of a platform."""
    return f"{PROGRAM}_v{version()}_{target.replace('/', '_')}.tar.gz"


def build(target: str, pythons: Sequence[str], out: Path) -> None:
    """Write zipapp and archive of a platform."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / python for python in pythons]
        for folder, python in zip(folders, pythons, strict=True):
            install(folder, target, python)
        program = zipapp(gathered(folders), pythons)
    place = out / target.replace("/", "_")
    place.mkdir(parents=True, exist_ok=True)
    (place / PROGRAM).write_bytes(program)
    (place / PROGRAM).chmod(0o755)
    (place / COMPLETION).unlink(missing_ok=True)
    (place / COMPLETION).symlink_to(PROGRAM)
    (out / archive_name(target)).write_bytes(archive(program))
    print(f"wrote {place / PROGRAM} ({len(program) >> 20} MB, Python {', '.join(pythons)})")


def manifest(digests: dict[str, str], url: str, homepage: str = "") -> str:
    """Krew's manifest, for the archives of some platforms by their SHA-256."""
    platforms = [
        {
            "selector": {"matchLabels": dict(zip(("os", "arch"), target.split("/"), strict=True))},
            "uri": f"{url.rstrip('/')}/{archive_name(target)}",
            "sha256": digest,
            "bin": PROGRAM,
        }
        for target, digest in sorted(digests.items())
    ]
    content = {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "cab"},
        "spec": {
            "version": f"v{version()}",
            **({"homepage": homepage} if homepage else {}),
            "shortDescription": "Decide on rollouts that wait for approval",
            "description": DESCRIPTION,
            "caveats": CAVEATS,
            "platforms": platforms,
        },
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


DESCRIPTION = """\
For clusters with cabgate, a change-approval gate: lists what waits for a decision, shows what a
request changes, and sends an approval or a rejection under your own identity.
"""

CAVEATS = """\
Needs a Python 3.11 or newer on PATH. For completion of `kubectl cab`, which krew cannot install:
  ln -s "$(command -v kubectl-cab)" ~/.local/bin/kubectl_complete-cab
"""


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("build")
    made.add_argument("--platform", choices=TARGETS, default=here())
    made.add_argument("--python", action="append", help="such as 3.11; several go into one")
    listed = commands.add_parser("krew")
    listed.add_argument("--url", required=True, help="where the archives will be downloaded")
    listed.add_argument("--homepage", default="", help="where people read about the plugin")
    given = parser.parse_args()
    if given.command == "build":
        current = f"{sys.version_info.major}.{sys.version_info.minor}"
        build(given.platform, given.python or [current], given.out)
        return 0
    found = {target: given.out / archive_name(target) for target in TARGETS}
    digests = {
        target: hashlib.sha256(path.read_bytes()).hexdigest()
        for target, path in found.items()
        if path.exists()
    }
    if not digests:
        parser.error(f"no archive in {given.out}: build one first")
    (given.out / "cab.yaml").write_text(manifest(digests, given.url, given.homepage))
    print(f"wrote {given.out / 'cab.yaml'} for {', '.join(digests)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
