# SPDX-License-Identifier: Apache-2.0
"""What the creation of a CABRequest takes: of an intent with nothing but numbers, of one that binds
what its containers do, and of one whose evidence is signed, in turn within one run.

`python -m cabgate_bench.measure.opening [ROUNDS] [CALLS]` starts a cluster, lets the operator open
a request of each kind, pauses it, and sends the same creations as the operator in a dry run, blocks
of each in turn. The API server asks the webhook, which recomputes all, and answers that the request
is there already: everything but the write. Printed: p50, p90 and p99 of each, the webhook's CPU
time for a call, and by how much the medians of a round differ from those of the first, with the
spread over the rounds; all in milliseconds.
"""

import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from cabgate.rollout.templates import form_text, template_of_forms
from cabgate_bench.load.objects import GOOD, IMAGE
from cabgate_bench.load.turns import in_turn
from cabgate_bench.results.figures import quantiles, spread
from cabgate_devcluster import DevCluster, Installation, wait_until
from cabgate_devcluster.installed.chart import NAMESPACE
from cabgate_samples.objects import declared, target

PLAIN, BOUND, SIGNED = SIDES = ("plain", "bound", "signed")
SPACE = "opening"
_PATH = f"/apis/cabgate.dev/v1alpha1/namespaces/{SPACE}"
_CABGATE = Path(sys.executable).with_name("cabgate")


def intents(cluster: DevCluster, folder: Path) -> dict[str, dict[str, Any]]:
    """One intent of each kind; the key that signs is made known to the cluster."""
    plain = declared(SPACE, PLAIN, [target([IMAGE], PLAIN)], GOOD)
    made = template_of_forms([{"containers": {"web": {"command": ["serve"]}}}])
    bound = declared(
        SPACE,
        BOUND,
        [{**target([IMAGE], BOUND), "template": made.digest, "templateFields": made.fields}],
        GOOD,
        templateForms=[{"template": made.digest, "form": form_text(made)}],
    )
    sections = [f"--section={name}" for name in GOOD]
    key = folder / "key"
    signer = _run("evidence", "keygen", "ci", f"--key={key}", f"--speaks-in={SPACE}", *sections)
    cluster.kubectl("create", "-f", "-", stdin=signer)
    typed = folder / "intent.yaml"
    typed.write_text(yaml.safe_dump(declared(SPACE, SIGNED, [target([IMAGE], SIGNED)], GOOD)))
    words = (f"--key={key}", f"--filename={typed}", "--output=json")
    signed = json.loads(_run("evidence", "sign", *words, *sections))
    return {PLAIN: plain, BOUND: bound, SIGNED: signed}


def measure(rounds: int, calls: int) -> dict[str, Any]:
    """Milliseconds of each creation and the webhook's CPU time for one, by kind."""
    with DevCluster() as cluster, tempfile.TemporaryDirectory() as folder:
        installation = Installation(cluster)
        installation.install()
        cluster.kubectl("create", "namespace", SPACE)
        cluster.kubectl("label", "namespace", SPACE, "cabgate.dev/ring=2")
        bodies = _requests(cluster, intents(cluster, Path(folder)))
        webhook = installation.webhook
        operator = installation.operator
        if webhook is None or operator is None:
            raise RuntimeError("operator or webhook does not run")
        operator.pause()
        with _client(cluster) as client:

            def created(side: str) -> float:
                return _created(client, bodies[side])

            took, cpu = in_turn(SIDES, created, rounds, calls, webhook)
        operator.resume()
    return _figures(took, cpu)


def _figures(
    took: Mapping[str, list[list[float]]], cpu: Mapping[str, list[float]]
) -> dict[str, Any]:
    medians = {side: [statistics.median(block) for block in took[side]] for side in SIDES}
    return {
        side: {
            **quantiles(sorted(value for block in took[side] for value in block)),
            "webhookCpu": spread(cpu[side]),
            "dearer": spread(
                [here - plain for here, plain in zip(medians[side], medians[PLAIN], strict=True)]
            ),
        }
        for side in SIDES
    }


def _requests(
    cluster: DevCluster, bodies: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the operator created for each intent, as it sent it."""
    for body in bodies.values():
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(body))

    def opened() -> dict[str, dict[str, Any]]:
        requests = cluster.api.items("cabrequests", SPACE)
        return {each["spec"]["intentRef"]["name"]: each for each in requests}

    wait_until(lambda: set(opened()) == set(SIDES), "a request of each intent")
    found = opened()
    states = {part["state"] for part in found[SIGNED]["spec"]["assessment"]["provenance"]}
    if states != {"Verified"}:
        raise RuntimeError(f"the signed evidence is {states}, not Verified")
    kept = ("name", "namespace", "labels", "ownerReferences")
    return {
        side: {
            **{name: each[name] for name in ("apiVersion", "kind", "spec")},
            "metadata": {name: each["metadata"][name] for name in kept if name in each["metadata"]},
        }
        for side, each in found.items()
    }


def _client(cluster: DevCluster) -> httpx.Client:
    token = cluster.service_account_token(NAMESPACE, "cabgate-operator")
    trust = ssl.create_default_context(cadata=cluster.ca_pem.decode())
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=cluster.server, verify=trust, headers=headers, timeout=30)


def _created(client: httpx.Client, body: Mapping[str, Any]) -> float:
    begun = time.perf_counter()
    answer = client.post(f"{_PATH}/cabrequests", params={"dryRun": "All"}, json=body)
    milliseconds = (time.perf_counter() - begun) * 1000
    if answer.json().get("reason") != "AlreadyExists":
        raise RuntimeError(f"HTTP {answer.status_code}: {answer.text}")
    return milliseconds


def _run(*words: str) -> str:
    return subprocess.run(
        [str(_CABGATE), *words], check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    print(json.dumps(measure(*(given + [9, 60][len(given) :])), indent=2))
