# SPDX-License-Identifier: Apache-2.0
"""Settings: by option or variable, none guessed, none passed over."""

import pytest

from cabgate.rollout.modes import Mode
from cabgate_kube.process.settings import SettingsError, read_settings
from cabgate_webhook.settings import WebhookSettings

FILES = ("certificate", "key", "signing_key", "admission_proof")


@pytest.fixture
def files(tmp_path):
    """The options that there is no default for."""
    path = tmp_path / "file.pem"
    path.write_text("")
    return [f"--{key.replace('_', '-')}={path}" for key in FILES]


def read(arguments):
    return read_settings(WebhookSettings, arguments, "cabgate-webhook")


def refused(arguments):
    with pytest.raises(SettingsError) as error:
        read(arguments)
    return str(error.value)


def test_every_setting_is_said_what_it_is():
    for key, field in WebhookSettings.model_fields.items():
        assert field.description, key
        assert field.description.endswith("."), key


def test_what_has_no_default_is_asked_for():
    said = refused([])
    assert said.splitlines() == [
        "--certificate (CABGATE_CERTIFICATE): is not set",
        "--key (CABGATE_KEY): is not set",
        "--signing-key (CABGATE_SIGNING_KEY): is not set",
        "--admission-proof (CABGATE_ADMISSION_PROOF): is not set",
    ]


def test_an_option_wins_over_a_variable(files, monkeypatch):
    monkeypatch.setenv("CABGATE_PORT", "1000")
    monkeypatch.setenv("CABGATE_HEALTH_PORT", "1001")
    found = read([*files, "--port", "2000"])
    assert (found.port, found.health_port) == (2000, 1001)


def test_a_setting_that_is_a_list_comes_in_both_ways(files, monkeypatch):
    one, two = "example.com/Job=spec.template", "example.com/Run=spec.a,spec.many[*].b"
    monkeypatch.setenv("CABGATE_GATED_KIND", f"{one} {two}")
    assert read(files).gated_kind == (one, two)
    given = ["--gated-kind", two, "--gated-kind", one]
    assert read([*files, *given]).gated_kind == (two, one)
    assert "--gated-kind (CABGATE_GATED_KIND): " in refused([*files, "--gated-kind", "Job"])


def test_names_in_one_option_are_as_many_as_in_the_variable(files, monkeypatch):
    """Or the members of both groups would be people, who may decide."""
    monkeypatch.setenv("CABGATE_MACHINE_GROUP", "ci,bots cd")
    assert read(files).machine_group == ("ci", "bots", "cd")
    given = ["--machine-group=ci,bots", "--machine-group", "cd"]
    assert read([*files, *given]).machine_group == ("ci", "bots", "cd")
    assert "--machine-group" in refused([*files, "--machine-group="])


def test_every_mode_can_be_chosen_and_no_other(files):
    for mode in Mode:
        assert read([*files, "--mode", mode.value]).mode == mode.value
    assert "--mode (CABGATE_MODE): " in refused([*files, "--mode", "enforce"])


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--port=0", "--port"),
        ("--port=https", "--port"),
        ("--default-ring=5", "--default-ring"),
        ("--drain-seconds=-1", "--drain-seconds"),
        ("--client-ca=nowhere", "--client-ca"),
        ("--log-format=yaml", "'json' or 'text'"),
        ("--operator=", "--operator"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(files, option, said):
    assert said in refused([*files, option])


def test_a_variable_that_no_setting_reads_is_refused(files, monkeypatch):
    monkeypatch.setenv("CABGATE_DEFAULT_RINGS", "2")
    assert refused(files) == "CABGATE_DEFAULT_RINGS: no such setting"


@pytest.mark.parametrize("option", ["--rings=2", "--default-rin=2", "stray"])
def test_an_option_that_there_is_none_of_ends_the_process(files, option, capsys):
    with pytest.raises(SystemExit) as ended:
        read([*files, option])
    assert ended.value.code == 2
    assert option.partition("=")[0] in capsys.readouterr().err
