# SPDX-License-Identifier: Apache-2.0
"""Webhooks whose clocks are a minute apart: what a reviewer says holds, whichever of them hears it.

The API server is told which replica mutates and which one validates, so that the two halves of each
admission are on different clocks."""

import json
import re
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.installation import NAMESPACE
from cabgate_samples.objects import BAD, exception, workload
from support.direct import mutated, review_of
from support.gate import denial, install
from support.reviews import decisions, middling

ENTRY = Path(__file__).with_name("webhook_entry.py")
SHIFTS = (-60, 0, 60)
CONFIGURATION = "mutatingwebhookconfiguration"


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    """cabgate, with one webhook more for each other clock."""
    installed = install(cluster)
    installation = installed.installation
    installed.ports = {0: installation.webhook_port}
    for shift in (shift for shift in SHIFTS if shift):
        port, health = cluster.free_port(), cluster.free_port()
        installed.ports[shift] = port
        options = installation.webhook_options(port=port, health_port=health)
        kubeconfig = cluster.service_account(NAMESPACE, "cabgate-webhook")
        cluster.spawn(
            f"webhook{shift:+}",
            [sys.executable, str(ENTRY), str(shift), *options],
            env={"KUBECONFIG": str(kubeconfig)},
        )
        wait_until(lambda url=f"http://127.0.0.1:{health}/readyz": ready(url), "it is ready")
    return installed


def ready(url):
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - a loopback URL
        return answer.status == 200


@pytest.fixture
def probe(gate, make_namespace):
    """A request that waits, and goes on waiting."""
    namespace = make_namespace()
    return namespace, gate.open(namespace, middling(99), "Submitted")


def mutating(gate, probe, shift):
    """Have the webhook of one clock mutate; returns once the API server does."""

    def change(stored):
        for webhook in stored["webhooks"]:
            client = webhook["clientConfig"]
            client["url"] = re.sub(r":\d+/", f":{gate.ports[shift]}/", client["url"])

    gate.replace("admin", CONFIGURATION, "cabgate", None, change)
    wait_until(lambda: abs(clock_of(gate, *probe) - shift) < 20, "the API server asks it")


def clock_of(gate, namespace, name):
    """How many seconds the clock is ahead that a review would be given its time by."""
    (entry,) = dry_run(gate, namespace, name)["decisions"]
    return (datetime.fromisoformat(entry["at"]) - datetime.now(UTC)).total_seconds()


def dry_run(gate, namespace, name, verdict="Approved"):
    """The status that a review would lead to."""
    body = {"status": {"review": {"verdict": verdict, "rationale": "tried"}}}
    result = gate.patch_status(
        *("reviewer", "cabrequest", name, namespace, body, "--dry-run=server", "-o", "json"),
        check=True,
    )
    return json.loads(result.stdout)["status"]


def rollout(gate, namespace):
    """What the gate says to a dry run of a rollout; empty where it passes."""
    args = ("create", "--dry-run=server", "-f", "-")
    result = gate.kubectl("requester", *args, stdin=json.dumps(workload(namespace)), check=False)
    return denial(result) if result.returncode else ""


@pytest.mark.parametrize("shift", [60, -60])
def test_a_reviewer_s_command_succeeds_on_webhooks_a_minute_apart(gate, probe, namespace, shift):
    name = gate.open(namespace, middling(1), "Submitted")
    mutating(gate, probe, shift)
    gate.review("reviewer", "cabrequest", name, namespace, "UnderReview")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    assert rollout(gate, namespace) == ""
    mutating(gate, probe, 0)
    gate.review("security", "cabrequest", name, namespace, "Revoked", rationale="a breach")
    assert rollout(gate, namespace).startswith("Revoked: ")
    assert [verdict for verdict, _ in decisions(gate, name, namespace)] == [
        *("UnderReview", "Approved", "Revoked"),
    ]


def test_a_revocation_by_a_slower_clock_ends_what_a_faster_one_approved(gate, probe, namespace):
    name = gate.open(namespace, BAD, "ExceptionRequired")
    gate.create("requester", exception(namespace, name))
    mutating(gate, probe, 60)
    gate.review("security", "cabexception", "leave", namespace, "Approved")
    assert rollout(gate, namespace) == ""
    mutating(gate, probe, 0)
    gate.review("security", "cabrequest", name, namespace, "Revoked", rationale="a breach")
    assert rollout(gate, namespace).startswith("Revoked: ")


def test_a_signed_decision_that_was_held_back_is_worth_nothing_elsewhere_or_later(
    gate, probe, namespace
):
    name = gate.open(namespace, middling(2), "Submitted")
    other = gate.open(namespace, middling(3), "Submitted", name="other")
    gate.bind("rob", "cabgate-cab-member", namespace)
    mutating(gate, probe, 60)
    asked = review_of(
        *(gate.get("cabrequest", name, namespace), "reviewer"),
        proof=gate.installation.admission_proof,
        verdict="Approved",
    )
    _, signed = mutated(gate, asked, gate.ports[60])  # by who reaches the port
    held = {"status": signed}
    for user, request in (("rob", name), ("reviewer", other)):
        result = gate.patch_status(user, "cabrequest", request, namespace, held)
        assert result.returncode != 0, (user, request)
    gate.review("rob", "cabrequest", name, namespace, "Rejected")
    assert gate.patch_status("reviewer", "cabrequest", name, namespace, held).returncode != 0
    assert [verdict for verdict, _ in decisions(gate, name, namespace)] == ["Rejected"]
    assert decisions(gate, other, namespace) == []
    mutating(gate, probe, 0)


def test_without_a_signature_five_seconds_are_all(gate, namespace):
    name = gate.open(namespace, middling(4), "Submitted")
    status = dry_run(gate, namespace, name)
    (entry,) = status["decisions"]
    moment = datetime.now(UTC) + timedelta(seconds=30)
    entry["at"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"status": status}
    message = denial(gate.patch_status("reviewer", "cabrequest", name, namespace, body))
    assert "at the time it is made" in message
    assert decisions(gate, name, namespace) == []
