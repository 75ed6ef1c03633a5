# SPDX-License-Identifier: Apache-2.0
"""Files as other projects write them: what kubectl reads, cabgate reads."""

import json

import pytest
import yaml

from cabgate.api.types import MAX_DECLARED_TARGETS
from cabgate.gate.commands import can_be_pasted
from cabgate_cli.input.files.documents import documents_in
from cabgate_samples.models import NOW, rollout
from unit.cli.support import ROOT, changed, manifest, run
from unit.core.standings import decide

# As kubectl 1.36 reads it: `kubectl label --local -f FILE a=b -o json`.
READ = [
    ("{a: =}", {"a": "="}),
    ("{9000: x, 0x10: h, -0: z}", {"9000": "x", "16": "h", "0": "z"}),
    ("{1.5: x, 10.0: v, -.5: z, 1e21: l}", {"1.5": "x", "10": "v", "-0.5": "z", "1e+21": "l"}),
    ("{100000000000000000000: b, .inf: c}", {"1e+20": "b", ".inf": "c"}),
    ("{true: x, off: q}", {"true": "x", "false": "q"}),
    ("{y: 1, N: 2}", {"true": 1, "false": 2}),
    ("<<", "<<"),
    ("!!binary aGVsbG8=", "hello"),
    ("!Ref foo", "foo"),
    ("!Foo {a: b}", {"a": "b"}),
    ("!!set {a, b}", {"a": None, "b": None}),
    ("!!omap [a: 1]", [{"a": 1}]),
    ("!!timestamp 2001-01-01", "2001-01-01"),
    ("2001-01-01", "2001-01-01"),
    ("12:30", "12:30"),
    ("0o17", 15),
    ("0777", 511),
    ("1e400", "1e400"),
    ("x\t", "x"),
    ("\tx", "x"),
    ("{a: b,\tc: e}", {"a": "b", "c": "e"}),
    ("{<<: {a: 1, b: 2}, b: 3}", {"a": 1, "b": 3}),
]


@pytest.mark.parametrize(("text", "value"), READ)
def test_a_value_is_read_as_kubectl_reads_it(text: str, value: object) -> None:
    [document] = documents_in(f"kind: X\nvalue: {text}\n", "file")
    assert document.content["value"] == value


def test_a_key_that_is_nothing_is_told() -> None:
    said = run("score", "-f", "-", stdin="a: {null: x}", code=2).stderr
    assert "line 1, column 5: the key None is not a text" in said


def test_a_bundle_of_several_mib_is_read() -> None:
    crd = (ROOT / "crds" / "cabrequests.cabgate.dev.yaml").read_text()
    bundle = "---\n".join([crd] * (7 * 1024 * 1024 // 2 // len(crd)) + [manifest()])
    intent = yaml.safe_load(run("intent", "-n", "shop", "-f", "-", stdin=bundle).stdout)
    assert [target["name"] for target in intent["spec"]["targets"]] == ["web"]


def test_of_several_namespaces_one_is_selected() -> None:
    two = manifest(namespace="a") + "---\n" + manifest(name="db", namespace="b")
    two += "---\n" + manifest(name="free")
    done = run("intent", "-f", "-", "-n", "b", stdin=two)
    intent = yaml.safe_load(done.stdout)
    assert [target["name"] for target in intent["spec"]["targets"]] == ["db", "free"]
    assert intent["metadata"]["namespace"] == "b"
    assert "left out, not of namespace b: what is of a" in done.stderr
    said = run("intent", "-f", "-", stdin=two, code=2).stderr
    assert "for the namespaces a, b; an intent covers only its own: select one with" in said


def test_more_workloads_than_an_intent_names_are_split() -> None:
    many = "---\n".join(manifest(name=f"w{n:03}") for n in range(2 * MAX_DECLARED_TARGETS + 1))
    done = run("intent", "-n", "shop", "-f", "-", "--name", "shop", stdin=many)
    intents = list(yaml.safe_load_all(done.stdout))
    assert [obj["metadata"]["name"] for obj in intents] == ["shop-1", "shop-2", "shop-3"]
    assert [len(obj["spec"]["targets"]) for obj in intents] == [
        MAX_DECLARED_TARGETS,
        MAX_DECLARED_TARGETS,
        1,
    ]
    assert "3 intents, shop-1, shop-2, shop-3." in done.stderr
    listed = run("intent", "-n", "shop", "-f", "-", "-o", "json", stdin=many).stdout
    assert [len(obj["spec"]["targets"]) for obj in json.loads(listed)["items"]][-1] == 1
    assert run("score", "-f", "-", stdin=listed).stdout.count("DeploymentIntent w000-") == 3


def test_a_prefix_of_a_digest_says_nothing_more() -> None:
    path = ("spec", "evidence", "testResults", "sha256")

    def digest(value: str) -> str:
        done = run("score", "-o", "json", "-f", "-", stdin=changed(value, *path))
        return str(json.loads(done.stdout)["evidenceDigest"])

    assert digest("sha256:" + "a" * 64) == digest("a" * 64)
    assert (
        "sha256" in run("score", "-f", "-", stdin=changed("md5:" + "a" * 64, *path), code=2).stderr
    )


@pytest.mark.parametrize("coverage", [0.95, 1, 1.0, 0.001])
def test_a_coverage_that_can_be_read_in_two_ways_is_refused(coverage: float) -> None:
    path = ("spec", "evidence", "testResults", "coveragePercent")
    said = run("score", "-f", "-", stdin=changed(coverage, *path), code=2).stderr
    assert "coveragePercent: " in said
    assert "as a share (0.95 is 95 percent: write 95) and as percent" in said
    for taken in (0, 1.01, 95):
        run("score", "-f", "-", stdin=changed(taken, *path))


@pytest.mark.parametrize("image", [" ", "\u3000"])
def test_a_blank_image_is_told_and_no_command_is_shown_that_fails(image: str) -> None:
    assert not can_be_pasted(image)
    said = decide(rollout("web:1", image), 2, [], [], NOW).message
    assert "an image that is blank, which no intent can name" in said
    assert "cabgate intent" not in said
