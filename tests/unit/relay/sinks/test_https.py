# SPDX-License-Identifier: Apache-2.0
"""Batches over real TLS to a receiver that checks what it is sent, and fails as it is told."""

import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from cabgate.siem.formats import Format, encoded
from cabgate.siem.records import record_event
from cabgate_relay.retrying import LONGEST_RETRY_AFTER
from cabgate_relay.sinks.configuration import HttpsSink
from cabgate_relay.sinks.https import HttpsReceiver, _why
from cabgate_relay.sinks.receiver import Outcome
from cabgate_samples.models import NOW
from support.siem import CUT, LOST, TOKEN, Authority, Siem
from unit.core.ledger.histories import STORY


def lines(form: Format = Format.CLOUDEVENTS) -> list[bytes]:
    events = [record_event("prod", raw) for raw in STORY.records]
    return [encoded(event, form) for event in events if event is not None]


@pytest.fixture
async def siem(tmp_path: Path) -> AsyncIterator[Siem]:
    made = Siem(Authority(tmp_path))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "credential"
    file.write_text(f"{TOKEN}\n")
    return file


def put(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def receiver(siem: Siem, token: Path, **more: object) -> HttpsReceiver:
    ca = token.with_name("ca.crt")
    given = {"name": "s", "type": "https", "url": siem.url, "credentialFile": token, "caFile": ca}
    return HttpsReceiver(HttpsSink.model_validate(given | more), lambda: NOW)


@pytest.mark.parametrize("form", list(Format))
async def test_a_batch_is_as_the_format_wants_it(siem: Siem, token: Path, form: Format) -> None:
    sending = receiver(siem, token, format=form)
    for _ in range(2):
        assert (await sending.send(lines(form))).outcome is Outcome.ACCEPTED, siem.wrong
    await sending.close()
    assert siem.ids == [f"prod/shop/{number}" for number in range(1, 8)] * 2


async def test_a_header_of_its_own_has_the_whole_content_of_the_file(
    siem: Siem, token: Path
) -> None:
    siem.header = ("X-Api-Key", TOKEN)
    sending = receiver(siem, token, header="X-Api-Key")
    assert (await sending.send(lines())).outcome is Outcome.ACCEPTED, siem.wrong
    await sending.close()


@pytest.mark.parametrize(
    "status", [401, 403, 404, 407, 408, 425, 429, 500, 502, 503, 504, 599, 302, 307, 304]
)
async def test_what_may_pass_is_waited_for(siem: Siem, token: Path, status: int) -> None:
    siem.faults = [status]
    sending = receiver(siem, token)
    answer = await sending.send(lines())
    assert (answer.outcome, answer.code) == (Outcome.WAIT, status)
    assert (await sending.send(lines())).outcome is Outcome.ACCEPTED
    await sending.close()
    assert siem.calls == 2, "no redirection is followed"


@pytest.mark.parametrize("status", [400, 405, 410, 413, 422, 451])
async def test_what_would_be_refused_again_is_refused(siem: Siem, token: Path, status: int) -> None:
    siem.faults = [status]
    sending = receiver(siem, token)
    answer = await sending.send(lines())
    await sending.close()
    assert (answer.outcome, answer.code) == (Outcome.REFUSED, status)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("999999999999999999999", LONGEST_RETRY_AFTER),
        ("soon", 0.0),
        ("-5", 0.0),
        ("", 0.0),
    ],
)
async def test_when_it_wants_to_be_asked_again(
    siem: Siem, token: Path, text: str, seconds: float
) -> None:
    siem.faults = [(429, text)]
    sending = receiver(siem, token)
    answer = await sending.send(lines())
    await sending.close()
    assert answer.retry_after == seconds


@pytest.mark.parametrize("fault", [CUT, LOST])
async def test_a_connection_that_is_cut_is_waited_for(siem: Siem, token: Path, fault: str) -> None:
    siem.faults = [fault]
    sending = receiver(siem, token)
    assert (await sending.send(lines())).outcome is Outcome.WAIT
    assert (await sending.send(lines())).outcome is Outcome.ACCEPTED
    await sending.close()


async def test_a_receiver_that_is_not_there_or_not_trusted(
    siem: Siem, token: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Authority(other)
    sending = receiver(siem, token, caFile=other / "ca.crt")
    answer = await sending.send(lines())
    assert answer.outcome is Outcome.WAIT
    assert answer.reason.startswith("the certificate is not trusted: ")
    await siem.stop()
    answer = await receiver(siem, token).send(lines())
    assert answer.outcome is Outcome.WAIT
    assert siem.calls == 0


@pytest.mark.parametrize("content", [b"", b"\n", b"a\r\nX-Other: b", b"\xff", b"x" * 20000])
async def test_a_credential_that_cannot_be_sent_is_waited_for(
    siem: Siem, token: Path, content: bytes
) -> None:
    put(token, content)
    sending = receiver(siem, token)
    assert (await sending.send(lines())).outcome is Outcome.WAIT
    put(token, TOKEN.encode())
    assert (await sending.send(lines())).outcome is Outcome.ACCEPTED, "it is read anew"
    await sending.close()


async def test_nothing_that_is_logged_has_the_secret_or_the_address(
    siem: Siem, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    siem.faults = [401, 500, CUT, LOST]
    sending = receiver(siem, token)
    reasons = [(await sending.send(lines())).reason for _ in range(4)]
    await siem.stop()
    reasons.append((await sending.send(lines())).reason)
    put(token, b"")
    reasons.append((await sending.send(lines())).reason)
    assert all(reasons)
    ours = [each.getMessage() for each in caplog.records if each.name.startswith("cabgate")]
    for text in (*reasons, *ours):
        assert TOKEN not in text
        assert "ingest" not in text
        assert "127.0.0.1" not in text


@pytest.mark.parametrize("host", ["siem.example.com", "192.0.2.7"])
def test_a_certificate_for_another_name_is_said_without_the_name(host: str) -> None:
    cause = ssl.SSLCertVerificationError()
    cause.verify_code = 62 if host[0] == "s" else 64
    cause.verify_message = f"mismatch, certificate is not valid for '{host}'"
    key = ConnectionKey(host, 443, True, None, None, None, None)
    why = _why(aiohttp.ClientConnectorCertificateError(key, cause))
    assert why.startswith("the certificate is not trusted: it is for another ")
    assert host not in why


@pytest.mark.parametrize(
    "cause",
    [
        socket.gaierror(-2, "siem.example.com: Name or service not known"),
        OSError(errno.ECONNREFUSED, "Connect call failed ('siem.example.com', 443)"),
        OSError(None, "siem.example.com"),
        OSError("Multiple exceptions: siem.example.com"),
    ],
)
def test_no_failure_to_connect_names_the_address(cause: OSError) -> None:
    key = ConnectionKey("siem.example.com", 443, True, None, None, None, None)
    why = _why(aiohttp.ClientConnectorError(key, cause))
    assert why
    assert "example" not in why
