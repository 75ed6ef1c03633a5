# SPDX-License-Identifier: Apache-2.0
"""An intent and its workload, applied in one go: the gate waits a moment for the operator to judge
the intent, and for nobody who does not come."""

import itertools
import json
import re

import httpx
import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, intent, target, workload
from support.clients import undecided
from support.gate import denial, paused
from support.load import Load

BUSY = "TooManyRequests"
"""What the API server says where it takes no more calls for now."""

_numbers = itertools.count(1)


def pair(namespace):
    """An intent with evidence that needs no person, and its Deployment; other ones at each call."""
    number = next(_numbers)
    name, images = f"web-{number}", [f"web:{number}"]
    return (
        intent(namespace, name=name, targets=[target(images, name)]),
        workload(namespace, name=name, images=images),
    )


def file_of(*objects):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def applied(gate, text, *options):
    """What `kubectl apply -f` of a file comes to, applied once."""
    args = ("apply", "--validate=false", *options, "-f", "-")
    return gate.tried_once("requester", *args, stdin=text)


def tried_once(gate, attempt, what):
    """Have an attempt succeed that is made once for each release: never a second time for the same.

    The gate waits a second and no more, which a busy machine may need for its operator alone: then
    another release has its one attempt.
    """

    def admitted():
        result = attempt()
        if result.returncode == 0:
            return result
        assert undecided(result.stderr) or denial(result).startswith("NoRequest"), result.stderr
        return None

    return wait_until(admitted, what)


def waits(gate):
    """How the waits for fresh intents ended, counted."""
    port = gate.installation.webhook_health_port
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
    found = re.findall(r'cabgate_fresh_intent_waits_total\{outcome="(.+?)"\} (\S+)', text)
    return {outcome: float(number) for outcome, number in found}


def test_one_file_with_both_is_admitted_at_the_first_try(gate, namespace):
    before = waits(gate)

    def attempt():
        return applied(gate, file_of(*pair(namespace)))

    result = tried_once(gate, attempt, "a release is admitted at its first try")
    assert "deploymentintent.cabgate.dev/web-" in result.stdout
    assert "deployment.apps/web-" in result.stdout
    assert waits(gate)["judged"] >= before["judged"]


def test_a_new_release_of_what_runs_is_too(gate, namespace):
    declared, deployment = pair(namespace)
    name = declared["metadata"]["name"]
    gate.open(namespace, GOOD, "AutoApproved", name=name, targets=declared["spec"]["targets"])
    gate.apply("requester", deployment)

    def attempt():
        images = [f"web:next-{next(_numbers)}"]
        declared = intent(namespace, name=name, targets=[target(images, name)])
        return applied(gate, file_of(declared, workload(namespace, name=name, images=images)))

    def admitted():
        result = attempt()
        if result.returncode and not undecided(result.stderr):
            assert denial(result).startswith("ImagesNotCovered"), result.stderr
        return result.returncode == 0

    wait_until(admitted, "a new release is admitted at its first try")


def test_a_dry_run_right_after_the_intent_is_admitted(gate, namespace):
    """As Flux does it, before it applies."""

    def attempt():
        declared, deployment = pair(namespace)
        assert applied(gate, json.dumps(declared)).returncode == 0
        return applied(gate, json.dumps(deployment), "--dry-run=server")

    tried_once(gate, attempt, "a dry run is admitted at its first try")
    assert not gate.items("deployments", namespace)


@pytest.mark.parametrize("options", [(), ("--dry-run=server",)])
def test_with_the_operator_stopped_the_denial_explains_itself(gate, namespace, options):

    def explained():
        declared, deployment = pair(namespace)
        gate.declare("requester", declared)
        said = denial(applied(gate, json.dumps(deployment), *options))
        assert said.startswith("NoRequest"), said
        return said

    with paused(gate.installation.operator):
        assert "cabgate intent" in wait_until(explained, "it explains itself at the first try")
    assert not gate.items("deployments", namespace)


def test_who_writes_intents_that_nobody_judges_holds_up_no_other_namespace(gate, make_namespace):
    """One team rolls out without end what nobody judges, another what is approved."""
    crowded, calm = make_namespace(), make_namespace()
    declared, deployment = pair(calm)
    name = declared["metadata"]["name"]
    gate.open(calm, GOOD, "AutoApproved", name=name, targets=declared["spec"]["targets"])
    waiting, rollout = pair(crowded)
    rolled_out = {"total": 0}
    with paused(gate.installation.operator):
        gate.declare("requester", waiting)
        path = gate.cluster.api.path("DeploymentIntent", crowded)
        intents = f"{path}/{waiting['metadata']['name']}"
        before = waits(gate)["no-place"]

        def as_many_wait_as_may():
            # Written anew, so that it is waited for however long all of this takes.
            answer = gate.client("requester").patch(
                intents,
                json={"spec": {"summary": f"try {next(_numbers)}"}},
                headers={"Content-Type": "application/merge-patch+json"},
            )
            assert answer.status_code == httpx.codes.OK, answer.text
            gate.create("requester", deployment, "--dry-run=server")
            rolled_out["total"] += 1
            return waits(gate)["no-place"] > before

        with Load(gate.user("requester"), rollout, threads=8) as storm:
            wait_until(as_many_wait_as_may, "four wait and others are denied at once")
    assert rolled_out["total"]
    said = [text for _, text in storm.failures if not undecided(text) and BUSY not in text]
    assert said
    assert all("NoRequest" in text for text in said), said
