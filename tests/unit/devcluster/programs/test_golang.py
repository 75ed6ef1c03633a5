# SPDX-License-Identifier: Apache-2.0
"""Which Go builds the programs."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from cabgate_devcluster import DevClusterError
from cabgate_devcluster.programs import golang

ENV_ONLY = '#!/bin/sh\n[ "$1 $2" = "env GOVERSION" ] && echo '


def go(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{ENV_ONLY}{version}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("go1.26.0", True),
        ("go1.26rc1", True),
        ("go1.27.3", True),
        ("go2.0", True),
        ("devel go1.27-abcdef", True),
        ("go1.25.9", False),
        ("go1.9", False),
        ("", False),
        ("command not found", False),
    ],
)
def test_versions_compare_as_numbers(version: str, enough: bool) -> None:
    assert golang.is_new_enough(version, (1, 26)) is enough


def test_a_new_enough_go_on_path_is_taken(tmp_path: Path) -> None:
    path = go(tmp_path / "bin" / "go", "go1.26.1")
    found = golang.find_go(lambda _: None, {"PATH": str(path.parent)})
    assert found == golang.Go(path, "go1.26.1")


def test_an_old_go_is_refused_and_one_from_the_index_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = go(tmp_path / "bin" / "go", "go1.25.9")
    installed = []

    def install(folder: Path, environ: Mapping[str, str]) -> None:
        installed.append(folder)
        go(folder / "go" / "bin" / "go", "go1.26.6")

    monkeypatch.setattr(golang, "_install", install)
    lines: list[str] = []
    environ = {"PATH": str(old.parent), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for _ in range(2):  # the second finds it cached
        found = golang.find_go(lines.append, environ)
        assert found.version == "go1.26.6"
        assert found.path.is_relative_to(tmp_path / "cache")
    assert len(installed) == 1
    assert f"{old} is go1.25.9, which is not Go 1.26 or newer" in lines


def test_an_installer_that_fails_is_quoted(tmp_path: Path) -> None:
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text("#!/bin/sh\necho 'no route to the index' >&2; exit 2\n")
    uv.chmod(0o755)
    environ = {
        "PATH": f"{uv.parent}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PIP_NO_INDEX": "1",  # pip, where this Python has one, is to fail too
        "HOME": os.environ.get("HOME", str(tmp_path)),
    }
    with pytest.raises(DevClusterError, match="put Go on PATH instead") as caught:
        golang.find_go(lambda _: None, environ)
    assert "no route to the index" in str(caught.value)
    assert list((tmp_path / "cache").rglob(".install-*")) == []
