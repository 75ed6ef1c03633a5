# SPDX-License-Identifier: Apache-2.0
"""What has to hold beside the invariants of every test: what people were told of is there, and the
gate answers as the objects say."""

from chaos.load import APPROVED, app_of, state_shown
from support.invariants import problems


def lost(load):
    """What the API server said it stored and is not there, and what no score approved."""
    memory = load.memory
    requests = {app_of(item): state_shown(item) for item in load.listed("cabrequests")}
    exceptions = {item["metadata"]["name"] for item in load.listed("cabexceptions")}
    intents = {item["metadata"]["name"] for item in load.listed("deploymentintents")}
    found = [f"intent {name} is lost" for name in memory.intents if name not in intents]
    found += [f"exception {name} is lost" for name in memory.exceptions - exceptions]
    found += [
        f"{name} is {requests.get(name)}, its score approves it"
        for name, kind in memory.intents.items()
        if kind == "good" and requests.get(name) not in ("AutoApproved", "Revoked")
    ]
    return found


def expected(load, days=0):
    """Which applications are to be admitted when so many days have passed."""
    leave = {
        item["spec"]["requestRef"]["name"]
        for item in load.listed("cabexceptions", "Approved")
        if item["spec"]["durationDays"] > days
    }
    return {
        app_of(item): state_shown(item) in APPROVED
        or (item["metadata"]["name"] in leave and state_shown(item) != "Revoked")
        for item in load.listed("cabrequests")
    }


def answers(load, wanted):
    """Where the gate's answer is not the one that is wanted; what is wrongly admitted, and what is
    wrongly refused."""
    admitted, refused = [], []
    for app, admits in wanted.items():
        answer = load.try_out(app)
        if answer.status_code == 201 and not admits:
            admitted.append(app)
        elif answer.status_code != 201 and admits:
            refused.append(f"{app}: {answer.text[:300]}")
    return admitted, refused


def unsettled(fleet, load):
    """Everything that does not hold yet, as text."""
    found = fleet.unready()
    leaders = sum(each.leads for each in fleet.operators)
    if leaders != 1:
        found.append(f"{leaders} lead")
    found = found or problems(fleet.gate, load.namespace, load.memory.seen) or lost(load)
    if not found:
        wanted = expected(load)
        admitted, refused = answers(load, wanted)
        found = [f"is admitted: {each}" for each in admitted]
        found += [f"is refused: {each}" for each in refused]
        found += [
            f"{app}: a person was told {verdict}, admitted is {wanted.get(app)}"
            for app, verdict in load.memory.verdict.items()
            if app not in load.memory.unsure and wanted.get(app) != (verdict == "Approved")
        ]
    return found
