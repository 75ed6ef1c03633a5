# SPDX-License-Identifier: Apache-2.0
"""What has to hold whatever happened: asked of a cluster once it has settled."""

import json
from collections import Counter

from click.testing import CliRunner

from cabgate.api.exception import CABException
from cabgate.api.request import CABRequest
from cabgate.lifecycle.state.standing import ExceptionStanding, exception_admits, standing_of
from cabgate.lifecycle.state.states import expires_at, state_of
from cabgate_cli.main import main
from cabgate_kube.clock import utc_now

REVIEWABLE = {"cabrequest": CABRequest, "cabexception": CABException}


def verified(gate):
    """What `cabgate ledger verify` finds."""
    args = ["ledger", "verify", "-o", "json", "--kubeconfig", str(gate.cluster.admin)]
    result = CliRunner().invoke(main, args)
    if result.exit_code not in (0, 1):
        return [f"ledger verify ended with {result.exit_code}: {result.output}"]
    report = json.loads(result.stdout)
    return [f"ledger: {found['code']} {found['where']}" for found in report["findings"]]


def objects(gate, namespace):
    """Every request and exception of a namespace, with its model."""
    return [
        (resource, raw, model.model_validate(raw))
        for resource, model in REVIEWABLE.items()
        for raw in gate.items(resource, namespace)
    ]


def problems(gate, namespace, seen=()):
    """Everything that is not as it has to be, as text.

    `seen` are the decisions of which somebody was told that they were recorded: (uid, verdict,
    user name).
    """
    found = []
    there = objects(gate, namespace)
    entries = Counter()
    recorded = Counter(
        (item["spec"]["subject"]["uid"], item["spec"]["entry"])
        for item in json.loads(gate.cluster.kubectl("get", "cabdecisions", "-o", "json").stdout)[
            "items"
        ]
        if item["spec"]["subject"]["namespace"] == namespace
    )
    requests = {model.metadata.name: model for _, _, model in there if type(model) is CABRequest}
    for resource, raw, model in there:
        name = f"{resource} {raw['metadata']['name']}"
        status = raw.get("status") or {}
        wanted = state_of(model, utc_now()) if resource == "cabexception" else state_of(model)
        if status.get("state") != wanted:
            found.append(f"{name}: shows {status.get('state')}, is {wanted}")
        decisions = status.get("decisions") or []
        if [entry["sequence"] for entry in decisions] != list(range(1, len(decisions) + 1)):
            found.append(f"{name}: the sequence of its decisions is broken")
        uid = raw["metadata"]["uid"]
        for number, entry in enumerate(decisions, 1):
            entries[(uid, entry["verdict"], entry["author"]["username"])] += 1
            if recorded[(uid, number)] != 1:
                found.append(
                    f"{name}: decision {number} is {recorded[(uid, number)]}x in the ledger"
                )
        request = requests.get(model.spec.request_ref.name) if resource == "cabexception" else None
        if request is not None and exception_admits(
            ExceptionStanding.of(model), standing_of(request), expires_at(model)
        ):
            found.append(f"{name}: admits past its end")
    found += [
        f"{verdict} of {user} on {uid}: there {entries[(uid, verdict, user)]} times"
        for uid, verdict, user in seen
        if entries[(uid, verdict, user)] != 1
    ]
    for raw in gate.items("deploymentintent", namespace):
        status, meta = raw.get("status") or {}, raw["metadata"]
        if status.get("observedGeneration") != meta["generation"] or not status.get("state"):
            found.append(f"intent {meta['name']}: nothing came of it yet")
        elif status["requestName"] not in requests:
            found.append(f"intent {meta['name']}: its request {status['requestName']} is gone")
    return found + verified(gate)
