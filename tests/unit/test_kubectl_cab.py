# SPDX-License-Identifier: Apache-2.0
"""The zipapp of `kubectl cab` and krew's manifest of it."""

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"

FILES = {
    "cabgate_cli/__init__.py": b"",
    "cabgate_cli/start.py": b"import sys\ndef plugin():\n print('ran', sys.argv[1:]); exit(3)\n",
    "cabgate_cli/completion.py": b"def main():\n    print('completed')\n",
}

TEXT = {"type": "string", "minLength": 1}
KREW = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "krew.googlecontainertools.github.com/v1alpha2"},
        "kind": {"const": "Plugin"},
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": {"const": "cab", "pattern": r"^[\w-]+$"}},
        },
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["version", "shortDescription", "platforms"],
            "properties": {
                "version": {"type": "string", "pattern": r"^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$"},
                "shortDescription": {"type": "string", "pattern": r"^[^\r\n]+$"},
                "description": TEXT,
                "caveats": TEXT,
                "homepage": TEXT,
                "platforms": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["selector", "uri", "sha256", "bin"],
                        "properties": {
                            "uri": {"type": "string", "pattern": r"^https://.*\.(tar\.gz|zip)$"},
                            "sha256": {"type": "string", "pattern": "^[a-f0-9]{64}$"},
                            "bin": TEXT,
                            "selector": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["matchLabels"],
                                "properties": {
                                    "matchLabels": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "required": ["os", "arch"],
                                        "properties": {
                                            "os": {"enum": ["linux", "darwin", "windows"]},
                                            "arch": {"enum": ["amd64", "arm64"]},
                                        },
                                    }
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What krew's own check of a manifest asks for (internal/index/validation), and its types."""


def load() -> Any:
    spec = importlib.util.spec_from_file_location("kubectl_cab", ROOT / "tools" / "kubectl_cab.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load()


def started(
    path: Path, *words: str, cache: Path, search: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PATH": search}
    return subprocess.run(
        [sys.executable, path, *words], capture_output=True, text=True, env=environment, check=False
    )


def written(folder: Path, pythons: tuple[str, ...] = (THIS,)) -> Path:
    path = folder / tool.PROGRAM
    path.write_bytes(tool.zipapp(FILES, pythons))
    return path


def test_it_unpacks_itself_once_and_hands_on_words_and_exit_code(tmp_path: Path) -> None:
    path, cache = written(tmp_path), tmp_path / "cache"
    first = started(path, "queue", "-A", cache=cache)
    assert (first.stdout, first.returncode) == ("ran ['queue', '-A']\n", 3)
    [place] = (cache / "cabgate").iterdir()
    assert (cache / "cabgate").stat().st_mode & 0o077 == 0
    (place / "cabgate_cli" / "start.py").write_text("def plugin():\n    print('the same folder')\n")
    assert started(path, cache=cache).stdout == "the same folder\n"


def test_by_its_second_name_it_completes(tmp_path: Path) -> None:
    link = tmp_path / tool.COMPLETION
    link.symlink_to(written(tmp_path))
    assert started(link, "que", cache=tmp_path / "cache").stdout == "completed\n"


def test_another_python_is_looked_for_and_else_it_is_said_which_would_do(tmp_path: Path) -> None:
    path = written(tmp_path, ("3.99",))
    search = tmp_path / "bin"
    search.mkdir()
    missing = started(path, cache=tmp_path / "cache", search=str(search))
    assert missing.returncode == 4
    assert f"made for Python 3.99, and this is {THIS}" in missing.stderr
    other = search / "python3.99"
    other.write_text('#!/bin/sh\necho "by another: $2"\n')
    other.chmod(0o755)
    found = started(path, "queue", cache=tmp_path / "cache", search=str(search))
    assert found.stdout == "by another: queue\n"


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    done = started(written(tmp_path), cache=tmp_path / "cache")
    assert done.returncode == 4
    assert "Set XDG_CACHE_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_files_make_the_same_bytes() -> None:
    backwards = dict(reversed(FILES.items()))
    assert tool.zipapp(FILES, [THIS]) == tool.zipapp(backwards, [THIS])
    assert tool.archive(b"x") == tool.archive(b"x")


def test_native_modules_of_several_pythons_stand_side_by_side(tmp_path: Path) -> None:
    for python in ("3.11", "3.12"):
        for name in (
            f"core/_core.cpython-{python.replace('.', '')}.so",
            "core/__init__.py",
            "cabgate_webhook/main.py",
            "bin/tool",
            "core-1.dist-info/RECORD",
            "core-1.dist-info/METADATA",
        ):
            path = tmp_path / python / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("the same")
    assert set(tool.gathered([tmp_path / "3.11", tmp_path / "3.12"])) == {
        "core/_core.cpython-311.so",
        "core/_core.cpython-312.so",
        "core/__init__.py",
        "core-1.dist-info/METADATA",
    }
    (tmp_path / "3.12" / "core" / "__init__.py").write_text("another")
    with pytest.raises(ValueError, match="differs between Pythons"):
        tool.gathered([tmp_path / "3.11", tmp_path / "3.12"])


def test_krew_takes_the_manifest() -> None:
    program = tool.zipapp(FILES, [THIS])
    digest = hashlib.sha256(tool.archive(program)).hexdigest()
    digests = dict.fromkeys(tool.TARGETS, digest)
    made = yaml.safe_load(tool.manifest(digests, "https://example.com/v1/", "https://example.com"))
    jsonschema.validate(made, KREW)
    assert len(made["spec"]["platforms"]) == len(tool.TARGETS)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert made["spec"]["version"] == f"v{project['version']}"
    jsonschema.validate(yaml.safe_load(tool.manifest(digests, "https://example.com")), KREW)


def test_the_archive_holds_what_the_manifest_runs_and_files_alone() -> None:
    with tarfile.open(fileobj=io.BytesIO(tool.archive(b"program"))) as opened:
        found = {each.name: each for each in opened.getmembers()}
    assert found["kubectl-cab"].mode & 0o111
    assert "LICENSE" in found
    assert all(each.isfile() for each in found.values())  # krew unpacks nothing else


def test_the_command_line_imports_nothing_that_is_left_out_of_it() -> None:
    modules = [
        ".".join(path.relative_to(ROOT / "cli").with_suffix("").parts)
        for path in (ROOT / "cli" / "cabgate_cli").rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    ]
    look = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    left_out = {name.replace("-", "_") for name in tool.SERVER_ONLY} | set(tool.NOT_OURS)
    assert imported & left_out == set()
