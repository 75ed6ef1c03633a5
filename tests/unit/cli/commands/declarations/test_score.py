# SPDX-License-Identifier: Apache-2.0
"""`cabgate score`: the same bytes every time, and every mistake told by its path."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cabgate.api import DeploymentIntent
from cabgate.lifecycle.requests.assessment import assessment_of
from cabgate.risk.evidence import evidence_digest
from support.examples import examples
from unit.cli.support import EXAMPLES, ROOT, changed, example, run

AUTO = str(EXAMPLES / "auto-approve" / "intent.yaml")
E = "spec.evidence."


@pytest.mark.parametrize(
    ("name", "gate", "low", "high"),
    [
        ("auto-approve", "AutoApprove", 0, 20),
        ("manual-review", "ManualReview", 50.01, 75),
        ("exception-required", "ExceptionRequired", 75.01, 100),
        ("kustomization", "AutoApprove", 0, 20),
    ],
)
def test_each_example_scores_to_its_gate(name: str, gate: str, low: float, high: float) -> None:
    found = json.loads(run("score", "-f", EXAMPLES / name / "intent.yaml", "-o", "json").stdout)

    assert found["gate"] == gate
    assert low <= float(found["score"]) <= high
    # The demo shows what the score does, so no floor lifts the gate.
    assert found["assessment"]["gate"] == gate
    if gate != "ExceptionRequired":
        assert found["assessment"]["floors"] == []


def test_the_example_of_an_exception_names_the_request_of_its_example() -> None:
    path = EXAMPLES / "exception-required" / "intent.yaml"
    wanted = json.loads(run("score", "-f", path, "-o", "json").stdout)["requestName"]
    exception = yaml.safe_load((EXAMPLES / "exception" / "exception.yaml").read_text())
    assert exception["spec"]["requestRef"]["name"] == wanted
    assert exception["metadata"]["name"] == wanted


@pytest.mark.parametrize(
    "name", ["auto-approve", "manual-review", "exception-required", "kustomization"]
)
def test_the_images_of_an_example_are_those_of_its_workload(name: str) -> None:
    folder = EXAMPLES / name
    made = json.loads(
        run("intent", "-f", folder / "deployment.yaml", "-n", "x", "-o", "json").stdout
    )
    [declared], [found] = example(name)["spec"]["targets"], made["spec"]["targets"]
    assert {**declared, "images": sorted(declared["images"])} == found


def test_the_table_is_for_people() -> None:
    output = run("score", "-f", EXAMPLES / "exception-required" / "intent.yaml").stdout

    assert all(len(line) <= 100 and line == line.rstrip() for line in output.splitlines())
    for text in (
        "DeploymentIntent ledger",
        "Score        82.50 of 100",
        "Gate         ExceptionRequired: only an exception",
        "FailedTests: 4 tests failed (at least ManualReview)",
        "Missing      scanResults, deploymentPlan, manualTesting.status",
        "To go lower  ManualReview (score 75.00, allowed up to 75.00) would take",
        "- manualTesting from missing to InProgress",
        "Digest       v1:sha256:",
    ):
        assert text in output


def test_every_format_says_the_same_as_the_domain() -> None:
    intent = DeploymentIntent.model_validate(example())
    machine = json.loads(run("score", "-f", AUTO, "-o", "json").stdout)

    assert yaml.safe_load(run("score", "-f", AUTO, "-o", "yaml").stdout) == machine
    assert machine["evidenceDigest"] == evidence_digest(intent.spec)
    assert machine["assessment"] == assessment_of(intent.spec).model_dump(
        mode="json", by_alias=True
    )
    assert machine["nextLowerGate"] is None


def test_the_way_down_is_told_to_machines_too() -> None:
    path = EXAMPLES / "manual-review" / "intent.yaml"
    way = json.loads(run("score", "-f", path, "-o", "json").stdout)["nextLowerGate"]
    assert way == {
        "gate": "AutoApprove",
        "score": "50.00",
        "changes": [{"factor": "testCoverage", "observed": "74 %", "to": "80..90 %"}],
        "floors": [],
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", [[], ["-o", "json"], ["-o", "yaml"]])
def test_the_bytes_are_the_same_in_any_surroundings(form: list[str]) -> None:
    def output(**env: str) -> bytes:
        command = [sys.executable, "-m", "cabgate_cli", "score", "-f", AUTO, *form]
        base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        return subprocess.run(command, env=base | env, capture_output=True, check=True).stdout

    one = output(COLUMNS="40", PYTHONHASHSEED="1", TZ="Asia/Tokyo", LC_ALL="C")
    two = output(COLUMNS="400", PYTHONHASHSEED="2", TZ="UTC", LC_ALL="C.UTF-8", TERM="xterm")
    assert one == two
    assert one == run("score", "-f", AUTO, *form).stdout_bytes


def test_the_order_of_a_file_does_not_change_the_score() -> None:
    content = example()
    turned = yaml.safe_dump(content, sort_keys=True)
    assert run("score", "-f", "-", stdin=turned).stdout == run("score", "-f", AUTO).stdout


@pytest.mark.slow
def test_scoring_imports_no_client() -> None:
    code = (
        "import sys; from cabgate_cli.main import main\n"
        f"main(['score', '-f', {AUTO!r}], standalone_mode=False)\n"
        "assert not {'kubernetes', 'urllib3', 'kopf', 'aiohttp'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_an_object_that_kubectl_printed_is_scored() -> None:
    content = example()
    content["metadata"] |= {
        "uid": "1",
        "generation": 3,
        "managedFields": [{"manager": "kubectl"}],
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"a": "b"},
        "namespace": "shop",
    }
    content["spec"]["submittedBy"] = [{"username": "ann", "uid": "1"}]
    content["status"] = {"state": "Approved", "whatever": [1]}
    output = run("score", "-f", "-", stdin=json.dumps(content, indent="\t")).stdout

    assert output.replace(" in namespace shop", "") == run("score", "-f", AUTO).stdout


def test_several_intents_are_each_printed() -> None:
    text = "---\n".join((EXAMPLES / n / "intent.yaml").read_text() for n in
                        ("auto-approve", "manual-review"))  # fmt: skip
    text += "---\n" + (EXAMPLES / "auto-approve" / "deployment.yaml").read_text() + "---\n"
    table = run("score", "-f", "-", stdin=text).stdout
    assert table.count("DeploymentIntent ") == 2

    documents = run("score", "-f", "-", "-o", "yaml", stdin=text).stdout
    assert [d["intent"] for d in yaml.safe_load_all(documents)] == ["checkout", "orders"]
    listed = {"apiVersion": "v1", "kind": "List", "items": list(yaml.safe_load_all(text))[:2]}
    stream = run("score", "-f", "-", "-o", "json", stdin=json.dumps(listed)).stdout
    first, end = json.JSONDecoder().raw_decode(stream)
    assert first["intent"] == "checkout"
    assert json.loads(stream[end:])["intent"] == "orders"
    assert run("score", "-f", AUTO, "-f", AUTO).stdout.count("Score ") == 2


@pytest.mark.parametrize(
    ("value", "path", "says"),
    [
        (101, ("spec", "evidence", "testResults", "coveragePercent"),
         E + "testResults.coveragePercent: 101 is too high; allowed: 100 or less"),
        (-1, ("spec", "evidence", "testResults", "passed"),
         E + "testResults.passed: -1 is too low; allowed: 0 or more"),
        ("12", ("spec", "evidence", "testResults", "passed"),
         E + "testResults.passed: '12' is of the wrong type; allowed: a whole number"),
        (1.5, ("spec", "evidence", "testResults", "passed"),
         E + "testResults.passed: 1.5 is of the wrong type; allowed: a whole number"),
        (True, ("spec", "evidence", "testResults", "failed"),
         E + "testResults.failed: True is of the wrong type; allowed: a whole number"),
        ("yes", ("spec", "evidence", "rollbackPlan", "validated"),
         E + "rollbackPlan.validated: 'yes' is of the wrong type; allowed: true or false"),
        ("95", ("spec", "evidence", "testResults", "coveragePercent"),
         E + "testResults.coveragePercent: '95' is of the wrong type; allowed: a number"),
        (1, ("spec", "evidence", "testResults", "coverage_percent"),
         E + "testResults.coverage_percent: unknown field; allowed: coveragePercent"),
        (1, ("spec", "evidence", "testResults", "coverage"), "(did you mean coveragePercent?)"),
        (1, ("spec", "evidence", "test_results"),
         E + "test_results: unknown field; allowed: artifacts, "),
        (1, ("spec", "targets", 0, "image"), "spec.targets[0].image: unknown field; allowed: "),
        (1, ("specs",), "specs: unknown field; allowed: apiVersion, kind, metadata, spec, status"),
        ("Done", ("spec", "evidence", "manualTesting", "status"),
         E + "manualTesting.status: 'Done'; allowed: 'Completed', 'InProgress' or 'NotStarted'"),
        ("today", ("spec", "evidence", "manualTesting", "at"),
         E + "manualTesting.at: 'today' is not a time; allowed: RFC 3339"),
        ("2026-02-27T10:00Z", ("spec", "evidence", "manualTesting", "at"), "is not a time"),
        ("20260227T100000Z", ("spec", "evidence", "manualTesting", "at"), "is not a time"),
        ("2026-02-30T10:00:00Z", ("spec", "evidence", "manualTesting", "at"), "is not a time"),
        ("", ("spec", "evidence", "manualTesting", "at"), "is not a time"),
        ("2026-02-27", ("spec", "evidence", "manualTesting", "at"), "is not a time"),
        ("2026-02-27T10:00:00", ("spec", "evidence", "manualTesting", "at"), "is not a time"),
        ("2026-02-27t10:00:00z", ("spec", "evidence", "manualTesting", "at"), "is not a time"),
        ("abc", ("spec", "evidence", "artifacts", 0, "sha256"),
         E + "artifacts[0].sha256: 'abc'; allowed: what matches ^(sha256:)?[0-9a-fA-F]{64}$"),
        (" ", ("spec", "summary"), "spec.summary: blank; allowed: text"),
        ("", ("spec", "summary"), "spec.summary: empty; allowed: at least 1 character"),
        ("x" * 4097, ("spec", "summary"),
         "spec.summary: has 4097 characters; allowed: at most 4096 characters"),
        ("-x", ("spec", "correlationID"), "spec.correlationID: '-x'; allowed: what matches"),
        ([], ("spec", "targets"), "spec.targets: empty; allowed: at least 1 entry"),
        ({}, ("spec", "targets"), "spec.targets: {} is of the wrong type; allowed: a list"),
        ([1], ("spec", "targets"), "spec.targets[0]: 1 is of the wrong type; allowed: an object"),
        (["a"] * 51, ("spec", "targets", 0, "images"),
         "spec.targets[0].images: has 51 entries; allowed: at most 50 entries"),
        (["a", "b", "a"], ("spec", "targets", 0, "images"),
         "spec.targets[0].images: duplicate value 'a' (2 times); allowed: once"),
        ([{"name": "a"}, {"name": "a"}], ("spec", "evidence", "artifacts"),
         E + "artifacts: duplicate value 'a' (2 times); allowed: once"),
        ([{"username": "a"}, {"username": "a"}], ("spec", "submittedBy"),
         "spec.submittedBy: duplicate value 'a'"),
        (..., ("spec", "targets"), "spec.targets: absent; allowed: a value, it is required"),
        (..., ("spec",), "spec: absent"),
        ([], ("spec",), "spec: [] is of the wrong type; allowed: an object"),
        (..., ("metadata", "name"), "metadata.name: absent"),
        ("A_b", ("metadata", "name"), "metadata.name: 'A_b' cannot be a name; allowed: lower-case"),
        ("a" * 201, ("metadata", "name"), "metadata.name: has 201 characters; allowed"),
        (7, ("metadata", "name"), "metadata.name: 7 is of the wrong type; allowed: text"),
        ("a.b", ("metadata", "namespace"), "metadata.namespace: 'a.b' cannot be a namespace"),
        ("v1", ("apiVersion",), "apiVersion: 'v1'; allowed: cabgate.dev/v1alpha1"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_by_its_path_and_what_is_allowed(
    value: Any, path: tuple[str | int, ...], says: str
) -> None:
    result = run("score", "-f", "-", stdin=changed(value, *path), code=2)
    assert says in result.stderr
    assert result.stdout == ""


def test_a_target_that_stands_twice_is_an_error() -> None:
    targets = example()["spec"]["targets"] * 2
    result = run("score", "-f", "-", stdin=changed(targets, "spec", "targets"), code=2)
    assert "spec.targets: duplicate value 'apps/v1 Deployment checkout' (2 times)" in result.stderr


def test_every_mistake_of_every_document_is_told_at_once() -> None:
    text = changed({"passed": -1, "failed": "x"}, "spec", "evidence", "testResults")
    text += "---\n" + changed(" ", "spec", "summary", name="manual-review")
    errors = run("score", "-f", "-", stdin=text, code=2).stderr.splitlines()
    assert len(errors) == 3
    assert errors[2].startswith("standard input, document 2: spec.summary: blank")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("spec", "summary"), "spec.summary"),
        (("spec", "evidence"), "spec.evidence"),
        (("spec", "evidence", "testResults"), E + "testResults"),
        (("spec", "evidence", "testResults", "passed"), E + "testResults.passed"),
        (("spec", "targets", 0, "images", 0), "spec.targets[0].images[0]"),
        (("spec", "targets", 0, "name"), "spec.targets[0].name"),
        (("spec",), "spec"),
    ],
)
def test_a_field_without_a_value_is_an_error_as_for_the_api_server(
    path: tuple[str | int, ...], name: str
) -> None:
    error = run("score", "-f", "-", stdin=changed(None, *path), code=2).stderr
    assert f"{name}: has no value; allowed: a value, or no such line" in error
    assert len(error.splitlines()) == 1


def test_nulls_outside_of_the_spec_do_not_matter() -> None:
    content = example()
    content["metadata"] |= {"creationTimestamp": None, "namespace": None}
    content["status"] = None
    assert run("score", "-f", "-", stdin=json.dumps(content)).stdout == (
        run("score", "-f", AUTO).stdout
    )


def test_whole_numbers_may_be_written_with_a_point() -> None:
    text = (EXAMPLES / "auto-approve" / "intent.yaml").read_text()
    assert run("score", "-f", "-", stdin=text.replace("passed: 412", "passed: 412.0")).stdout == (
        run("score", "-f", AUTO).stdout
    )


def test_a_time_without_quotes_is_text_as_for_kubectl() -> None:
    text = (EXAMPLES / "auto-approve" / "intent.yaml").read_text().replace('"2026', "2026")
    assert run("score", "-f", "-", stdin=text.replace('00Z"', "00Z")).stdout == (
        run("score", "-f", AUTO).stdout
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "standard input: holds no object"),
        ("---\n---\n", "standard input: holds no object"),
        ("just text", "not a Kubernetes object (a str)"),
        ("[1, 2]", "not a Kubernetes object (a list)"),
        ("a: [", "not valid YAML: line"),
        ("a: b: c", "not valid YAML: line 1"),
        ("\tx: 1", "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("kind: DeploymentIntent\nkind: Other", "duplicate key 'kind'"),
        ('{"kind": "DeploymentIntent", "kind": "X"}', "duplicate key 'kind'"),
        ("null: x", "the key None is not a text"),
        ("1: x\n0x1: y", "duplicate key '1'"),
        ("a: .nan", "nan is not a number that JSON knows"),
        ('{"a": NaN}', "not a Kubernetes object"),
        ("kind: Service", "holds no DeploymentIntent (Service); write one: cabgate intent"),
        ("{}", "holds no DeploymentIntent (no kind)"),
        ("kind: 7", "holds no DeploymentIntent (no kind)"),
        ("kind: List\nitems: []", "holds no object"),
        ("kind: List\nitems: [1]", "items[0]: not a Kubernetes object"),
        ("[" * 5000, "nested too deeply"),
        ("a: " + "[" * 100 + "]" * 100, "nested too deeply"),
        ("a: " + "[" * 500_000 + "]" * 500_000, "nested too deeply"),
        ('{"a":' * 100 + "1" + "}" * 100, "too large"),
        ("a: &a [*a]", "too large"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"a\x00b", "not valid YAML"),
        ("x" * (32 * 1024 * 1024 + 1), "longer than 32 MiB"),
    ],
)  # fmt: skip
def test_what_is_not_an_intent_is_told_without_a_traceback(text: str | bytes, says: str) -> None:
    if text == '{"a": NaN}':
        says = "holds no DeploymentIntent"  # YAML has it as the text NaN
    assert says in run("score", "-f", "-", stdin=text, code=2).stderr


@pytest.mark.slow
def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "too large" in run("score", "-f", "-", stdin="\n".join(lines), code=2).stderr


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    missing = run("score", "-f", tmp_path / "none.yaml", code=2).stderr
    assert "none.yaml: cannot be read: No such file or directory" in missing
    assert "cannot be read: Is a directory" in run("score", "-f", tmp_path, code=2).stderr
    assert "Missing option" in run("score", code=2).stderr
    assert "'xml' is not one of" in run("score", "-f", AUTO, "-o", "xml", code=2).stderr


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**12) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_PATHS = [
    ("spec",), ("metadata",), ("spec", "targets"), ("spec", "evidence"), ("spec", "submittedBy"),
    ("spec", "targets", 0, "images"), ("spec", "evidence", "testResults"), ("apiVersion",),
    ("spec", "evidence", "artifacts"), ("metadata", "name"), ("spec", "evidence", "manualTesting"),
    ("spec", "evidence", "testResults", "coveragePercent"), ("spec", "targets", 0),
]  # fmt: skip


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(_PATHS), _JSON)
def test_whatever_stands_in_a_field_there_is_an_answer(
    path: tuple[str | int, ...], value: Any
) -> None:
    content = example()
    here: Any = content
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    from click.testing import CliRunner

    from cabgate_cli.main import main

    result = CliRunner().invoke(main, ["score", "-f", "-"], input=json.dumps(content))
    assert result.exit_code in (0, 2)
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_the_examples_are_named_in_their_readme() -> None:
    text = (EXAMPLES / "README.md").read_text()
    for folder in EXAMPLES.iterdir():
        assert not folder.is_dir() or f"`{folder.name}`" in text
    assert ROOT / "examples" == EXAMPLES
