# SPDX-License-Identifier: Apache-2.0
"""The file that says which sinks there are is checked at the start, field by field."""

import textwrap
from pathlib import Path

import pytest

from cabgate.siem.formats import Format
from cabgate_kube.process.settings import SettingsError
from cabgate_relay.sinks.configuration import HttpsSink, StdoutSink, read_sinks

GOOD = """
sinks:
- name: splunk
  type: https
  url: https://siem.example.com:8088/services/collector/raw?index=cab
  format: ocsf
  credentialFile: /etc/cabgate/sinks/splunk/credential
  header: X-Api-Key
  caFile: /etc/cabgate/sinks/splunk-ca/ca.crt
- name: log
  type: stdout
"""


def read(folder: Path, text: str) -> tuple[HttpsSink | StdoutSink, ...]:
    file = folder / "sinks.yaml"
    file.write_text(textwrap.dedent(text))
    return read_sinks(file)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(folder, text)
    return str(refused.value).replace(f"{folder}/", "")


def https(**fields: str) -> str:
    given = {"name": "a", "type": "https", "url": "https://a.example.com/", **fields}
    return "sinks:\n- " + "\n  ".join(f"{key}: {value}" for key, value in given.items())


def test_what_a_file_says(tmp_path: Path) -> None:
    splunk, log = read(tmp_path, GOOD)
    assert isinstance(splunk, HttpsSink)
    assert splunk.format is Format.OCSF
    assert splunk.credential_file == Path("/etc/cabgate/sinks/splunk/credential")
    assert splunk.header == "X-Api-Key"
    assert isinstance(log, StdoutSink)
    assert (log.name, log.format) == ("log", Format.CLOUDEVENTS)


@pytest.mark.parametrize(
    "url",
    [
        *("http://a.example.com/", "http://127.0.0.1/", "https://", "https:///x", "ftp://a", "a"),
        *("https://u:sesame@a.example.com/", "https://sesame@a.example.com/"),
        *("https://a.example.com/#sesame", "https://a.example.com:0/", "https://a:99999999/"),
        *('"https://a.example.com/ sesame"', '"https://ä.example.com/"', "https://[::1"),
    ],
)
def test_only_addresses_of_https_without_secrets_in_them(tmp_path: Path, url: str) -> None:
    message = refusal(tmp_path, https(url=url))
    assert message.startswith("sinks.yaml: sinks[0].url: ")
    assert "sesame" not in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Input should be a valid dictionary"),
        ("sinks: []", "sinks: "),
        ("sinks:\n- name: a", "sinks[0].type: must be https or stdout"),
        ("sinks:\n- {name: a, type: kafka}", "sinks[0].type: must be https or stdout"),
        ("sinks:\n- {name: a, type: https}", "sinks[0].url: is not set"),
        ("sinks:\n- {type: stdout}", "sinks[0].name: is not set"),
        ("sinks:\n- {name: A_b, type: stdout}", "sinks[0].name: "),
        ("sinks:\n- {name: a, type: stdout, url: x}", "sinks[0].url: "),
        ("sinks:\n- {name: a, type: stdout, format: cef}", "sinks[0].format: "),
        (
            "sinks:\n- {name: a, type: stdout}\n- {name: a, type: stdout}",
            "sinks[1].name: duplicate value: sinks[0] has it too",
        ),
        (
            "sinks:\n- {name: a, type: stdout}\n- {name: b, type: stdout}",
            "sinks[1].type: there is one standard output",
        ),
        (https(header="X-Key"), "sinks[0].header: is set without credentialFile"),
        (https(header="Content-Type", credentialFile="/a"), "sinks[0].header: "),
        (https(header="'X: y'", credentialFile="/a"), "sinks[0].header: "),
        (https(credentialFile="token"), "sinks[0].credentialFile: is no absolute path"),
        (https(caFile="ca.crt"), "sinks[0].caFile: is no absolute path"),
        ("sinks: [", "line 1: is no YAML"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_sinks(tmp_path / "sinks.yaml")
