# SPDX-License-Identifier: Apache-2.0
"""What `make image` makes of files and packages, without making an image."""

import subprocess
from pathlib import Path

import pytest

from support.tools import tool

base = tool("image_base")
image = tool("image")

CONTROL = """\
Package: libstdc++6
Version: 1:12.2.0-14+deb12u1~x
Architecture: amd64
Maintainer: Nobody <nobody@example.com>
Description: one line
 and: another
"""


def package(folder: Path, control: str = CONTROL) -> Path:
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(control)
    command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(folder / "one.deb")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


needs_dpkg = pytest.mark.skipif(bool(base.why_not()), reason=f"{base.why_not()}")


@needs_dpkg
def test_a_package_is_named_as_scanners_name_it(tmp_path: Path) -> None:
    (found,) = base.packages(package(tmp_path))
    assert found.component()["purl"] == (
        "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1~x?arch=amd64&distro=debian-12"
    )
    assert found.control == CONTROL


@needs_dpkg
def test_a_folder_that_lacks_a_package_is_refused_and_says_which(tmp_path: Path) -> None:
    with pytest.raises(base.BaseError, match=r"libc6.*`make image-base` downloads it anew"):
        base.unpack(package(tmp_path), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_the_list_of_packages_has_no_shell_and_none_twice() -> None:
    names = base.wanted()
    assert names == sorted(set(names))
    assert not {"bash", "dash", "busybox", "coreutils", "apt", "dpkg", "perl-base"} & set(names)


def test_another_list_of_packages_is_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = base.cached()
    listed = tmp_path / "packages.txt"
    listed.write_text("# a comment\nlibc6\n")
    monkeypatch.setattr(base, "PACKAGES_FILE", listed)
    assert base.wanted() == ["libc6"]
    assert base.cached().parent == before.parent == tmp_path / "cabgate"
    assert base.cached() != before


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o4755, 0o2775])
def test_a_layer_depends_on_names_contents_and_what_is_executable_alone(
    tmp_path: Path, mode: int
) -> None:
    made = []
    for name, given in (("a", mode), ("b", 0o755 if mode & 0o100 else 0o644)):
        folder = tmp_path / name
        (folder / "opt").mkdir(parents=True, mode=0o700 if name == "a" else 0o755)
        (folder / "opt" / "file").write_text("content")
        (folder / "opt" / "file").chmod(given)
        (folder / "opt" / "link").symlink_to("file")
        made.append(image.layer(folder, 1_700_000_000).read_bytes())
    assert made[0] == made[1]


def test_a_list_of_files_names_none_that_is_not_there(tmp_path: Path) -> None:
    info = tmp_path / "one-1.dist-info"
    info.mkdir()
    (tmp_path / "one.py").touch()
    record = info / "RECORD"
    record.write_text(
        "one.py,sha256=a,0\ngone.py,sha256=b,1\n../../../bin/one,sha256=c,2\n"
        "one-1.dist-info/RECORD,,\none-1.dist-info/direct_url.json,sha256=d,3\n"
    )
    assert image.record_of_what_is_there(record) == "one.py,sha256=a,0\none-1.dist-info/RECORD,,\n"
