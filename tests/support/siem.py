# SPDX-License-Identifier: Apache-2.0
"""A SIEM that is strict: what it is sent has to be as the specifications say, event by event."""

import asyncio
import functools
import gzip
import json
import ssl
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from cabgate_kube.tls.issue import make_authority, sign_leaf

CLOUDEVENTS = "application/cloudevents-batch+json"
OCSF = "application/json"
TOKEN = "s3cret-of-the-siem"

FAR = timedelta(days=36500)


@functools.cache
def ocsf_schema() -> Draft202012Validator:
    """Of class Entity Management of OCSF 1.5.0."""
    made = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0"))
    return Draft202012Validator(made.get_class_schema("entity_management"))


def checked_cloud_event(event: Mapping[str, Any]) -> str:
    """The id of a CloudEvent, as its SDK reads it."""
    headers = {"content-type": "application/cloudevents+json"}
    read = from_http_event(HTTPMessage(headers, json.dumps(event).encode()))
    assert read.get_specversion() == "1.0"
    assert read.get_source().startswith("/clusters/")
    assert read.get_type().startswith("dev.cabgate.")
    assert read.get_datacontenttype() == "application/json"
    assert read.get_data() == event["data"]
    return str(read.get_id())


def checked_ocsf(event: Mapping[str, Any]) -> str:
    """The id of an event of OCSF that its schema allows."""
    found = [f"{error.json_path}: {error.message}" for error in ocsf_schema().iter_errors(event)]
    assert not found, found
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    return str(event["metadata"]["uid"])


def read_id(event: Mapping[str, Any]) -> str:
    """The id of an event that nobody checks, where it is measured how fast they come."""
    return str(event["id"] if "specversion" in event else event["metadata"]["uid"])


def checked(event: Mapping[str, Any]) -> str:
    """The id of an event in either format."""
    return checked_cloud_event(event) if "specversion" in event else checked_ocsf(event)


def chains(ids: Sequence[str]) -> dict[str, list[int]]:
    """The positions of ids in the order in which they came, by cluster and chain."""
    found: dict[str, list[int]] = {}
    for each in ids:
        chain, _, sequence = each.rpartition("/")
        found.setdefault(chain, []).append(int(sequence))
    return found


def check_order(ids: Sequence[str]) -> None:
    """No id comes before the one before it in its chain came; those that are repeated do too."""
    for chain, positions in chains(ids).items():
        last = 0
        for position in positions:
            assert position <= last + 1, (chain, positions)
            last = max(last, position)


class Authority:
    """Certificates for a receiver on this machine, in a folder."""

    def __init__(self, folder: Path) -> None:
        now = datetime.now(UTC)
        authority, key = make_authority(now, FAR)
        leaf, own = sign_leaf(authority, key, ["127.0.0.1", "localhost"], now, timedelta(days=1))
        self.file = folder / "ca.crt"
        self.file.write_text(authority)
        self._leaf = folder / "receiver.pem"
        self._leaf.write_text(leaf + own)

    def context(self) -> ssl.SSLContext:
        """That of the server."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self._leaf)
        return made


LOST = "lost"
"""A fault: the batch is taken, and the connection cut before anybody hears of it."""

CUT = "cut"
"""A fault: the connection is cut, and nothing is taken."""


class Siem:
    """Takes batches. `faults` are answered first: a status, a status with `Retry-After`, CUT or
    LOST. Of the chains in `refused` it takes nothing."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.faults: list[int | tuple[int, str] | str] = []
        self.refused: dict[str, int] = {}
        self.ids: list[str] = []
        self.events: list[Mapping[str, Any]] = []
        self.calls = 0
        self.wrong: list[str] = []
        """What was not as it has to be."""
        self.header = ("Authorization", f"Bearer {TOKEN}")
        self.check = checked
        """The id of an event that is as it has to be."""
        self.at: list[float] = []
        """When each id came, by the monotonic clock."""
        self._server: TestServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self._port}/ingest?of=cabgate"

    async def start(self) -> None:
        """Answer, at the same port as before."""
        application = web.Application(client_max_size=2**22)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(application, port=self._port or None)
        await self._server.start_server(ssl=self._authority.context())
        assert self._server.port is not None
        self._port = self._server.port

    async def stop(self) -> None:
        """Answer nobody any more."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and fault != LOST:
            return self._failed(request, fault)
        try:
            events = self._read(request, await request.read())
            ids = [self.check(event) for event in events]
        except Exception as error:  # noqa: BLE001 - whatever it is: the test shows it
            self.wrong.append(repr(error))
            return web.Response(status=400)
        codes = [
            code for chain, code in self.refused.items() if any(f"/{chain}/" in i for i in ids)
        ]
        if codes:
            return web.Response(status=codes[0], text="of a chain that it does not want")
        self.ids += ids
        self.at += [time.monotonic()] * len(ids)
        self.events += events
        return self._failed(request, CUT) if fault == LOST else web.Response(status=202)

    def _failed(self, request: web.Request, fault: int | tuple[int, str] | str) -> web.Response:
        if isinstance(fault, int):
            return web.Response(status=fault, headers={"Location": "https://elsewhere.example.com"})
        if isinstance(fault, tuple):
            return web.Response(status=fault[0], headers={"Retry-After": fault[1]})
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _read(self, request: web.Request, body: bytes) -> list[Mapping[str, Any]]:
        name, value = self.header
        assert request.method == "POST", request.method
        assert request.path_qs == "/ingest?of=cabgate", request.path_qs
        assert request.headers[name] == value
        assert request.headers["Content-Encoding"] == "gzip"
        # aiohttp has decompressed it, as the header says.
        events: list[Mapping[str, Any]] = json.loads(
            gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        )
        wanted = CLOUDEVENTS if "specversion" in events[0] else OCSF
        assert request.headers["Content-Type"] == wanted
        assert isinstance(events, list)
        assert events
        return events


def lines_of(content: bytes) -> Iterator[Mapping[str, Any]]:
    """The events of standard output; an empty line is none, nor is one that was not finished."""
    for line in content.split(b"\n"):
        if line:
            try:
                yield json.loads(line)
            except ValueError:
                continue


class Background:
    """A `Siem` in an event loop of its own, for tests that have none."""

    def __init__(self, siem: Siem) -> None:
        self.siem = siem
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="siem", daemon=True)
        self._thread.start()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def start(self) -> None:
        """Answer."""
        self._run(self.siem.start())

    def stop(self) -> None:
        """Answer nobody any more."""
        self._run(self.siem.stop())

    def end(self) -> None:
        """Stop, and end the loop."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()
