# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_bench.load.null_webhook PORT CERTIFICATE KEY`: a webhook that admits
everything unread, on the server, the framework and the settings of cabgate's."""

import asyncio
import ssl
import sys
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response

from cabgate_kube.process.http import Server
from cabgate_kube.process.serving import Draining, Loop
from cabgate_webhook.http.serving import admission_config
from cabgate_webhook.metrics import Metrics

ANSWER = (
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":'
    b'{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}'
)


async def validate(request: Request) -> Response:
    """Take the body and admit."""
    await request.body()
    return Response(ANSWER, media_type="application/json")


def server_of(
    handler: Callable[[Request], Awaitable[Response]], port: int, certificate: str, key: str
) -> Server:
    """A server for a handler of admission requests, as cabgate's webhook has one."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_route("/validate", handler, methods=["POST"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    config = admission_config(
        Draining(app), context, Metrics(), host="127.0.0.1", port=port, max_connections=500
    )
    return Server(config)


def main() -> None:
    """Serve until killed."""
    port, certificate, key = sys.argv[1:]
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(server_of(validate, int(port), certificate, key).serve())


if __name__ == "__main__":
    main()
