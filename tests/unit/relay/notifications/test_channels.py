# SPDX-License-Identifier: Apache-2.0
"""The file of channels: what it may say, and that an error names the field and no secret."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate.notifications.notices import Event
from cabgate.notifications.planning import Every
from cabgate_kube.process.settings import SettingsError
from cabgate_relay.notifications.channels import read_channels
from support.receivers import SECRET

SLACK = {"name": "reviewers", "slack": {"urlFile": "slack-url"}}
WEBHOOK = {
    "name": "program",
    "webhook": {"url": "https://hooks.example.com/cabgate", "secretFile": "secret"},
}
MAIL = {
    "name": "mail",
    "smtp": {"host": "mail.example.com", "from": "cabgate@example.com", "to": ["cab@example.com"]},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "slack-url").write_text("https://hooks.slack.com/services/T0/B0/hush\n")
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "password").write_text("correct horse\n")
    return tmp_path / "channels.yaml"


def read(file: Path, *channels: dict[str, Any], **top: Any) -> Any:
    file.write_text(yaml.safe_dump({"channels": list(channels), **top}))
    return read_channels(file)


def wrong(file: Path, *channels: dict[str, Any], **top: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        read(file, *channels, **top)
    return str(refused.value).replace(f"{file}: ", "")


def test_a_file_of_every_kind_is_read(file: Path) -> None:
    found = read(file, SLACK, WEBHOOK, MAIL, portal="https://cab.example.com")
    slack, webhook, mail = found.channels
    assert slack.route().events == frozenset(Event) - {Event.DIGEST}
    assert slack.route().namespaces is slack.route().rings is slack.route().every is None
    assert webhook.allowed_addresses == ()
    assert (mail.smtp.port, mail.smtp.security) == (587, "StartTLS")


def test_a_route_is_what_the_file_says(file: Path) -> None:
    said = {
        "events": ["waiting"],
        "namespaces": ["shop"],
        "rings": [3],
        "digest": "Week",
        "fromLevel": 2,
    }
    [channel] = read(file, {**SLACK, **said}).channels
    route = channel.route()
    assert route.events == {Event.WAITING}
    assert (route.namespaces, route.rings, route.every) == ({"shop"}, {"3"}, Every.WEEK)
    assert route.from_level == 2


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ({"name": "x"}, "channels.0: needs exactly one of slack, teams, webhook and smtp"),
        ({**SLACK, **MAIL}, "channels.0: needs exactly one of"),
        ({**SLACK, "teams": {"urlFile": "slack-url"}}, "channels.0: needs exactly one of"),
        ({**SLACK, "pager": {}}, "channels.0.pager: Extra inputs are not permitted"),
        ({"name": "x", "teams": {"urlFile": "secret"}}, "teams.urlFile: secret: is no https URL"),
        ({**SLACK, "name": "Two Words"}, "channels.0.name: "),
        ({**SLACK, "events": ["another"]}, "channels.0.events.0: "),
        ({**SLACK, "fromLevel": 0}, "channels.0.fromLevel: "),
        ({**SLACK, "events": ["digest"]}, "channels.0: events: a digest is sent where digest is"),
        ({**SLACK, "events": []}, "channels.0.events: "),
        ({**SLACK, "namespaces": []}, "channels.0.namespaces: "),
        ({**SLACK, "rings": [5]}, "channels.0.rings.0: "),
        ({**SLACK, "digest": "Hour"}, "channels.0.digest: "),
        ({**SLACK, "allowedAddresses": ["10.0.0.1/8"]}, "channels.0.allowedAddresses.0"),
        ({"name": "x", "slack": {"url": "https://h.example"}}, "channels.0.slack.urlFile: "),
        ({"name": "x", "slack": {"urlFile": "nowhere"}},
         "channels.0.slack.urlFile: nowhere: cannot be read: No such file"),
        ({"name": "x", "slack": {"urlFile": "secret"}}, "slack.urlFile: secret: is no https URL"),
        ({**SLACK, "caFile": "nowhere"}, "channels.0.caFile: nowhere: there is no such file"),
    ],
)  # fmt: skip
def test_an_error_names_the_field(file: Path, channel: dict[str, Any], message: str) -> None:
    assert message in wrong(file, channel)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "https://",
        "https://user:hush@hooks.example.com/",
        "https://hooks.example.com/#x",
        "https://hooks.example.com/a b",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/\r\nHost: x",
        "https://höoks.example.com/",
        "file:///etc/passwd",
    ],
)
def test_only_https_is_sent_to(file: Path, url: str) -> None:
    channel = {"name": "x", "webhook": {"url": url, "secretFile": "secret"}}
    assert "channels.0.webhook.url: " in wrong(file, channel)
    assert "portal" in wrong(file, SLACK, portal=url)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"from": "cabgate@example.com\nBcc: x@example.com"}, "channels.0.smtp.from: "),
        ({"from": "Rita <rita@example.com>"}, "channels.0.smtp.from: "),
        ({"to": ["a@b.example\r\nX: y"]}, "channels.0.smtp.to.0: "),
        ({"to": ["a@b.example, c@d.example"]}, "channels.0.smtp.to.0: "),
        ({"to": []}, "channels.0.smtp.to: "),
        ({"host": "mail.example.com\r\nX"}, "channels.0.smtp.host: "),
        ({"port": 0}, "channels.0.smtp.port: "),
        ({"security": "None"}, "channels.0.smtp.security: "),
        ({"username": "cabgate"}, "channels.0.smtp: username and passwordFile go together"),
        (
            {"username": "u", "passwordFile": "nowhere"},
            "smtp.passwordFile: nowhere: cannot be read",
        ),
        ({"password": "hush"}, "channels.0.smtp.password: Extra inputs are not permitted"),
    ],
)
def test_nothing_of_a_mail_server_can_be_a_header(
    file: Path, change: dict[str, Any], message: str
) -> None:
    assert message in wrong(file, {**MAIL, "smtp": {**MAIL["smtp"], **change}})  # type: ignore[dict-item]


def test_names_are_given_once_and_there_are_not_too_many(file: Path) -> None:
    assert "duplicate name reviewers" in wrong(file, SLACK, SLACK)
    assert "channels: " in wrong(file)
    assert "channels: " in wrong(file, *[{**SLACK, "name": f"c{number}"} for number in range(17)])


def test_no_error_repeats_a_secret(file: Path) -> None:
    (file.parent / "slack-url").write_text("http://hooks.slack.com/services/hush")
    (file.parent / "secret").write_text("whsec_hush!")
    text = wrong(file, SLACK, WEBHOOK)
    assert "channels.0.slack.urlFile" in text
    assert "channels.1.webhook.secretFile" in text
    inline = wrong(file, {"name": "x", "slack": {"urlFile": "slack-url", "token": "hush"}})
    assert "hush" not in text + inline


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"channels: [", "is no YAML: line"),
        (b"\xff\xfe\x00", "is no YAML"),
        (b"", "Input should be"),
        (b"[]", "Input should be"),
        (b"#" * 300_000, "over 262144 bytes"),
    ],
)
def test_what_is_no_file_of_channels_is_refused(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        read_channels(file)


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"x" * 5000, "ü".encode()])
def test_a_secret_is_one_line(file: Path, content: bytes) -> None:
    (file.parent / "password").write_bytes(content)
    named = {**MAIL["smtp"], "username": "u", "passwordFile": "password"}  # type: ignore[dict-item]
    assert "smtp.passwordFile: password: is " in wrong(file, {**MAIL, "smtp": named})
