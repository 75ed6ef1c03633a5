# SPDX-License-Identifier: Apache-2.0
"""Calls to the API server as some user, without a process of kubectl for each."""

import base64
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import yaml

from cabgate_devcluster import wait_until

NOT_YET = "There can be a delay between when CustomResourceDefinitions are created"
"""How the API server answers what a mutating policy is about until it knows the kind, for up to a
minute after it was started: a review, for one. Whoever reads it tries again."""

NO_TIME = "LookupTimedOut: "
"""How the webhook answers where it had no answer of the API server within its time, as on a machine
that is busy with something else. Whoever reads it tries again."""


def undecided(text: str) -> bool:
    """Whether an answer says that nothing was decided, and nothing stored: to be tried again."""
    return NOT_YET in text or NO_TIME in text


def decided_answer(call: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer of the API server to a call, made anew for as long as nothing is decided: where it
    or the webhook is too busy. Raises what `call` raises."""

    def answered() -> httpx.Response | httpx.HTTPError:
        try:
            answer = call()
        except httpx.HTTPError as error:  # whether something was stored is not known: not again
            return error
        no_answer = answer.is_server_error and "failed calling webhook" in answer.text
        again = no_answer or answer.status_code == httpx.codes.TOO_MANY_REQUESTS
        assert not again, answer.text
        assert not undecided(answer.text), answer.text
        return answer

    found = wait_until(answered, "an answer", timeout=120)
    if isinstance(found, httpx.HTTPError):
        raise found
    return found


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
