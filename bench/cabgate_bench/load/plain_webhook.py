# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_bench.load.plain_webhook PORT CERTIFICATE KEY [NAMESPACE]`: a webhook that
admits everything, on the server, the framework and the settings of cabgate's; with a namespace it
makes one consistent read for each admission request, by the same client: what no gate whose yes is
never stale can do without."""

import asyncio
import json
import sys

from fastapi import Request, Response

from cabgate import GROUP, VERSION
from cabgate.rollout.targets import Workload
from cabgate_bench.load.null_webhook import server_of
from cabgate_kube.credentials import access_of
from cabgate_kube.process.serving import Loop
from cabgate_webhook.client.apiserver import LiveReads

LABEL = Workload("apps", "Deployment", "created").label
"""What the read selects: the requests for one workload."""


async def serve(port: int, certificate: str, key: str, namespace: str) -> None:
    """Serve until killed."""
    reads = LiveReads(access_of()) if namespace else None
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/cabrequests"

    async def validate(request: Request) -> Response:
        uid = json.loads(await request.body())["request"]["uid"]
        if reads is not None:
            await reads.read_small(path, {"labelSelector": LABEL})
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        answer = {**review, "response": {"uid": uid, "allowed": True}}
        return Response(json.dumps(answer), media_type="application/json")

    server = server_of(validate, port, certificate, key)
    if reads is None:
        await server.serve()
        return
    async with reads:
        await server.serve()


def main() -> None:
    """Serve until killed."""
    port, certificate, key, *namespace = sys.argv[1:]
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(serve(int(port), certificate, key, "".join(namespace)))


if __name__ == "__main__":
    main()
