# SPDX-License-Identifier: Apache-2.0
"""Running kubectl: its errors in one's own words, and nothing lost of what it says."""

import json
from pathlib import Path

import pytest

from cabgate_cli.errors import Unavailable
from cabgate_cli.input.kubectl.process import Kubectl, NotPermitted, NotThere
from unit.cli.support import run


def kubectl_of(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A kubectl on PATH that is a script; it writes its arguments beside it."""
    program = folder / "kubectl"
    asked = folder / "asked"
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return asked


def test_a_list_is_read_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = kubectl_of(
        tmp_path,
        monkeypatch,
        'case "$*" in *continue=more*) echo \'{"items":[2]}\';;'
        ' *) echo \'{"items":[1],"metadata":{"continue":"more"}}\';; esac',
    )
    found = Kubectl(("--context=prod",)).list("shop", "cabrequests", selector="status.state!=A")
    assert list(found) == [1, 2]
    first, second = asked.read_text().splitlines()
    assert first.startswith("get --raw /apis/cabgate.dev/v1alpha1/namespaces/shop/cabrequests?")
    assert first.endswith("--context=prod")
    assert "fieldSelector=status.state%21%3DA" in first
    assert "continue=more" in second


@pytest.mark.parametrize(
    ("said", "kind", "seen"),
    [
        ('Error from server (NotFound): "web" not found', NotThere, "not found"),
        ("Error from server (Forbidden): no", NotPermitted, "you may not read"),
        ("error: You must be logged in", Unavailable, "no cluster to read from"),
        ("Unable to connect \x1b[31m\u202eto the server", Unavailable, "\\u001b[31m\\u202e"),
    ],
)
def test_an_error_says_what_was_read_and_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    kind: type[Unavailable],
    seen: str,
) -> None:
    (tmp_path / "said").write_text(said + "\n")
    kubectl_of(tmp_path, monkeypatch, f"cat {tmp_path}/said >&2; exit 1")
    with pytest.raises(kind) as raised:
        Kubectl().one("shop", "cabrequests", "web-1")
    assert seen in raised.value.message
    assert "cabrequest shop/web-1" in raised.value.message


def test_without_kubectl_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "kubectl cannot be run" in run("queue", "-A", code=4).stderr


@pytest.mark.parametrize("answer", ["", "[]", "<html>"])
def test_what_is_no_object_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    kubectl_of(tmp_path, monkeypatch, f"printf '%s' '{answer}'")
    with pytest.raises(Unavailable):
        Kubectl().one("shop", "cabrequests", "web-1")


def test_what_kubectl_says_is_passed_on_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl_of(tmp_path, monkeypatch, "echo 'Warning: recorded' >&2; echo patched")
    ran = Kubectl().run("patch")
    assert (ran.code, ran.output, ran.errors) == (0, "patched\n", "Warning: recorded\n")
    assert capsys.readouterr().err == "Warning: recorded\n"
    Kubectl().run("patch", quiet=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("script", "namespace"),
    [("printf shop", "shop"), ("true", "default"), ("exit 1", "default")],
)
def test_the_namespace_is_that_of_the_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, namespace: str
) -> None:
    kubectl_of(tmp_path, monkeypatch, script)
    assert Kubectl().namespace() == namespace
    assert Kubectl().namespace("given") == "given"


def test_who_acts_is_what_the_api_server_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = json.dumps({"status": {"userInfo": {"username": "rita", "groups": ["cab"]}}})
    kubectl_of(tmp_path, monkeypatch, f"echo '{review}'")
    assert Kubectl().whoami() == {"username": "rita", "groups": ["cab"]}
