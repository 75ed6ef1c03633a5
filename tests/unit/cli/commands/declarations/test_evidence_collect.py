# SPDX-License-Identifier: Apache-2.0
"""`cabgate evidence collect`, as a pipeline runs it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from unit.cli.support import ROOT, run
from unit.collect.described import CORPUS

DIGEST = "sha256:" + "1f2e3d4c" * 8
IMAGE = f"registry.example.com/checkout@{DIGEST}"
OTHER = "registry.example.com/checkout@sha256:" + "0" * 64
COMMIT = "1f2e3d4c5b6a79880102030405060708090a0b0c"
PASSING = "junit/pytest-all-pass.xml"
FAILING = "junit/pytest.xml"
SCAN = "trivy/image-form.json"


def path(name: str) -> str:
    return str(CORPUS / name)


def collected(*args: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run("evidence", "collect", *args, "-o", "json", **more).stdout
    )
    return found


def an_intent(folder: Path, image: str = IMAGE, *, plain: bool = False) -> Path:
    text = run("intent", "-n", "shop", "deploy/checkout", "--image", image).stdout
    file = folder / "intent.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(text)) if plain else text)
    return file


def test_reports_become_evidence_as_an_intent_has_it() -> None:
    coverage = path("cobertura/coverage-py.xml")
    given = ("--junit", path(FAILING), "--cobertura", coverage, "--trivy", path(SCAN))
    result = run("evidence", "collect", *given, "--image", IMAGE)
    evidence = yaml.safe_load(result.stdout)["evidence"]
    tests, scan = evidence["testResults"], evidence["scanResults"]
    assert tests.pop("sha256")
    assert tests == {"coveragePercent": 60.0, "passed": 7, "failed": 5, "skipped": 3}
    own = hashlib.sha256((CORPUS / SCAN).read_bytes()).hexdigest()
    assert scan == {"critical": 1, "high": 1, "medium": 1, "low": 1, "scanner": "trivy",
                    "sha256": own}  # fmt: skip
    assert {"name": f"trivy {path(SCAN)}", "sha256": own, "images": [IMAGE]} in evidence[
        "artifacts"
    ]


def test_json_and_yaml_tell_each_report_and_each_note() -> None:
    args = ["--junit", path(FAILING), "--junit", path("junit/pytest-no-tests.xml")]
    as_json = collected(*args)
    as_yaml = yaml.safe_load(run("evidence", "collect", *args, "-o", "yaml").stdout)
    assert as_json == as_yaml
    first, second = as_json["reports"]
    assert first["counted"]
    assert first["tests"] == {"passed": 7, "failed": 5, "skipped": 3}
    assert not second["counted"]
    assert second["reason"] == "holds no test case"
    assert any("suites say more tests than they list" in note for note in as_json["notes"])


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--trivy", path(SCAN), "--image", OTHER], "is of another image"),
        (
            ["--trivy", path("trivy/filesystem-form.json"), "--image", IMAGE],
            "does not say of which",
        ),
        (
            ["--sarif", path("sarif/codeql-form.sarif"), "--commit", "0" * 40],
            "is of another commit",
        ),
        (["--junit", path("junit/ctest-form.xml"), "--max-age", "1h"], "is too old"),
        (["--junit", path("junit/node-test.xml"), "--max-age", "1h"], "does not say when"),
        (["--junit", path("junit/pytest-no-tests.xml")], "holds no test case"),
        (["--jacoco", path("jacoco/schema-no-lines.xml")], "counts 0 lines"),
        (
            ["--sarif", path("sarif/schema-did-not-end-well.sarif")],
            "says that tool did not end well",
        ),
    ],
)
def test_a_report_that_does_not_count_is_told_and_never_counted(args: list[str], why: str) -> None:
    result = run("evidence", "collect", *args)
    assert yaml.safe_load(result.stdout) == {"evidence": {}}
    assert f"does not count: {why}" in result.stderr
    assert "is missing: no report that counts says it" in result.stderr


def test_the_commit_that_is_asked_for_counts() -> None:
    found = collected("--sarif", path("sarif/codeql-form.sarif"), "--commit", COMMIT)
    assert found["evidence"]["scanResults"]["critical"] == 1


@pytest.mark.parametrize("name", ["junit/bad-cut-off.xml", "junit/bad-entities.xml"])
def test_a_report_that_cannot_be_read_ends_with_2_and_prints_no_evidence(name: str) -> None:
    result = run("evidence", "collect", "--junit", path(PASSING), "--junit", path(name), code=2)
    assert result.stdout == ""
    assert f"--junit: {path(name)}: " in result.stderr


def test_each_problem_is_told_at_once(tmp_path: Path) -> None:
    result = run("evidence", "collect", "--junit", path("junit/bad-html.xml"), "--sarif",
                 str(tmp_path / "*.sarif"), "--trivy", path(SCAN), code=2)  # fmt: skip
    assert "known formats: --junit (JUnit XML), --cobertura" in result.stderr
    assert "--sarif: no file matches" in result.stderr
    assert "--image: absent, and a report is about one image" in result.stderr


def test_a_report_given_for_another_format_is_told_what_it_looks_like() -> None:
    result = run("evidence", "collect", "--junit", path("jacoco/jacoco.xml"), code=2)
    assert "it looks like JaCoCo XML: give it with --jacoco" in result.stderr


def test_an_unknown_format_names_the_known_ones() -> None:
    result = run("evidence", "collect", "--grype", "grype.json", code=2)
    assert (
        "--grype: no such option; known formats of reports: --junit, --cobertura" in result.stderr
    )


def test_a_pattern_that_the_shell_took_apart_is_explained() -> None:
    result = run("evidence", "collect", "--junit", "a.xml", "b.xml", code=2)
    assert "a pattern in quotes" in result.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "nothing to read"),
        (["--junit", "a", "--image", ""], "--image: ''; allowed: an image"),
        (["--junit", "a", "--image", "a b"], "--image: 'a b'; allowed: an image"),
        (["--junit", "a", "--commit", "main"], "--commit: 'main'; allowed: a commit in full"),
        (["--junit", "a", "--changed-since", "v1"], "allowed: both, or neither"),
        (["--junit", "a", "--in-place"], "allowed: with -f FILE"),
        (["--junit", "a", "--in-place", "-f", "-"], "allowed: with -f FILE"),
        (["--junit", "a", "--max-age", "soon"], "not a duration"),
    ],
)
def test_what_is_wrong_of_the_options_is_said(args: list[str], says: str) -> None:
    assert says in run("evidence", "collect", *args, code=2).stderr


def test_patterns_take_folders_hidden_ones_and_names_with_brackets(tmp_path: Path) -> None:
    data = (CORPUS / PASSING).read_bytes()
    for number, name in enumerate(("a/b/c.xml", ".hidden/d.xml", "e[1].xml")):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data + b"\n" * number)
    found = collected("--junit", str(tmp_path / "**/*.xml"), "--junit", str(tmp_path / "e[1].xml"))
    assert found["evidence"]["testResults"]["passed"] == 6
    assert len(found["reports"]) == 3


def test_a_link_to_nothing_and_a_folder_that_is_closed_are_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.xml").write_bytes((CORPUS / PASSING).read_bytes())
    (tmp_path / "b.xml").symlink_to("gone")
    result = run("evidence", "collect", "--junit", str(tmp_path / "*.xml"), code=2)
    assert f"--junit: {tmp_path}/b.xml: cannot be read: No such file" in result.stderr
    (tmp_path / "b.xml").unlink()
    (tmp_path / "b.xml").symlink_to("b.xml")
    result = run("evidence", "collect", "--junit", str(tmp_path / "*.xml"), code=2)
    assert f"--junit: {tmp_path}/b.xml: cannot be read: " in result.stderr
    (tmp_path / "b.xml").unlink()
    (tmp_path / "closed").mkdir()
    # who is root may read it all the same
    access = os.access
    monkeypatch.setattr(
        "os.access", lambda of, mode: not str(of).endswith("/closed") and access(of, mode)
    )
    result = run("evidence", "collect", "--junit", str(tmp_path / "**/*.xml"), code=2)
    assert f"the folder {tmp_path}/closed cannot be read" in result.stderr
    assert result.stdout == ""


def test_links_that_lead_in_a_circle_have_an_end(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes((CORPUS / PASSING).read_bytes())
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(".")
    result = run("evidence", "collect", "--junit", str(tmp_path / "**/a.xml"), code=2)
    assert "matches more than 10000 files" in result.stderr


def test_a_name_that_no_file_can_have_is_told() -> None:
    assert "no file matches aaa" in run("evidence", "collect", "--junit", "a" * 5000, code=2).stderr


def test_a_folder_is_told_how_to_give_what_is_in_it(tmp_path: Path) -> None:
    result = run("evidence", "collect", "--junit", f"{tmp_path}/", code=2)
    assert f"such as '{tmp_path}/**/*.xml'" in result.stderr


def test_in_place_keeps_comments_and_what_the_team_declared(tmp_path: Path) -> None:
    file = an_intent(tmp_path)
    before = file.read_text()
    args = ("--junit", path(PASSING), "--trivy", path(SCAN), "-f", str(file), "--in-place")
    run("evidence", "collect", *args)
    after = file.read_text()
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    evidence = yaml.safe_load(after)["spec"]["evidence"]
    assert evidence["testResults"]["passed"] == 2
    assert evidence["scanResults"]["critical"] == 1
    assert [each["images"] for each in evidence["artifacts"]] == [[IMAGE]] * 3
    run("evidence", "collect", *args)
    assert file.read_text() == after


def test_comments_stay_from_release_to_release(tmp_path: Path) -> None:
    file = an_intent(tmp_path, OTHER)
    comments = [line for line in file.read_text().splitlines() if "#" in line]
    run("evidence", "collect", "--junit", path(PASSING), "-f", str(file), "-i")
    # the next image has no evidence yet
    run("intent", "-n", "shop", "deploy/checkout", "--image", IMAGE, "--update", str(file), "-i")
    assert yaml.safe_load(file.read_text())["spec"]["evidence"] == {}
    run("evidence", "collect", "--junit", path(FAILING), "-f", str(file), "-i")
    after = file.read_text()
    assert yaml.safe_load(after)["spec"]["evidence"]["testResults"]["failed"] == 5
    assert [line for line in comments if line not in after.splitlines()] == []


def test_an_empty_value_keeps_the_comment_behind_it(tmp_path: Path) -> None:
    file = an_intent(tmp_path, plain=True)
    content = yaml.safe_load(file.read_text())
    content["spec"]["evidence"] = {}
    text = yaml.safe_dump(content)
    file.write_text(text.replace("evidence: {}", "evidence: {}  # by the pipeline"))
    run("evidence", "collect", "--junit", path(PASSING), "-f", str(file), "-i")
    after = file.read_text()
    assert "\n  evidence:  # by the pipeline\n    artifacts:\n" in after
    assert yaml.safe_load(after)["spec"]["evidence"]["testResults"]["passed"] == 2


def test_what_was_declared_of_a_part_does_not_stay_beside_what_is_read(tmp_path: Path) -> None:
    file = an_intent(tmp_path, OTHER, plain=True)
    content = yaml.safe_load(file.read_text())
    evidence = content["spec"]["evidence"]
    evidence |= {
        "testResults": {
            "coveragePercent": 99.0,
            "passed": 9,
            "failed": 0,
            "uri": "https://a.example",
        },
        "scanResults": {"critical": 0, "high": 0},
        "rollbackPlan": {"validated": True},
    }
    evidence["artifacts"].append({"name": "junit old.xml", "sha256": "0" * 64})
    file.write_text(yaml.safe_dump(content))
    made = yaml.safe_load(
        run("evidence", "collect", "--junit", path(FAILING), "--trivy", path(SCAN),
            "-f", str(file)).stdout
    )["spec"]["evidence"]  # fmt: skip
    assert {"passed": 7, "failed": 5, "skipped": 3}.items() <= made["testResults"].items()
    assert "coveragePercent" not in made["testResults"]
    assert "scanResults" not in made
    assert made["rollbackPlan"] == {"validated": True}
    assert "junit old.xml" not in [each["name"] for each in made["artifacts"]]


def test_it_composes_with_intent_and_score_in_one_pipe() -> None:
    text = run("intent", "-n", "shop", "deploy/checkout", "--image", IMAGE).stdout
    with_it = run("evidence", "collect", "--junit", path(FAILING), "-f", "-", stdin=text).stdout
    assert "FailedTests" in run("score", "-f", "-", stdin=with_it).stdout
    assert yaml.safe_load(with_it)["kind"] == "DeploymentIntent"


def test_an_image_of_the_intent_without_a_scan_has_no_evidence(tmp_path: Path) -> None:
    file = an_intent(tmp_path, plain=True)
    content = yaml.safe_load(file.read_text())
    content["spec"]["targets"][0]["images"].append(OTHER)
    content["spec"]["evidence"]["artifacts"][0]["images"].append(OTHER)
    file.write_text(yaml.safe_dump(content))
    result = run("evidence", "collect", "--trivy", path(SCAN), "-f", str(file))
    assert f"no scan that counts is of {OTHER}" in result.stderr
    assert "ImagesWithoutEvidence" in run("score", "-f", "-", stdin=result.stdout).stdout
    # nor if only the image with a scan is asked for
    args = ("--trivy", path(SCAN), "--image", IMAGE, "-f", str(file))
    result = run("evidence", "collect", *args)
    assert f"no scan that counts is of {OTHER}" in result.stderr
    assert "ImagesWithoutEvidence" in run("score", "-f", "-", stdin=result.stdout).stdout


def test_the_scan_of_another_image_goes_into_no_intent(tmp_path: Path) -> None:
    file = an_intent(tmp_path, OTHER)
    before = file.read_text()
    args = ("--trivy", path(SCAN), "--image", IMAGE, "-f", str(file), "--in-place")
    result = run("evidence", "collect", *args, code=2)
    assert f"--image: {IMAGE}: no target of -f has this image; allowed: {OTHER}" in result.stderr
    assert file.read_text() == before


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, value in (("NAME", "a"), ("EMAIL", "a@example.com")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    git("init", "-q", ".")
    for file in ("services/a/x.py", "services/b/y.py", "lib/z.py", "README.md"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("1")
    (tmp_path / "components.yaml").write_text(
        'components:\n  a: ["services/a/**"]\n  b: [services/b]\n'
    )
    git("add", "."), git("commit", "-qm", "first"), git("tag", "v1")
    return tmp_path


def git(*args: str) -> None:
    subprocess.run(["git", *args], check=True, capture_output=True)


def test_components_are_counted_by_what_changed(repository: Path) -> None:
    (repository / "services/a/x.py").write_text("2")
    (repository / "services/b/y.py").rename(repository / "lib/moved.py")
    git("add", "-A"), git("commit", "-qm", "second")
    args = ("--changed-since", "v1", "--components", "components.yaml")
    result = run("evidence", "collect", *args)
    # a, b (what is moved away is a change there) and the folder lib
    assert yaml.safe_load(result.stdout)["evidence"] == {"scope": {"affectedComponents": 3}}
    assert "of no component, so that each folder counts as one: lib" in result.stderr


def test_what_git_is_told_to_leave_out_changed_all_the_same(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / ".gitmodules").write_text(
        '[submodule "lib/sub"]\n path = lib/sub\n url = https://a.example\n ignore = all\n'
    )
    git("add", ".gitmodules")
    git("update-index", "--add", "--cacheinfo", f"160000,{COMMIT},services/b/sub")
    git("config", "-f", ".gitmodules", "submodule.lib/sub.path", "services/b/sub")
    git("add", ".gitmodules"), git("commit", "-qm", "sub"), git("tag", "v2")
    git("config", "diff.relative", "true"), git("config", "diff.ignoreSubmodules", "all")
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},services/b/sub")
    (repository / "lib/z.py").write_text("2")
    git("add", "lib"), git("commit", "-qm", "third")
    monkeypatch.chdir(repository / "services")
    found = collected("--changed-since", "v2", "--components", "../components.yaml")
    assert found["evidence"] == {"scope": {"affectedComponents": 2}}  # b, and the folder lib


@pytest.mark.parametrize("ref", ["v9", "--output=/tmp/x", "v1..v1", ""])
def test_a_commit_that_git_does_not_know_is_refused(repository: Path, ref: str) -> None:
    result = run("evidence", "collect", "--changed-since", ref, "--components",
                 "components.yaml", code=2)  # fmt: skip
    assert "git knows no such commit here" in result.stderr


@pytest.mark.parametrize("text", ["a: [b]", "components: {}", "components: {a: b}", "- a", "{}",
                                  "components: {a: []}", "components: {a: [1]}"])  # fmt: skip
def test_a_file_of_components_that_is_none_is_refused(repository: Path, text: str) -> None:
    (repository / "c.yaml").write_text(text)
    args = ("--changed-since", "v1", "--components", "c.yaml")
    assert "--components: c.yaml: " in run("evidence", "collect", *args, code=2).stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "modules",
    ["cabgate_cli.main", "cabgate_cli.commands.declarations.evidence", "cabgate_operator.main",
     "cabgate_webhook.main"],
)  # fmt: skip
def test_nothing_else_imports_what_reads_reports(modules: str) -> None:
    look = f"import sys, {modules}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", look], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert {"cabgate_collect", "defusedxml"} & set(done.stdout.split()) == set()
