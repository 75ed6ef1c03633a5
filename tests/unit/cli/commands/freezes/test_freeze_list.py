# SPDX-License-Identifier: Apache-2.0
"""`cabgate freeze list`: which freezes hold, where, until when."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate_cli.input.cluster.client import Cluster, NotFound
from support.freezes import freeze
from unit.cli.input.cluster.test_installation import DATA
from unit.cli.support import EXAMPLES, run

CHRISTMAS = str(EXAMPLES / "freezes" / "christmas.yaml")
WINDOW = str(EXAMPLES / "freezes" / "payments-window.yaml")
BOARD = ("-n", "shop", "--namespace-label", "cabgate.dev/change-policy=board")
EVE = ("--at", "2026-12-24")


def listed(*words: str, code: int = 1, stdin: str | None = None) -> list[Any]:
    result = run("freeze", "list", *words, "-o", "json", code=code, stdin=stdin)
    found: list[Any] = json.loads(result.stdout)["items"]
    return found


def namespace(name: str, **labels: str) -> dict[str, Any]:
    full = {f"cabgate.dev/{key.replace('_', '-')}": value for key, value in labels.items()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": full}}


def test_what_holds_is_named_with_its_end_and_who_overrides_it() -> None:
    assert listed("-f", CHRISTMAS, *BOARD, *EVE) == [
        {
            "name": "christmas-2026",
            "title": "Christmas 2026",
            "since": "2026-12-19T00:00:00Z",
            "until": "2027-01-04T06:00:00Z",
            "rings": [3, 4],
            "namespaces": ["shop"],
            "override": {
                "verb": "override",
                "resource": "changefreezes.cabgate.dev",
                "name": "christmas-2026",
            },
        }
    ]
    result = run("freeze", "list", "-f", CHRISTMAS, *BOARD, *EVE, code=1)
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "FREEZE UNTIL RINGS NAMESPACES TITLE",
        "christmas-2026 2027-01-04T06:00:00Z 3-4 shop Christmas 2026",
    ]
    assert "kubectl cab approve -n shop NAME --override christmas-2026" in result.stderr


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2026-12-18T23:59:59Z", 0),
        ("2026-12-19T00:00:00Z", 1),
        ("2027-01-04T05:59:59Z", 1),
        ("2027-01-04T06:00:00Z", 0),
    ],
)
def test_it_holds_to_the_second(at: str, code: int) -> None:
    assert bool(listed("-f", CHRISTMAS, *BOARD, "--at", at, code=code)) is bool(code)


@pytest.mark.parametrize(
    ("labels", "rings"),
    [
        ({"change_policy": "board"}, [3, 4]),
        ({"change_policy": "board", "ring": "0"}, [3, 4]),
        ({"change_policy": "board", "ring": "4"}, [4]),
        ({"change_policy": "board", "ring": "x"}, [4]),
        ({"ring": "4"}, None),
    ],
)
def test_a_namespace_is_asked_about_by_its_labels(labels: Any, rings: list[int] | None) -> None:
    text = yaml.safe_dump(namespace("shop", **labels))
    found = listed("-f", "-", "-f", CHRISTMAS, *EVE, stdin=text, code=0 if rings is None else 1)
    assert [each["rings"] for each in found] == ([] if rings is None else [rings])


def test_each_freeze_is_listed_once_for_those_it_holds_for_alike() -> None:
    places = [namespace(name, change_policy="board") for name in ("a", "b", "status-page")]
    places += [namespace("pay", change_policy="payments"), namespace("free"),
               namespace("kube-system", change_policy="board")]  # fmt: skip
    text = yaml.safe_dump_all(places)
    words = ("-f", "-", "-f", CHRISTMAS, "-f", WINDOW)
    found = listed(*words, *EVE, stdin=text)
    assert [(each["name"], each["namespaces"], each["until"]) for each in found] == [
        ("christmas-2026", ["a", "b", "pay"], "2027-01-04T06:00:00Z"),
        ("payments-window", ["pay"], None),
    ]
    early = listed(*words, "--at", "2026-12-02", stdin=text)
    assert [(each["name"], each["until"]) for each in early] == [
        ("payments-window", "2026-12-08T07:00:00Z")
    ]


def test_what_was_declared_later_did_not_hold_then() -> None:
    before = yaml.safe_dump(freeze("late"))
    declared = freeze("late")["metadata"]["creationTimestamp"]
    spec = yaml.safe_load(before)["spec"]["intervals"][0]
    assert spec["from"] > declared
    hurried = freeze("late")
    hurried["metadata"]["creationTimestamp"] = spec["until"]
    assert listed("-f", "-", *BOARD, "--at", spec["from"], stdin=before)
    listed("-f", "-", *BOARD, "--at", spec["from"], stdin=yaml.safe_dump(hurried), code=0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-n", "free", "--namespace-label", "a=b"), "no namespace that was asked about carries"),
        (
            ("-n", "kube-system", "--namespace-label", "cabgate.dev/change-policy=x"),
            "the installation excludes kube-system",
        ),
        ((*BOARD, "--at", "2026-06-01"), "nothing is frozen at 2026-06-01T00:00:00Z"),
    ],
)
def test_that_nothing_is_frozen_says_why(words: tuple[str, ...], said: str) -> None:
    assert said in run("freeze", "list", "-f", CHRISTMAS, *EVE, *words).stderr


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Objects by their path, of a cluster whose client is replaced."""
    stored: dict[str, Any] = {
        "/api/v1/namespaces/cabgate-system/configmaps/cabgate-installation": {"data": DATA},
        "/apis/cabgate.dev/v1alpha1/changefreezes": [yaml.safe_load(Path(CHRISTMAS).read_text())],
        "/api/v1/namespaces": [
            namespace("shop", change_policy="board", ring="3"),
            namespace("pay", change_policy="board"),
            namespace("monitoring", change_policy="board"),
            namespace("free", ring="3"),
        ],
    }
    for each in stored["/api/v1/namespaces"]:
        stored[f"/api/v1/namespaces/{each['metadata']['name']}"] = each

    def answered(_: Cluster, path: str, what: str, *_of: str, **_query: str) -> Any:
        if path not in stored:
            raise NotFound(f"{what}: not found")
        return stored[path]

    monkeypatch.setattr(Cluster, "__init__", lambda *_of, **_more: None)
    monkeypatch.setattr(Cluster, "get", answered)
    monkeypatch.setattr(Cluster, "list", answered)
    return stored


def test_of_a_cluster_the_namespaces_that_carry_a_policy_are_asked_about(cluster: Any) -> None:
    assert [(each["namespaces"], each["rings"]) for each in listed(*EVE)] == [
        (["pay", "shop"], [3, 4])
    ]
    assert [each["namespaces"] for each in listed("-n", "shop", *EVE)] == [["shop"]]
    assert listed("-n", "free", *EVE, code=0) == []
    assert listed("-n", "monitoring", *EVE, code=0) == []
    assert "namespace gone" in run("freeze", "list", "-n", "gone", *EVE, code=4).stderr


def test_a_namespace_that_is_still_to_come_is_asked_about_by_its_labels(cluster: Any) -> None:
    words = ("-n", "new", "--namespace-label", "cabgate.dev/change-policy=board")
    assert [each["namespaces"] for each in listed(*words, *EVE)] == [["new"]]


def test_freezes_that_cannot_be_read_are_no_answer(cluster: Any) -> None:
    del cluster["/apis/cabgate.dev/v1alpha1/changefreezes"]
    assert run("freeze", "list", *EVE, code=4).stdout == ""


MISSPELT = """\
apiVersion: cabgate.dev/v1alpha1
kind: ChangeFreeze
metadata: {name: A}
spec: {kind: Thaw}
"""


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("-f", CHRISTMAS), "", "holds no such namespace; allowed: its manifest, or -n NAME with"),
        (("-f", CHRISTMAS, "-n", "shop"), "", "holds no such namespace"),
        (("-f", CHRISTMAS, "--namespace-label", "a=b"), "", "--namespace-label: of which"),
        (("-f", CHRISTMAS, "-n", "shop", "--namespace-label", "a"), "", "not a label"),
        (("-f", CHRISTMAS, "-n", "Shop"), "", "'Shop' cannot be a namespace"),
        (("-f", "-", *BOARD), "kind: Namespace\n", "holds no ChangeFreeze"),
        (("-f", "-", *BOARD), MISSPELT, "standard input: metadata.name: 'A' cannot be a name"),
        (("-f", "-", *BOARD), MISSPELT, "standard input: spec.kind: 'Thaw'; allowed"),
        (("-f", CHRISTMAS, *BOARD, "--at", "soon"), "", "--at"),
        (("-f", CHRISTMAS, *BOARD, "--context", "x"), "", "not both"),
        (
            ("-f", "-", "-f", CHRISTMAS),
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: [1]}\n",
            "metadata.labels: allowed: texts by name",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(words: Any, stdin: str, said: str) -> None:
    assert said in run("freeze", "list", *words, stdin=stdin, code=2).stderr
