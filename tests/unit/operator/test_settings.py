# SPDX-License-Identifier: Apache-2.0
import json
import logging

import pytest

from cabgate_kube.process.logs import set_up_logging
from cabgate_kube.process.settings import SettingsError, read_settings
from cabgate_operator import main as process
from cabgate_operator.settings import Settings


def read(arguments: list[str]) -> Settings:
    return read_settings(Settings, arguments, "cabgate-operator")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in Settings.model_fields:
        monkeypatch.delenv(f"CABGATE_{key.upper()}", raising=False)


def test_an_option_wins_over_a_variable_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CABGATE_KEEP_APPROVED", "7")
    monkeypatch.setenv("CABGATE_SWEEP_SECONDS", "30")
    settings = read(["--sweep-seconds", "60"])
    assert (settings.keep_approved, settings.sweep_seconds, settings.workers) == (7, 60.0, 16)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CABGATE_SWEEP_SECOND", "30", "CABGATE_SWEEP_SECOND: no such setting"),
        ("CABGATE_SWEEP_SECONDS", "0", "--sweep-seconds (CABGATE_SWEEP_SECONDS): "),
        ("CABGATE_DEFAULT_RING", "5", "--default-ring (CABGATE_DEFAULT_RING): "),
        ("CABGATE_LOG_FORMAT", "xml", "--log-format (CABGATE_LOG_FORMAT): "),
    ],
)
def test_what_cannot_be_is_refused_and_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        read([])
    assert str(caught.value).startswith(said)


def test_what_kubernetes_sets_for_a_service_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CABGATE_OPERATOR_SERVICE_HOST", "10.0.0.7")
    monkeypatch.setenv("CABGATE_OPERATOR_PORT", "tcp://10.0.0.7:8080")
    assert read([]) == Settings()


def ended(capsys: pytest.CaptureFixture[str], words: list[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as end:
        process.main(words)
    said = capsys.readouterr()
    return end.value.code, said.out + said.err


def test_every_key_is_an_option_that_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = ended(capsys, ["--help"])
    assert code == 0
    for key, field in Settings.model_fields.items():
        assert f"--{key.replace('_', '-')}" in text
        assert field.description
    assert "CABGATE_KEEP_APPROVED" in text
    assert "tuple[" not in text


def test_a_flag_is_an_option_and_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read([]).manage_certificates
    assert read(["--manage-certificates"]).manage_certificates
    monkeypatch.setenv("CABGATE_MANAGE_CERTIFICATES", "true")
    assert read([]).manage_certificates


@pytest.mark.parametrize("words", [["--sweep-seconds", "0"], ["--workers", "x"], ["--nonsense"]])
def test_a_bad_command_line_ends_the_process_with_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = ended(capsys, words)
    assert code == 2
    assert words[0] in text


def test_a_bad_variable_ends_the_process_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CABGATE_WORKER", "8")
    assert ended(capsys, []) == (2, "cabgate-operator: CABGATE_WORKER: no such setting\n")


def test_what_libraries_log_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        set_up_logging("json")
        logging.getLogger("kopf.reactor").error("a watch broke\nand more")
        logging.getLogger("kopf.reactor").warning("noise")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    line = json.loads(capsys.readouterr().err)
    assert (line["logger"], line["level"]) == ("kopf.reactor", "error")
    assert line["message"] == "a watch broke\nand more"
