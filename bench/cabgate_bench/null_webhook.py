# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_bench.null_webhook PORT CERTIFICATE KEY`: a webhook that admits everything
unread, on the server, the framework and the settings of cabgate's."""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response

from cabgate_webhook.protocol import BoundedProtocol

ANSWER = (
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":'
    b'{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}'
)


async def validate(request: Request) -> Response:
    """Take the body and admit."""
    await request.body()
    return Response(ANSWER, media_type="application/json")


def main() -> None:
    """Serve until SIGTERM."""
    port, certificate, key = sys.argv[1:]
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_route("/validate", validate, methods=["POST"])
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        http=BoundedProtocol,
        loop="uvloop",
        timeout_keep_alive=120,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
