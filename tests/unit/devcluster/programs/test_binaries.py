# SPDX-License-Identifier: Apache-2.0
"""Which of several programs of the same name is taken."""

from pathlib import Path

import pytest

from cabgate_devcluster import Binaries, DevClusterError, locate_program, program_at_hand
from cabgate_devcluster.__main__ import main
from cabgate_devcluster.programs import binaries
from cabgate_devcluster.programs.cache import cached_folder, program_folder
from cabgate_devcluster.programs.pinned import ALONE, version_of

ENVTEST = ("etcd", "kube-apiserver", "kubectl")


def fake(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    def no_build(names: list[str], *_: object) -> None:
        raise AssertionError(f"would build {names}")

    monkeypatch.setattr(binaries, "build", no_build)
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_the_assets_folder_comes_before_the_cache(tmp_path: Path, environ: dict[str, str]) -> None:
    fake(cached_folder(environ), *binaries.NAMES)
    assets = fake(tmp_path / "assets", *binaries.NAMES)
    found = Binaries.locate(None, environ | {"KUBEBUILDER_ASSETS": str(assets)})
    assert set(found.by_name().values()) == {assets / name for name in binaries.NAMES}
    assert found.folder(environ) == assets


def test_what_the_assets_folder_lacks_comes_from_the_cache(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    cache = fake(cached_folder(environ), *binaries.NAMES)
    assets = fake(tmp_path / "assets", *ENVTEST)
    found = Binaries.locate(None, environ | {"KUBEBUILDER_ASSETS": str(assets)})
    assert found.kube_apiserver == assets / "kube-apiserver"
    assert found.kube_controller_manager == cache / "kube-controller-manager"


def test_the_folder_of_a_mixture_links_to_all_four(tmp_path: Path, environ: dict[str, str]) -> None:
    fake(cached_folder(environ), *binaries.NAMES)
    assets = fake(tmp_path / "assets", *ENVTEST)
    found = Binaries.locate(None, environ | {"KUBEBUILDER_ASSETS": str(assets)})
    for _ in range(2):  # a second call finds the links there
        folder = found.folder(environ)
        for name, path in found.by_name().items():
            assert (folder / name).resolve() == path.resolve()


def test_a_programs_own_variable_comes_first(tmp_path: Path, environ: dict[str, str]) -> None:
    assets = fake(tmp_path / "assets", *binaries.NAMES)
    own = fake(tmp_path / "own", "my-etcd") / "my-etcd"
    found = Binaries.locate(
        None, environ | {"KUBEBUILDER_ASSETS": str(assets), "TEST_ASSET_ETCD": str(own)}
    )
    assert found.etcd == own
    assert found.kubectl == assets / "kubectl"


def test_a_variable_that_names_nothing_is_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(DevClusterError, match="TEST_ASSET_KUBE_APISERVER=/nowhere/x is not"):
        Binaries.locate(None, environ | {"TEST_ASSET_KUBE_APISERVER": "/nowhere/x"})


def test_only_what_is_missing_everywhere_is_built(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def build(names: list[str], folder: Path, *_: object) -> None:
        asked.extend(names)
        fake(folder, *names)

    monkeypatch.setattr(binaries, "build", build)
    assets = fake(tmp_path / "assets", *ENVTEST)
    found = Binaries.locate(None, environ | {"KUBEBUILDER_ASSETS": str(assets)})
    assert asked == ["kube-controller-manager"]
    assert found.kube_controller_manager == cached_folder(environ) / "kube-controller-manager"


def test_a_file_that_cannot_be_executed_does_not_count(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    cache = fake(cached_folder(environ), *binaries.NAMES)
    assets = fake(tmp_path / "assets", *binaries.NAMES)
    (assets / "etcd").chmod(0o644)
    found = Binaries.locate(None, environ | {"KUBEBUILDER_ASSETS": str(assets)})
    assert found.etcd == cache / "etcd"


def test_a_relative_cache_variable_is_ignored() -> None:
    assert cached_folder({"XDG_CACHE_HOME": "here"}).is_relative_to(Path.home() / ".cache")


def test_the_command_prints_the_folder_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environ: dict[str, str],
) -> None:
    assets = fake(tmp_path / "assets", *binaries.NAMES)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    monkeypatch.setenv("XDG_CACHE_HOME", environ["XDG_CACHE_HOME"])
    for name in ("ETCD", "KUBECTL", "KUBE_APISERVER", "KUBE_CONTROLLER_MANAGER"):
        monkeypatch.delenv(f"TEST_ASSET_{name}", raising=False)
    assert main(["binaries"]) == 0
    assert capsys.readouterr().out == f"{assets}\n"


EACH = pytest.mark.parametrize("name", ALONE)


@EACH
def test_one_that_stands_alone_comes_from_its_variable_the_assets_or_its_own_cache(
    name: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    cache = fake(program_folder(name, environ), name) / name
    assert locate_program(name, None, environ) == cache
    envtest = environ | {"KUBEBUILDER_ASSETS": str(fake(tmp_path / "envtest", *ENVTEST))}
    assert locate_program(name, None, envtest) == cache
    assets = fake(tmp_path / "assets", *ENVTEST, name)
    own = fake(tmp_path / "own", "mine") / "mine"
    given = environ | {"KUBEBUILDER_ASSETS": str(assets)}
    assert locate_program(name, None, given) == assets / name
    assert locate_program(name, None, given | {f"TEST_ASSET_{_variable(name)}": str(own)}) == own


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def test_each_has_a_folder_of_its_own(environ: dict[str, str]) -> None:
    folders = {cached_folder(environ), *(program_folder(name, environ) for name in ALONE)}
    assert len(folders) == len(ALONE) + 1
    assert len({folder.parent for folder in folders}) == 1


@EACH
def test_whether_one_is_at_hand_builds_nothing(name: str, environ: dict[str, str]) -> None:
    assert not program_at_hand(name, environ)
    fake(program_folder(name, environ), name)
    assert program_at_hand(name, environ)


def test_a_program_that_nothing_pins_is_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(DevClusterError, match=r"no program 'helmet' is pinned .* helm, "):
        locate_program("helmet", None, environ)


@EACH
def test_the_version_of_each_is_pinned(name: str) -> None:
    assert version_of(name).startswith("v")


def test_the_control_plane_does_without_them(environ: dict[str, str]) -> None:
    fake(cached_folder(environ), *binaries.NAMES)
    assert not set(ALONE) & set(Binaries.locate(None, environ).by_name())


@EACH
def test_a_missing_one_is_built_into_its_own_cache(
    name: str, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def build(names: list[str], folder: Path, *_: object) -> None:
        asked.extend(names)
        fake(folder, *names)

    monkeypatch.setattr(binaries, "build", build)
    assert locate_program(name, None, environ) == program_folder(name, environ) / name
    assert asked == [name]


@EACH
def test_the_command_prints_where_it_is(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environ: dict[str, str],
) -> None:
    own = fake(tmp_path / "own", name) / name
    monkeypatch.setenv(f"TEST_ASSET_{_variable(name)}", str(own))
    monkeypatch.setenv("XDG_CACHE_HOME", environ["XDG_CACHE_HOME"])
    assert main([name]) == 0
    assert capsys.readouterr().out == f"{own}\n"
