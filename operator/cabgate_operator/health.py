# SPDX-License-Identifier: Apache-2.0
"""/healthz, /readyz and /metrics."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cabgate_operator.app import Operator


async def serve_health(operator: Operator, port: int) -> web.AppRunner:
    """Serve /healthz (the workers run and the sweep is not overdue), /readyz (the first sweep is
    done) and /metrics."""

    async def healthz(_: web.Request) -> web.Response:
        return _answer(operator.healthy)

    async def readyz(_: web.Request) -> web.Response:
        return _answer(operator.ready)

    async def metrics(_: web.Request) -> web.Response:
        text = generate_latest(operator.metrics.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


def _answer(good: bool) -> web.Response:
    return web.Response(text="ok\n" if good else "not ok\n", status=200 if good else 503)
