# SPDX-License-Identifier: Apache-2.0
"""What HTTP clients cost on the admission path, side by side in one run: our own transport,
aiohttp, and pyqwest where it is installed.

`python -m cabgate_bench.measure.transports [SECONDS]` starts a cluster, and a webhook with each
client in turn, in rounds. Of each it measures what an allow costs, under direct load; and what one
read costs a process that does nothing else.
"""

import asyncio
import json
import ssl
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from cabgate_bench.load import loadgen
from cabgate_bench.load.usage import pin
from cabgate_bench.load.world import COMPONENTS, World
from cabgate_bench.measure import direct
from cabgate_bench.results.figures import quantiles, spread
from cabgate_devcluster import DevCluster
from cabgate_kube.credentials import Access, access_of
from cabgate_kube.transport import Connections, HttpAnswer
from cabgate_webhook import main as webhook
from cabgate_webhook.client import apiserver

ROUNDS = 3
TARGETS = 50
READS = f"/apis/cabgate.dev/v1alpha1/namespaces/{direct.NAMESPACE}/cabrequests?limit=1"
"""One request in a list, which is what an allow reads."""


class Aiohttp:
    """aiohttp, with nothing that is not needed, where our connections are."""

    def __init__(self, access: Access, most: int = 64) -> None:
        self._access = access
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=access.trust(), limit=most),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def call(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b"", **_: Any
    ) -> HttpAnswer:
        """One call."""
        given = {**headers, **self._access.headers(), "Accept-Encoding": "identity"}
        url = self._access.server + target
        async with self._session.request(method, url, headers=given, data=body or None) as answer:
            return HttpAnswer(answer.status, await answer.read())

    def close(self) -> None:
        """Close the connections, a little later."""
        self._closing = asyncio.ensure_future(self._session.close())


class Pyqwest:
    """pyqwest, which is Rust underneath."""

    def __init__(self, access: Access, most: int = 64) -> None:
        import pyqwest  # type: ignore[import-not-found]

        self._access = access
        known = access.trust().get_ca_certs(binary_form=True)
        ca = "".join(map(ssl.DER_cert_to_PEM_cert, known)).encode()
        self._client = pyqwest.Client(
            pyqwest.HTTPTransport(
                tls_ca_cert=ca,
                http_version=pyqwest.HTTPVersion.HTTP1,
                max_connections_per_address=most,
                follow_redirects=False,
                enable_gzip=False,
                enable_brotli=False,
                enable_zstd=False,
                enable_otel=False,
            )
        )

    async def call(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b"", **_: Any
    ) -> HttpAnswer:
        """One call."""
        given = {**headers, **self._access.headers()}
        url = self._access.server + target
        answer = await self._client.execute(method, url, given, body or None)
        return HttpAnswer(answer.status, bytes(answer.content))

    def close(self) -> None:
        """Nothing."""


CLIENTS: dict[str, Callable[[Access], Any]] = {
    "ours": Connections,
    "aiohttp": Aiohttp,
    "pyqwest": Pyqwest,
}


def serve(name: str, arguments: list[str]) -> None:
    """Run the webhook with a client in the place of its own."""
    vars(apiserver)["Connections"] = CLIENTS[name]
    webhook.main(arguments)


async def _read(name: str, seconds: float) -> dict[str, Any]:
    """What a read costs a process that does nothing else: its CPU time, and how long it takes."""
    client = CLIENTS[name](access_of())
    took: list[float] = []
    end = time.monotonic() + seconds

    async def work() -> None:
        while time.monotonic() < end:
            begun = time.perf_counter()
            answer = await client.call("GET", READS, headers={"Accept": "application/json"})
            if answer.status != 200:
                raise RuntimeError(f"HTTP {answer.status}")
            took.append((time.perf_counter() - begun) * 1000)

    before = time.process_time()
    await asyncio.gather(*(work() for _ in range(direct.WORKERS)))
    cpu = time.process_time() - before
    client.close()
    return {"readCpuMicroseconds": cpu * 1e6 / len(took), **quantiles(sorted(took))}


def _reading(world: World, name: str, seconds: float) -> dict[str, Any]:
    out = world.cluster.directory / f"read-{name}.json"
    account = str(world.cluster.service_account("cabgate-system", "cabgate-webhook"))
    argv = [
        sys.executable,
        "-m",
        "cabgate_bench.measure.transports",
        "read",
        name,
        str(seconds),
        str(out),
    ]
    process = world.cluster.spawn(f"read-{name}", argv, env={"KUBECONFIG": account})
    process.wait(60 + seconds)
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def measure(seconds: float) -> dict[str, Any]:
    """Each client in turn, in rounds."""
    server, rest = direct.cores()
    cells: dict[str, list[dict[str, Any]]] = {}
    program = loadgen.build()
    with DevCluster() as cluster:
        world = World(cluster, program)
        world.installation.install()
        direct.prepare(world, TARGETS)
        pin([cluster.component(name) for name in COMPONENTS], rest)
        for _ in range(ROUNDS):
            for name in CLIENTS:
                argv = [sys.executable, "-m", "cabgate_bench.measure.transports", "serve", name]
                try:
                    cell = direct.allows(world, argv, server, rest, TARGETS, seconds)
                except Exception as error:  # noqa: BLE001 - pyqwest need not be there
                    print(f"{name}: {error}", file=sys.stderr)
                    continue
                cell["read"] = _reading(world, name, seconds)
                cells.setdefault(name, []).append(cell)
                print(name, json.dumps(cell), flush=True)
    return {name: _summary(found) for name, found in cells.items()}


def _summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    keys = ("perCpuSecond", "p50", "p99", "rssMB")
    reads = [cell["read"] for cell in found]
    return {
        "allow CPU, us": spread([1e6 / cell["perCpuSecond"] for cell in found]),
        **{key: statistics.median(cell[key] for cell in found) for key in keys},
        "read CPU, us": spread([each["readCpuMicroseconds"] for each in reads]),
        "read p50, ms": statistics.median(each["p50"] for each in reads),
        "read p99, ms": statistics.median(each["p99"] for each in reads),
    }


def main(words: list[str]) -> None:
    """The command."""
    if words[:1] == ["serve"]:
        serve(words[1], words[2:])
    elif words[:1] == ["read"]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(_read(words[1], float(words[2])))
        Path(words[3]).write_text(json.dumps(result))
    else:
        print(json.dumps(measure(float(words[0]) if words else 10.0), indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
