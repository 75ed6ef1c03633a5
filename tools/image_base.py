# SPDX-License-Identifier: Apache-2.0
"""The base of the image that `make image` makes: packages of Debian, as apt downloads and checks
them, kept in a folder. Needs Debian 12 with apt and dpkg-deb, and no root."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES_FILE = ROOT / "image" / "base-packages.txt"
CODENAME = "bookworm"
SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
"""Where a Debian has its own archive; of other vendors nothing is taken."""

LEFT_OUT = (
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bug",
    "usr/share/doc-base",
    "usr/share/base-files",
    "usr/share/python3",
    "usr/share/pixmaps",
    "usr/share/applications",
    "usr/share/binfmts",
)
"""Documentation, and what belongs to a desktop or to the installation of packages."""

MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders of the root that are links into /usr."""

ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
"""What the scripts of packages would write."""


class BaseError(Exception):
    """The base cannot be had; the text says why, and what to do."""


@dataclass(frozen=True)
class Package:
    """A package of Debian in a file."""

    file: Path
    fields: dict[str, str]
    """Its control file, but for what goes over several lines."""

    control: str

    @property
    def name(self) -> str:
        """Its name, such as `libc6`."""
        return self.fields["Package"]

    def component(self) -> dict[str, object]:
        """What a CycloneDX document says of it."""
        version = self.fields["Version"]
        purl_version = version.replace(":", "%3A").replace("+", "%2B")
        purl_name = self.name.replace("+", "%2B")
        arch = self.fields["Architecture"]
        purl = f"pkg:deb/debian/{purl_name}@{purl_version}?arch={arch}&distro=debian-12"
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        return {
            "type": "library",
            "bom-ref": purl,
            "name": self.name,
            "version": version,
            "purl": purl,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }


def wanted() -> list[str]:
    """Names of the packages."""
    lines = PACKAGES_FILE.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def cached() -> Path:
    """The folder that keeps them, by what is wanted."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    caches = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    digest = hashlib.sha256("\n".join([CODENAME, *wanted()]).encode()).hexdigest()[:12]
    return caches / "cabgate" / f"image-base-{CODENAME}-{digest}"


def why_not() -> str:
    """Why the base cannot be had on this machine; empty if it can."""
    missing = [name for name in ("apt-get", "dpkg-deb", "dpkg", "tar") if not shutil.which(name)]
    if missing:
        return f"there is no {', '.join(missing)}"
    release = Path("/etc/os-release")
    if f"VERSION_CODENAME={CODENAME}\n" not in (release.read_text() if release.exists() else ""):
        return f"this machine is not Debian 12 ({CODENAME}), whose packages are the base"
    if not any(path.exists() for path in SOURCES):
        return f"none of {', '.join(map(str, SOURCES))} names Debian's archive"
    return ""


def download(folder: Path) -> None:
    """Put the newest of each package into a folder, which appears complete or not at all.

    apt checks the signature of the archive, and each file by its hash. Raises `BaseError`.
    """
    if reason := why_not():
        raise BaseError(f"the base of the image cannot be had: {reason}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".base-") as name:
        apt, debs = Path(name, "apt"), Path(name, "debs")
        for each in (apt / "lists/partial", apt / "cache/archives/partial", debs):
            each.mkdir(parents=True)
        (apt / "status").touch()
        config = apt / "apt.conf"
        config.write_text(_config(apt))
        for words in (["update"], ["download", *wanted()]):
            done = subprocess.run(
                ["apt-get", "-q", "-o", "APT::Sandbox::User=", *words],
                cwd=debs,
                env={**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise BaseError(f"apt-get {words[0]} failed:\n{done.stderr.strip()}")
        _complete(packages(debs), debs)
        shutil.rmtree(folder, ignore_errors=True)
        debs.rename(folder)


def _config(apt: Path) -> str:
    sources = next(path for path in SOURCES if path.exists())
    lines = {
        "Dir::State": apt,
        "Dir::State::status": apt / "status",
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    return "".join(f'{name} "{value}";\n' for name, value in lines.items())


def packages(debs: Path) -> list[Package]:
    """The packages of a folder, by name."""
    found = []
    for path in debs.glob("*.deb"):
        command = ["dpkg-deb", "--field", str(path)]
        control = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines = [line for line in control.splitlines() if line[:1] not in ("", " ")]
        fields = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        found.append(Package(path, fields, control))
    return sorted(found, key=lambda each: each.name)


def _complete(found: list[Package], debs: Path) -> None:
    names = [each.name for each in found]
    if names != sorted(wanted()):
        differ = ", ".join(sorted({*names} ^ {*wanted()})) or "one is there twice"
        raise BaseError(
            f"{debs} does not hold what {PACKAGES_FILE.relative_to(ROOT)} lists: {differ}; "
            "`make image-base` downloads it anew"
        )


def unpack(debs: Path, root: Path) -> list[Package]:
    """Make the files of the base in an empty folder; the packages that they are of.

    No script of a package runs. Raises `BaseError` where the folder does not hold all packages.
    """
    found = packages(debs)
    _complete(found, debs)
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in found:
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(package.file)], stdout=subprocess.PIPE
        ) as stream:
            subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root)],
                stdin=stream.stdout,
                check=True,
            )
        if stream.returncode != 0:
            raise BaseError(f"{package.file} cannot be unpacked; `make image-base` gets it anew")
    for name in LEFT_OUT:
        shutil.rmtree(root / name, ignore_errors=True)
    for path in sorted((root / "usr/share/doc").rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif not path.is_symlink() and path.name != "copyright":
            path.unlink()
    (root / "var/run").rmdir()
    (root / "var/run").symlink_to("/run")
    for name, text in ACCOUNTS.items():
        (root / name).write_text(text)
    # Where scanners look for the packages of an image that has no dpkg.
    status = root / "var/lib/dpkg/status.d"
    status.mkdir(parents=True, exist_ok=True)
    for package in found:
        (status / package.name).write_text(package.control)
    return found
