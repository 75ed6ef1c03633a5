# SPDX-License-Identifier: Apache-2.0
"""`cabgate evidence keygen`, `sign` and `verify`: from a key to what the cluster will see."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cabgate_cli.main import main
from cabgate_samples.objects import GOOD
from unit.core.risk.signing import IMAGE, OTHER_IMAGE, P256, pem, unsigned


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with an intent, a key, and the signer that trusts it."""
    write(tmp_path / "intent.yaml", declared())
    made = run("keygen", "ci", "--key", tmp_path / "key", "--speaks-in", "shop")
    assert made.exit_code == 0, made.output
    (tmp_path / "signer.yaml").write_text(made.stdout)
    return tmp_path


def run(*args: Any, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["evidence", *map(str, args)], input=stdin)


def write(path: Path, body: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(body))


def declared(*images: str, **evidence: Any) -> dict[str, Any]:
    made = unsigned({**GOOD, **evidence}, *images)
    return {
        "apiVersion": "cabgate.dev/v1alpha1",
        "kind": "DeploymentIntent",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": made.spec.to_dict(),
    }


def sign(place: Path, *args: Any, key: str = "key") -> Result:
    return run("sign", "--key", place / key, "-f", place / "intent.yaml", *args)


def verified(place: Path, *args: Any) -> tuple[int, dict[str, str]]:
    files = ("-f", place / "intent.yaml", "--signer", place / "signer.yaml")
    found = run("verify", *files, "-o", "json", *args)
    assert found.exit_code in (0, 1), found.output
    seen = json.loads(found.stdout)["provenance"]
    return found.exit_code, {each["section"]: each["state"] for each in seen}


def test_what_the_pipeline_read_is_signed_and_verified(place: Path) -> None:
    assert sign(place, "-i", "--commit", "c" * 40).exit_code == 0
    code, found = verified(place, "--commit", "c" * 40)
    assert code == 0
    parts = ("artifacts", "testResults", "scanResults", "scope")
    assert {part for part, state in found.items() if state == "Verified"} == set(parts)
    assert found["manualTesting"] == "Declared"
    assert verified(place, "--commit", "d" * 40)[0] == 1


def test_who_signs_figures_of_no_report_is_told(place: Path) -> None:
    """What was typed in before the pipeline ran is signed with the rest."""
    assert "testResults: signed, though it names no report" in sign(place).stderr
    assert "testResults" not in sign(place, "--section", "scope").stderr
    read = {"coveragePercent": 95, "passed": 100, "failed": 0, "sha256": "a" * 64}
    write(place / "intent.yaml", declared(testResults=read))
    assert "testResults: signed, though" not in sign(place).stderr


def test_a_figure_that_is_raised_by_hand_is_found_out(place: Path) -> None:
    sign(place, "-i")
    body = yaml.safe_load((place / "intent.yaml").read_text())
    body["spec"]["evidence"]["testResults"]["coveragePercent"] = 99
    write(place / "intent.yaml", body)
    files = ("-f", place / "intent.yaml", "--signer", place / "signer.yaml")
    found = run("verify", *files)
    assert found.exit_code == 1
    assert "testResults.coveragePercent is declared as 99, and signed as 95" in found.stdout
    # The pipeline that signs again takes the place of what it signed before.
    sign(place, "-i")
    assert verified(place)[0] == 0
    again = yaml.safe_load((place / "intent.yaml").read_text())
    assert len(again["spec"]["evidence"]["attestations"]) == 1


def test_what_others_signed_of_other_parts_stays(place: Path) -> None:
    sign(place, "-i", "--section", "manualTesting")
    sign(place, "-i")
    body = yaml.safe_load((place / "intent.yaml").read_text())
    assert len(body["spec"]["evidence"]["attestations"]) == 2


def test_the_private_key_is_its_owners_and_is_never_printed_or_overwritten(place: Path) -> None:
    key = place / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_text()
    assert "PRIVATE" not in (place / "signer.yaml").read_text()
    again = run("keygen", "ci", "--key", key, "--speaks-in", "shop")
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert key.read_text() == before


@pytest.mark.parametrize("algorithm", ["Ed25519", "P-256"])
def test_both_algorithms_work(place: Path, algorithm: str) -> None:
    other = place / "other"
    made = run("keygen", "x", "--key", other, "--speaks-in", "shop", "--algorithm", algorithm)
    (place / "signer.yaml").write_text(made.stdout)
    assert sign(place, "-i", key="other").exit_code == 0
    assert verified(place)[0] == 0


def test_a_signer_of_another_namespace_and_another_key_verify_nothing(place: Path) -> None:
    sign(place, "-i")
    for args in (("ci", "--speaks-in", "other"), ("ci", "--speaks-in", "shop")):
        made = run("keygen", "--key", place / f"key{args[-1]}", *args)
        (place / "signer.yaml").write_text(made.stdout)
        code, found = verified(place)
        assert (code, set(found.values())) == (1, {"Declared"})


REFUSED = {
    "an image without a digest": (declared("web:1"), (), "web:1 has no digest"),
    "no namespace": (
        {**declared(), "metadata": {"name": "checkout"}},
        (),
        "metadata.namespace: absent",
    ),
    "an unknown part": (declared(), ("--section", "tests"), "allowed: artifacts, testResults"),
    "a part that is not there": (declared(scope=None), ("--section", "scope"), "has no scope"),
    "half a commit": (declared(), ("--commit", "abc"), "a commit in full"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_signed_says_why_and_writes_nothing(place: Path, name: str) -> None:
    body, args, why = REFUSED[name]
    body["spec"]["evidence"] = {k: v for k, v in body["spec"]["evidence"].items() if v}
    write(place / "intent.yaml", body)
    before = (place / "intent.yaml").read_text()
    found = sign(place, "-i", *args)
    assert (found.exit_code, why in found.stderr) == (2, True), found.stderr
    assert (place / "intent.yaml").read_text() == before


def test_a_key_that_is_none_is_refused_and_not_shown(place: Path) -> None:
    (place / "odd").write_text("s3cret")
    (place / "public").write_text(pem(P256))
    for name in ("odd", "public"):
        found = sign(place, key=name)
        assert found.exit_code == 2
        assert "is no private key" in found.stderr
        assert "s3cret" not in found.output


def test_an_intent_without_signatures_is_told_how_to_get_one(place: Path) -> None:
    files = ("-f", place / "intent.yaml", "--signer", place / "signer.yaml")
    found = run("verify", *files)
    assert found.exit_code == 2
    assert "cabgate evidence sign" in found.stderr


def test_the_next_release_has_nothing_of_what_was_signed(place: Path) -> None:
    sign(place, "-i")
    body = yaml.safe_load((place / "intent.yaml").read_text())
    body["spec"]["targets"][0]["images"] = [OTHER_IMAGE]
    body["spec"]["evidence"]["artifacts"][0]["images"] = [OTHER_IMAGE]
    write(place / "intent.yaml", body)
    assert IMAGE not in (place / "intent.yaml").read_text()
    assert set(verified(place)[1].values()) == {"Declared"}
    sign(place, "-i")
    after = yaml.safe_load((place / "intent.yaml").read_text())
    assert len(after["spec"]["evidence"]["attestations"]) == 1, "the old one is taken out"
