# SPDX-License-Identifier: Apache-2.0
"""What `make image` makes: taken apart by the OCI layout, and run as a Pod runs it, on its own root
alone."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib

import pytest

from cabgate_devcluster import locate_program, program_at_hand, wait_until
from cabgate_devcluster.installed.installation import ROOT
from support.images import COMMANDS, Processes, asked, has_swept, launch, state
from support.pod import MOUNTS, TREE, environment_of, on_unpacked
from support.tools import tool

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BASE = tool("image_base")


def why_not():
    """What this machine lacks for it; empty if nothing."""
    if reason := BASE.why_not():
        return reason
    made = program_at_hand("umoci") and BASE.cached().is_dir()
    return "" if made else "make image-tools was not run"


pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"NOT PROVED: the image: {why_not()}")


def build(out, **environment):
    """Make the image; what was written, by its suffix."""
    out.mkdir()
    subprocess.run(
        [sys.executable, "tools/image.py", "build", "--out", str(out)],
        cwd=ROOT,
        check=True,
        timeout=500,
        env={**os.environ, **environment},
    )
    return {"".join(path.suffixes[-2:]): path for path in out.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("image") / "out")


@pytest.fixture(scope="module")
def layout(built, tmp_path_factory):
    """The folder of the archive."""
    folder = tmp_path_factory.mktemp("layout")
    with tarfile.open(built[".oci.tar"]) as archive:
        # Made by this test; Debian's Python 3.11.2 has no filter.
        archive.extractall(folder)  # noqa: S202
    return folder


def blob(layout, descriptor):
    return json.loads((layout / "blobs/sha256" / descriptor["digest"][7:]).read_text())


@pytest.fixture(scope="module")
def manifest(layout):
    (only,) = json.loads((layout / "index.json").read_text())["manifests"]
    return blob(layout, only)


@pytest.fixture(scope="module")
def config(layout, manifest):
    return blob(layout, manifest["config"])


@pytest.fixture(scope="module")
def root(layout, tmp_path_factory):
    """The files of the image, as umoci unpacks them, which checks each layer by its digests."""
    bundle = tmp_path_factory.mktemp("unpacked") / "bundle"
    words = ["unpack", "--rootless", "--image", f"{layout}:{PROJECT['version']}", str(bundle)]
    subprocess.run([str(locate_program("umoci")), *words], check=True, stdout=subprocess.DEVNULL)
    return bundle / "rootfs"


@pytest.fixture
def words(root, config):
    """The command line of a program in the image."""
    settings = config["config"]
    tried = subprocess.run(
        [*on_unpacked(root, root.parent / "none", settings["User"]), "cabgate", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{TREE}/bin:/usr/bin:/bin"},
    )
    if "unshare" in tried.stderr or "mount" in tried.stderr:
        pytest.skip(f"NOT PROVED that the image runs: no root of its own: {tried.stderr}")

    def of(mounts, address, program):
        command = on_unpacked(root, mounts, settings["User"])
        given = environment_of(address, "/usr/bin:/bin")
        return [*given, *settings["Env"], *command, *program]

    return of


@pytest.fixture
def run(words, tmp_path):
    def of(*program):
        command = words(tmp_path / "mounts", "127.0.0.1:1", program)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    return of


@pytest.fixture
def started(gate, words, tmp_path):
    """Start a process of the image beside those of the session."""
    processes = Processes(gate, words, tmp_path)
    yield processes.start
    processes.close()


@pytest.mark.parametrize("component", COMMANDS)
def test_it_runs_on_its_own_root_and_writes_nothing(
    gate, root, started, component, record_testsuite_property
):
    before = state(root / "opt")
    _, seconds = started(component, *launch(gate, component))
    record_testsuite_property(f"image_archive_{component}_ready_seconds", f"{seconds:.2f}")
    assert state(root / "opt") == before


def test_the_operator_leads_with_the_service_account_of_its_pod(gate, started):
    gate.installation.operator.stop()
    try:
        process, _ = started("operator", *launch(gate, "operator"))
        wait_until(lambda: has_swept(process), "it leads and has swept")
        asked(process)
        process.stop()  # in order: the next need not wait for the Lease
    finally:
        gate.installation.start_operator()


def test_the_relay_finds_what_postgresql_needs(run):
    nowhere = "postgresql://relay@127.0.0.1:1/events"
    ended = run("cabgate-relay", "prepare", "--store", nowhere)
    assert ended.returncode == 1
    assert "Connection refused" in ended.stderr


@pytest.mark.parametrize("command", PROJECT["scripts"])
def test_each_command_is_there(run, command):
    words = ["queue", ""] if "complete" in command else ["--help"]
    done = run(command, *words)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


LOOK = """
import os, pathlib
for folder in ["/", "/run", "/tmp", "/usr", *%r]:
    try:
        pathlib.Path(folder, "new").touch()
        print("written:", folder)
    except OSError as refused:
        assert "Read-only" in str(refused), refused
print(os.getuid(), os.getgid(), *os.listdir("/"))
"""


def test_it_runs_as_nobody_in_particular_and_can_write_nowhere(run):
    done = run("python3", "-c", LOOK % [TREE, *MOUNTS.values()])
    assert done.returncode == 0, done.stderr
    uid, gid, *there = done.stdout.split()
    assert (uid, gid) == ("65532", "65532")
    assert {"opt", "usr", "lib"} <= set(there)


NEEDED = """
import glob, pathlib, subprocess
(loader,) = {pathlib.Path(each).resolve() for each in glob.glob("/lib*/ld-linux-*.so.?")}
modules = [path for top in ("/usr", "/opt") for path in pathlib.Path(top).rglob("*.so*")]
for path in [pathlib.Path("/usr/bin/python3.11"), *modules]:
    if path.is_file() and path.read_bytes()[:4] == b"\\x7fELF":
        if subprocess.run([loader, "--list", path], capture_output=True).returncode != 0:
            print(path.name.partition(".")[0])
print(len(modules), "looked at")
"""


def test_every_native_module_finds_its_libraries_but_those_of_a_terminal_and_old_databases(run):
    done = run("python3", "-c", NEEDED)
    assert done.returncode == 0, done.stderr
    *lacking, looked_at = done.stdout.splitlines()
    assert int(looked_at.split()[0]) > 50
    assert set(lacking) == {"_curses", "_curses_panel", "_dbm", "nis", "readline"}


def test_every_blob_is_what_its_name_says(layout):
    blobs = list((layout / "blobs/sha256").iterdir())
    assert len(blobs) == 4, "two layers, a configuration and a manifest"
    for path in blobs:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def test_its_files_are_of_root_and_nobody_else_writes_them(layout, manifest):
    names = []
    for layer in manifest["layers"]:
        with tarfile.open(layout / "blobs/sha256" / layer["digest"][7:]) as opened:
            for each in opened:
                names.append(each.name)
                assert (each.uid, each.gid) == (0, 0), each.name
                if not each.issym():
                    assert not each.mode & 0o6000, f"{each.name} runs as another"
                    assert each.mode & 0o004, f"{each.name} cannot be read"
                    assert not each.mode & 0o022 or each.mode & 0o1000, each.name
    for unwanted in ("sh", "bash", "dash", "apt", "dpkg", "perl", "pip"):
        assert f"usr/bin/{unwanted}" not in names
    for unwanted in ("pytest", "mypy", "hypothesis", "cabgate_devcluster", "cabgate_demo", "pip"):
        assert not [name for name in names if f"site-packages/{unwanted}/" in name]


def test_it_says_what_it_is_as_the_dockerfile_does(config):
    settings, dockerfile = config["config"], (ROOT / "Dockerfile").read_text()
    labels = set(re.findall(r"org\.opencontainers\.image\.[\w.]+(?==)", dockerfile))
    assert set(settings["Labels"]) == labels
    assert settings["Labels"]["org.opencontainers.image.version"] == PROJECT["version"]
    assert settings["User"] == re.search(r"^USER (\S+)$", dockerfile, re.MULTILINE)[1]
    assert settings["Cmd"] == json.loads(re.search(r"^CMD (.+)$", dockerfile, re.MULTILINE)[1])
    environment = re.search(r"^ENV ((?:.+\\\n)*.+)$", dockerfile, re.MULTILINE)[1]
    assert settings["Env"] == environment.replace("\\\n", " ").split()
    assert config["os"] == "linux"


def test_the_sbom_names_what_is_there_and_nothing_else(built, root, layout):
    document = json.loads(built[".cdx.json"].read_text())
    named = {(each["name"], each["version"]) for each in document["components"]}
    named.add((PROJECT["name"], PROJECT["version"]))
    there = set()
    for path in [*root.glob("opt/cabgate/lib/*/site-packages/*.dist-info/METADATA")]:
        fields = dict(re.findall(r"^(Name|Version): (\S+)$", path.read_text(), re.MULTILINE))
        there.add((re.sub(r"[-_.]+", "-", fields["Name"]).lower(), fields["Version"]))
    for path in root.glob("var/lib/dpkg/status.d/*"):
        fields = dict(re.findall(r"^(Package|Version): (\S+)$", path.read_text(), re.MULTILINE))
        there.add((fields["Package"], fields["Version"]))
    assert named == there
    (only,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert {"name": "cabgate:image:digest", "value": only["digest"]} in document["metadata"][
        "properties"
    ]


def test_made_twice_it_is_the_same_bytes(built, tmp_path):
    elsewhere = tmp_path / "a-folder-with-another-name"
    elsewhere.mkdir()
    again = build(tmp_path / "out", TMPDIR=str(elsewhere), TZ="Asia/Tokyo", PYTHONHASHSEED="7")
    for suffix, path in built.items():
        assert path.read_bytes() == again[suffix].read_bytes(), suffix
