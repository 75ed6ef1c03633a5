# SPDX-License-Identifier: Apache-2.0
"""/healthz, /readyz and /metrics."""

from collections.abc import Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from cabgate_operator.replica import Replica


async def serve_health(replica: Replica, port: int) -> web.AppRunner:
    """Serve what a kubelet and Prometheus ask for.

    /healthz fails for what a new process may mend, /readyz for whatever keeps this one from its
    work, the API server included. Both say why.
    """

    async def healthz(_: web.Request) -> web.Response:
        return _answer(replica.problems())

    async def readyz(_: web.Request) -> web.Response:
        return _answer([*replica.unready(), *replica.problems()])

    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=replica.metrics.text(), headers=headers)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


def _answer(wrong: Sequence[str]) -> web.Response:
    lines = [f"not ok: {line}" for line in wrong] or ["ok"]
    return web.Response(text="".join(f"{line}\n" for line in lines), status=503 if wrong else 200)
