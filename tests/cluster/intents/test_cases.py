# SPDX-License-Identifier: Apache-2.0
"""Small inputs that were found to fail, applied as they were written, by kubectl on the real API
server."""

import re
from pathlib import Path

from cabgate.risk.image_evidence import STALE_EVIDENCE, UNNAMED_IMAGES
from cabgate_samples.objects import MIDDLING, workload
from support.gate import denial

CASES = Path(__file__).resolve().parents[2] / "unit/core/cases"
FORCES = re.compile(r"is\simmutable|immutable\sfield", re.ASCII)
"""What Flux takes for a field that cannot change, whatever the error: it deletes the object."""


def applied(gate, user, namespace, case, *, check=True):
    """`kubectl apply` of a case; the result."""
    return gate.kubectl(user, "apply", "-n", namespace, "-f", CASES / case, check=check)


def floors(request):
    return {each["name"] for each in request["spec"]["assessment"].get("floors", [])}


def test_the_next_release_waits_and_its_revocation_says_what_it_hits(gate, namespace):
    applied(gate, "requester", namespace, "release-of-three.yaml")
    first = gate.request_of(namespace, "storefront", "Submitted")
    assert floors(first) == {UNNAMED_IMAGES}
    first = first["metadata"]["name"]
    gate.review("reviewer", "cabrequest", first, namespace, "Approved")

    applied(gate, "requester", namespace, "next-release-old-reports.yaml")
    second = gate.request_of(namespace, "storefront", "Submitted")
    assert floors(second) == {UNNAMED_IMAGES, STALE_EVIDENCE}
    second = second["metadata"]["name"]
    gate.review("reviewer", "cabrequest", second, namespace, "Approved")

    refused = gate.review("security", "cabrequest", second, namespace, "Revoked", check=False)
    message = denial(refused)
    assert message.startswith("ImagesNeeded: status.review.images: ")
    assert "covers StatefulSet orders-db: registry.example.com/shop/postgres:16" in message
    assert f"(request {first})" in message
    done = gate.review(
        *("security", "cabrequest", second, namespace, "Revoked"),
        images=["registry.example.com/shop/storefront:2.4.0"],
    )
    assert "denied from then on: Deployment storefront: " in done.stderr
    assert "orders-db" not in done.stderr
    database = workload(
        namespace,
        name="orders-db",
        kind="StatefulSet",
        images=["registry.example.com/shop/postgres:16"],
    )
    gate.create("requester", database)


def test_neither_blanks_nor_the_machine_itself_are_a_requester(gate, namespace):
    gate.cluster.kubectl("create", "serviceaccount", "ci", "-n", namespace)
    machine = f"system:serviceaccount:{namespace}:ci"
    gate.bind(machine, "cabgate-requester", namespace)
    result = applied(gate, machine, namespace, "machine-requesters.yaml", check=False)
    assert result.returncode != 0
    assert "spec.requester" in result.stderr
    assert "system:serviceaccount:shop:ci is a machine" in result.stderr
    assert gate.items("deploymentintents", namespace) == []


def test_what_can_never_match_is_refused_with_the_right_spelling(gate, namespace):
    result = applied(gate, "requester", namespace, "never-matching-targets.yaml", check=False)
    assert result.returncode != 0
    refusals = [line for line in result.stderr.splitlines() if "TargetNotGated: " in line]
    assert len(refusals) == 5, result.stderr
    for line in refusals[:4]:
        assert "apiVersion: apps/v1 and kind: Deployment" in line
    assert "such as web-app" in refusals[4]
    assert gate.items("deploymentintents", namespace) == []


def test_a_rationale_makes_no_tool_delete_anything(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    gate.kubectl(
        *("reviewer", "patch", "cabrequest", name, "-n", namespace, "--subresource=status"),
        *("--type=merge", f"--patch-file={CASES / 'immutable-words.json'}"),
    )
    kept = gate.get("cabrequest", name, namespace)["status"]["decisions"][-1]["rationale"]
    assert FORCES.search(kept), "kept as it was written"
    denied = gate.create("requester", workload(namespace), check=False)
    message = denial(denied)
    assert "The selector field is" in message
    assert not FORCES.search(denied.stderr)
    # Nor what the intent and its Events say, which tools print as well.
    conditions = gate.get("deploymentintent", "web", namespace)["status"]["conditions"]
    assert not any(FORCES.search(each["message"]) for each in conditions)
