# SPDX-License-Identifier: Apache-2.0
"""Calls to the API server as some user, without a process of kubectl for each."""

import base64
import ssl
import tempfile
from pathlib import Path

import httpx
import yaml


def client_of(kubeconfig: Path) -> httpx.Client:
    """A client with the credentials of a kubeconfig."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]

    def pem(data, name):
        inline = data.get(f"{name}-data")
        return base64.b64decode(inline).decode() if inline else Path(data[name]).read_text()

    context = ssl.create_default_context(cadata=pem(cluster, "certificate-authority"))
    headers = {"Accept-Encoding": "identity"}  # the server shares the processor with the tests
    if "token" in user:
        headers["Authorization"] = f"Bearer {user['token']}"
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(pem(user, "client-certificate") + pem(user, "client-key"))
            file.flush()
            context.load_cert_chain(file.name)
    return httpx.Client(base_url=cluster["server"], verify=context, headers=headers, timeout=60)
