# SPDX-License-Identifier: Apache-2.0
"""Make the image as an OCI archive, without a daemon and without root, and its SBOM.

    python tools/image.py base                  download the packages of the base into the cache
    python tools/image.py base --if-missing     the same where they are not there
    python tools/image.py build                 into dist/; downloads the base where it is not there

The same commit, on the same packages, makes the same bytes. docs/operations/image.md says more.
"""

import argparse
import csv
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import uuid
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import image_base
from cabgate_devcluster import DevClusterError, locate_program

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
TREE = Path("opt/cabgate")

_HASH = ("--abbrev=40", "--exclude=*")  # and no tag

OF_THIS_MACHINE = ("direct_url.json", "uv_cache.json", "uv_build.json")
"""Files that an installation leaves of where and when it was made."""


def commit_time() -> int:
    """Seconds since 1970 that every file is dated with: SOURCE_DATE_EPOCH, or the commit's."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or _git("log", "-1", "--format=%ct"))


def _git(*words: str) -> str:
    command = ["git", *words]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def name() -> str:
    """What the files in dist/ begin with."""
    return f"cabgate-{PROJECT['version']}-linux-{ARCHITECTURE}"


def build(debs: Path, out: Path) -> Path:
    """Write archive and SBOM; return the archive's path."""
    epoch, revision = commit_time(), _git("describe", "--always", "--dirty", *_HASH).strip()
    out.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as place:
        base, installed, layout = (Path(place, each) for each in ("base", "installed", "layout"))
        packages = image_base.unpack(debs, base)
        if not (base / "usr/bin" / PYTHON).exists():
            raise image_base.BaseError(
                f"this is {PYTHON}, which the base does not have: make image PYTHON=python3.11"
            )
        install(installed / TREE)
        _compile(base, f"usr/lib/{PYTHON}")
        _compile(installed, str(TREE / "lib"))
        layers = {
            "packages of Debian 12": layer(base, epoch),
            "image/install.sh /opt/cabgate": layer(installed, epoch),
        }
        digest = put_together(layout, layers, epoch, revision)
        archive = out / f"{name()}.oci.tar"
        _tar(layout, archive, epoch)
    bom = out / f"{name()}.cdx.json"
    bom.write_text(json.dumps(sbom(packages, epoch, digest), indent=2) + "\n")
    print(f"wrote {archive} ({archive.stat().st_size >> 20} MB) and {bom}")
    print(f"digest of the image: {digest}")
    return archive


def install(tree: Path) -> None:
    """Install as the Dockerfile does, for this one place: its own commands, by their path."""
    tree.parent.mkdir(parents=True)
    kept = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    own = {"UV_COMPILE_BYTECODE": "0"}  # see _compile
    script = [str(ROOT / "image/install.sh"), str(tree)]
    subprocess.run(script, cwd=ROOT, check=True, env={**kept, "PYTHON": sys.executable, **own})
    shutil.rmtree(tree / "bin")
    (tree / "bin").mkdir()
    (tree / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for each in ("python", "python3"):
        (tree / "bin" / each).symlink_to(f"/usr/bin/{PYTHON}")
    packages = tree / "lib" / PYTHON / "site-packages"
    (own,) = packages.glob("cabgate-*.dist-info")
    for entry in Distribution.at(own).entry_points.select(group="console_scripts"):
        command = tree / "bin" / entry.name
        command.write_text(
            f"#!/{TREE}/bin/python3\nimport sys\n\nfrom {entry.module} import {entry.attr}\n\n"
            f"sys.exit({entry.attr}())\n"
        )
        command.chmod(0o755)
    for path in tree.glob(".*"):
        path.unlink()
    for record in packages.glob("*.dist-info/RECORD"):
        for each in OF_THIS_MACHINE:
            record.with_name(each).unlink(missing_ok=True)
        record.write_text(record_of_what_is_there(record))


def record_of_what_is_there(record: Path) -> str:
    """The list of a distribution's files without those that are not there: commands of others, and
    what is of this machine."""
    stream = io.StringIO()
    written = csv.writer(stream, lineterminator="\n")
    packages = record.parents[1]
    for row in csv.reader(record.read_text().splitlines()):
        if (packages / row[0]).exists() and not row[0].startswith("../") and ".pyc" not in row[0]:
            written.writerow(row)
    return stream.getvalue()


def _compile(root: Path, folder: str) -> None:
    """Compile what is there, so that it holds whatever a file is dated, and in one process: what
    several make of the same source may differ in a few bits."""
    command = [sys.executable, "-m", "compileall", "-q", "-f", "--invalidation-mode"]
    command += ["unchecked-hash", "-s", str(root), "-p", "/", str(root / folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})


def layer(root: Path, epoch: int) -> Path:
    """A folder as a layer, which belongs to root and can be written by nobody else."""
    layer = root.with_suffix(".tar")
    _tar(root, layer, epoch)
    return layer


def _tar(root: Path, archive: Path, epoch: int) -> None:
    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = epoch
        if info.isdir() or info.isreg():
            info.mode = (info.mode & 0o1777) if info.mode & 0o1000 else 0o644
            if info.isdir() or was_executable(info.name):
                info.mode |= 0o755
        return info

    def was_executable(name: str) -> bool:
        return bool((root / name).stat().st_mode & 0o100)

    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as made:
        for path in sorted(root.rglob("*")):
            made.add(path, path.relative_to(root).as_posix(), recursive=False, filter=plain)


def put_together(layout: Path, layers: dict[str, Path], epoch: int, revision: str) -> str:
    """Make an OCI layout of layers, each by what made it; return the digest of its manifest."""
    umoci, tag = str(locate_program("umoci", progress=None)), PROJECT["version"]
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}

    def run(*words: str) -> None:
        subprocess.run([umoci, *words], check=True, env=env, stdout=subprocess.DEVNULL)

    image = ("--image", f"{layout}:{tag}")
    run("init", "--layout", str(layout))
    run("new", *image)
    for made_by, file in layers.items():
        run("raw", "add-layer", *image, f"--history.created_by={made_by}", str(file))
    run("config", *image, "--no-history", *settings(revision))
    run("gc", "--layout", str(layout))
    (manifest,) = json.loads((layout / "index.json").read_text())["manifests"]
    digest: str = manifest["digest"]
    return digest


def settings(revision: str) -> list[str]:
    """Options of `umoci config`: the same as the Dockerfile says, and what the base is."""
    labels = {
        "title": "cabgate",
        "description": "A change-approval gate for Kubernetes: operator and webhook",
        "base.name": "debian:12, packages of image/base-packages.txt",
        "licenses": PROJECT["license"],
        "version": PROJECT["version"],
        "revision": revision,
    }
    environment = {
        "PATH": f"/{TREE}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    words = ["--config.user=65532:65532", "--config.workingdir=/"]
    words += ["--os=linux", f"--architecture={ARCHITECTURE}"]
    words += [f"--config.cmd={each}" for each in ("cabgate", "--help")]
    words += [f"--config.env={key}={value}" for key, value in environment.items()]
    for key, value in labels.items():
        words += [f"--config.label=org.opencontainers.image.{key}={value}"]
    return words


def sbom(packages: list[image_base.Package], epoch: int, digest: str) -> dict[str, Any]:
    """What is in the image, as CycloneDX: of Python as uv.lock says, and of Debian."""
    command = ["uv", "export", "--quiet", "--locked", "--no-dev", "--extra=portal", "--extra=relay"]
    command += ["--format", "cyclonedx1.5", "--preview-features", "sbom-export"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    document: dict[str, Any] = json.loads(done.stdout)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}"
    document["metadata"]["timestamp"] = datetime.fromtimestamp(epoch, UTC).isoformat()
    document["metadata"].setdefault("properties", []).append(
        {"name": "cabgate:image:digest", "value": digest}
    )
    document["components"] += [package.component() for package in packages]
    return document


def _base(folder: Path, *, anew: bool) -> Path:
    if anew or not folder.is_dir():
        image_base.download(folder)
    return folder


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    base = commands.add_parser("base", help="download the packages of the base into the cache")
    base.add_argument("--if-missing", action="store_true", help="only where they are not there")
    made = commands.add_parser("build", help="write archive and SBOM into dist/")
    made.add_argument("--out", type=Path, default=ROOT / "dist")
    made.add_argument("--debs", type=Path, help="a folder with the packages of the base")
    given = parser.parse_args()
    kept = image_base.cached()
    try:
        if given.command == "build":
            build(given.debs or _base(kept, anew=False), given.out)
        else:
            print(f"the packages of the base are in {_base(kept, anew=not given.if_missing)}")
    except (image_base.BaseError, DevClusterError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
