# SPDX-License-Identifier: Apache-2.0
"""The webhook asked by somebody who is not the API server, and who says what he likes."""

import base64
import json
import ssl

import httpx

from cabgate.writes.caller_proof import ANNOTATION


def review_of(obj, username, groups=(), *, dry_run=False, proof=None, **review):
    """An admission request for a review of a request or an exception, in the name of a user, by
    somebody who may know by what the webhook knows the API server."""
    plural = {"CABRequest": "cabrequests", "CABException": "cabexceptions"}[obj["kind"]]
    if proof is not None:
        seen = base64.b64encode(proof.read_bytes()).decode()
        annotations = {**obj["metadata"].get("annotations", {}), ANNOTATION: seen}
        obj = {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
    status = {**obj.get("status", {}), "review": {"rationale": "asked directly", **review}}
    request = {
        "uid": "of-the-attacker",
        "resource": {"group": "cabgate.dev", "version": "v1alpha1", "resource": plural},
        "subResource": "status",
        "operation": "UPDATE",
        "namespace": obj["metadata"]["namespace"],
        "name": obj["metadata"]["name"],
        "userInfo": {"username": username, "groups": ["system:authenticated", *groups]},
        "object": {**obj, "status": status},
        "oldObject": obj,
        "dryRun": dry_run,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def mutated(gate, review, port=None):
    """The webhook's answer to a review that reaches its port: what it says, and the status that
    its patch would set (None without one)."""
    trust = ssl.create_default_context(cadata=gate.cluster.ca_pem.decode())
    url = f"https://127.0.0.1:{port or gate.installation.webhook_port}/mutate"
    answer = httpx.post(url, json=review, verify=trust, timeout=60, trust_env=False)
    response = answer.raise_for_status().json()["response"]
    patch = json.loads(base64.b64decode(response.get("patch", "") or "bnVsbA=="))
    status = next((each["value"] for each in patch or () if each["path"] == "/status"), None)
    return response.get("status", {}).get("message", ""), status
