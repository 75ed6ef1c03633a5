# SPDX-License-Identifier: Apache-2.0
"""The story that the demo tells, scene by scene."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from cabgate_demo import board, files, page, reports, rings
from cabgate_demo.commands import SET_IMAGE, as_json, by_plugin, command_in
from cabgate_demo.later import DAYS_VARIABLE
from cabgate_demo.stage import OutcomeError, Stage
from cabgate_devcluster import Installation, wait_until

NS = files.NAMESPACE
DAYS_AHEAD = 31
STORE = f"sqlite:///{files.STORE}"
"""The event store as the commands name it, in the folder where they run."""


def tell(stage: Stage, installation: Installation, picture: Path | None = None) -> None:
    """Play all scenes; that of the page into `picture`. Raises `OutcomeError` at the first outcome
    that is not as it should be."""
    _low_ring(stage)
    _no_intent(stage)
    _good_evidence(stage)
    _middling_evidence(stage)
    _another_image(stage)
    _side_doors(stage)
    _signed_evidence(stage)
    _bad_evidence(stage)
    _incident(stage)
    _revocation(stage)
    _conditional_approval(stage)
    request = board.two_people(stage)
    rings.promotion(stage)
    board.freeze(stage, request)
    _dead_gate(stage, installation)
    _ledger(stage, installation)
    _exception_ends(stage, installation)
    _report(stage)
    page.look(stage, installation, picture)


def _low_ring(stage: Stage) -> None:
    stage.file("deployment.yaml", files.deployment("1.0"))
    stage.scene("Ring 1 is not gated", story="Namespace dev carries the label cabgate.dev/ring: 1.")
    stage.passes("requester", "kubectl apply -n dev -f deployment.yaml", "created")


def _no_intent(stage: Stage) -> None:
    stage.scene(
        "Ring 2 is gated: no intent, no rollout",
        story="Namespace shop carries cabgate.dev/ring: 2. The denial names the next command.",
    )
    stage.refused("requester", f"kubectl apply -n {NS} -f deployment.yaml", "NoRequest")


def _good_evidence(stage: Stage) -> None:
    stage.file("intent-1.0.yaml", files.intent("1.0", "The first release.", files.GOOD))
    stage.scene("Good evidence is approved by the system")
    stage.passes("requester", "cabgate score -f intent-1.0.yaml", "AutoApprove")
    stage.passes("requester", "kubectl apply -f intent-1.0.yaml", "created")
    stage.until("requester", f"kubectl get deploymentintent -n {NS}", "True")
    stage.passes("requester", f"kubectl get cabrequest -n {NS}", "AutoApproved")
    stage.passes("gitops", f"kubectl apply -n {NS} -f deployment.yaml", "created")
    stage.until("requester", f"kubectl get replicaset,pods -n {NS}", "pod/checkout")


def _middling_evidence(stage: Stage) -> None:
    stage.file("intent-1.1.yaml", files.intent("1.1", "A faster basket.", files.MIDDLING))
    stage.scene(
        "Middling evidence waits for a person, who is not the one who asked",
        story="A reviewer approves with the plugin that the denial names first. Before that the "
        "requester tries, then a service account, then a cluster admin who touched the intent.",
    )
    stage.passes("requester", "kubectl apply -f intent-1.1.yaml", "configured")
    stage.until("requester", f"kubectl get deploymentintent checkout -n {NS}", "Submitted")
    denial = stage.refused("requester", f"{SET_IMAGE}:1.1 -n {NS}", "ReviewPending")
    approve = command_in(denial)
    stage.refused("requester", approve, "Forbidden")
    stage.refused("gitops", approve, "MachineCannotDecide")
    summary = '{"spec":{"summary":"A faster basket, and a better one."}}'
    patch = f"kubectl patch deploymentintent checkout -n {NS} --type=merge -p '{summary}'"
    stage.passes("admin", patch, "patched")
    stage.refused("admin", approve, "SelfApproval")
    stage.passes("reviewer", f"kubectl cab queue -n {NS}", "CAB member")
    # Not before the operator has looked at what the admin changed: `IntentChanged`.
    stage.eventually("reviewer", by_plugin(denial), f"{NS}: Approved")
    stage.passes("requester", f"{SET_IMAGE}:1.1 -n {NS}", "image updated")


def _another_image(stage: Stage) -> None:
    stage.scene("The approval covers its images, and no other")
    stage.refused("requester", f"{SET_IMAGE}:1.1-debug -n {NS}", "ImagesNotCovered")


def _side_doors(stage: Stage) -> None:
    stage.scene(
        "There is no side door: a forged owner, an image patched onto a Pod",
        story="The Pod claims to be made by the ReplicaSet of the approved Deployment. Anybody can "
        "write that; controllers are known by who they are.",
    )
    owner = json.loads(stage.quietly("requester", f"kubectl get replicaset -n {NS} -o json"))
    metadata = owner["items"][0]["metadata"]
    stage.file("forged.yaml", files.forged_pod(metadata["name"], metadata["uid"]))
    stage.refused("requester", f"kubectl create -n {NS} -f forged.yaml", "NoRequest: Pod")
    pods = json.loads(stage.quietly("requester", f"kubectl get pods -n {NS} -o json"))
    pod = pods["items"][0]["metadata"]["name"]
    image = f"kubectl set image pod/{pod} checkout={files.IMAGE}:1.1-debug -n {NS}"
    stage.refused("requester", image, "ImagesNotCovered: Pod")


def _signed_evidence(stage: Stage) -> None:
    stage.file("reports/tests.xml", reports.junit(240))
    stage.file("reports/coverage.xml", reports.cobertura(lines=500, covered=466))
    stage.file("reports/trivy.json", reports.trivy())
    stage.file("payment.yaml", reports.intent_without_figures())
    stage.scene(
        "Evidence is read from reports and signed; who raises a figure is found out",
        story="An admin makes the key, once, and has the cluster trust it for namespace shop. The "
        "pipeline collects, signs and applies; nobody types a figure.",
    )
    keygen = f"cabgate evidence keygen payment-ci --key payment-ci.key --speaks-in {NS}"
    stage.file("signer.yaml", stage.quietly("admin", keygen))
    stage.passes("admin", "kubectl apply -f signer.yaml", "created")
    collect = (
        "cabgate evidence collect --junit reports/tests.xml --cobertura reports/coverage.xml "
        "--trivy reports/trivy.json -f payment.yaml -i"
    )
    stage.passes("requester", collect)
    stage.passes("requester", "cabgate evidence sign --key payment-ci.key -f payment.yaml -i")
    verify = "cabgate evidence verify -f payment.yaml --signer signer.yaml"
    stage.passes("requester", verify, "Verified")
    stage.passes("requester", "kubectl apply -f payment.yaml", "created")
    stage.until("requester", f"kubectl get deploymentintent payment -n {NS}", "AutoApproved")
    name = stage.quietly(
        "requester",
        f"kubectl get deploymentintent payment -n {NS} -o jsonpath={{.status.requestName}}",
    )
    stage.passes("reviewer", f"kubectl cab show {name} -n {NS}", "payment-ci")
    raised = f"kubectl patch deploymentintent payment -n {NS} --type=merge -p '{as_json(_RAISED)}'"
    stage.refused("requester", raised, "spec.evidence.testResults.coveragePercent", "payment-ci")


_RAISED = {"spec": {"evidence": {"testResults": {"coveragePercent": 99}}}}


def _bad_evidence(stage: Stage) -> None:
    stage.file("intent-1.2.yaml", files.intent("1.2", "Stops double charges.", files.BAD))
    stage.scene("Bad evidence needs an exception, which a security reviewer decides")
    stage.passes("requester", "kubectl apply -f intent-1.2.yaml", "configured")
    stage.until("requester", f"kubectl get deploymentintent checkout -n {NS}", "ExceptionRequired")
    denial = stage.refused("requester", f"{SET_IMAGE}:1.2 -n {NS}", "ExceptionRequired")
    write = command_in(denial) + (
        " --reason 'Customers are charged twice' --control 'Feature flag, off for all but us'"
    )
    stage.file("exception.yaml", stage.passes("requester", write, "CABException"))
    stage.passes("requester", "kubectl apply -f exception.yaml", "created")
    pending = stage.refused("requester", f"{SET_IMAGE}:1.2 -n {NS}", "ExceptionPending")
    approve = command_in(pending)
    stage.refused("reviewer", approve, "Forbidden")
    stage.passes("security", approve, "recorded if this command succeeds: Approved by security")
    stage.until("security", f"kubectl get cabexception -n {NS}", "Approved")
    stage.passes("requester", f"{SET_IMAGE}:1.2 -n {NS}", "admitted under exception")


def _incident(stage: Stage) -> None:
    stage.scene("Scaling is never gated, and a rollback to what was approved passes")
    stage.passes("requester", f"kubectl scale deployment/checkout --replicas=5 -n {NS}", "scaled")
    _revisions_are_known(stage)
    stage.passes("requester", f"kubectl rollout undo deployment/checkout -n {NS}", "rolled back")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    stage.passes("requester", f"kubectl get deployment checkout -n {NS} -o {image}", ":1.1")


def _revisions_are_known(stage: Stage) -> None:
    """Return once the controller has numbered the last rollout, from which an undo goes back."""
    fields = "jsonpath={.metadata.generation}={.status.observedGeneration}"
    command = f"kubectl get deployment checkout -n {NS} -o {fields}"

    def known() -> bool:
        wanted, _, seen = stage.quietly("requester", command).partition("=")
        return bool(wanted) and wanted == seen

    wait_until(known, timeout=60.0, what="the controller has seen the last rollout")


def _revocation(stage: Stage) -> None:
    stage.scene(
        "A revocation stops a rollback",
        story="Its images are denied under every request, until a person approves them again.",
    )
    approved = f"kubectl get cabrequest -n {NS} --field-selector status.state=Approved"
    fields = "jsonpath={.items[0].metadata.name}={.items[0].spec.evidenceDigest}"
    name, _, digest = stage.quietly("security", f"{approved} -o {fields}").partition("=")
    stage.passes(
        "security",
        f"kubectl cab revoke {name} -n {NS} --because 'CVE-2026-1234 in 1.1' --digest {digest}",
        "recorded if this command succeeds: Revoked by security",
    )
    stage.passes("requester", f"{SET_IMAGE}:1.2 -n {NS}", "admitted under exception")
    _revisions_are_known(stage)
    stage.refused("requester", f"kubectl rollout undo deployment/checkout -n {NS}", "Revoked")


def _conditional_approval(stage: Stage) -> None:
    stage.file(
        "intent-1.3.yaml",
        files.intent("1.3", "Without the CVE.", files.MIDDLING, requester="requester"),
    )
    stage.scene(
        "A conditional approval, of what a service account submitted",
        story="The lead is a CAB member, and with the stock edit role could act as the service "
        "account that submitted the intent, and so counts as its submitter.",
    )
    stage.passes("gitops", "kubectl apply -f intent-1.3.yaml", "configured")
    stage.until("requester", f"kubectl get deploymentintent checkout -n {NS}", "Submitted")
    denial = stage.refused("requester", f"{SET_IMAGE}:1.3 -n {NS}", "ReviewPending")
    stage.refused("lead", command_in(denial), "SelfApproval", "may impersonate")
    approve = f"{by_plugin(denial)} --condition 'watch=Watch the error rate for two hours'"
    stage.passes("reviewer", approve, "ConditionallyApproved by reviewer")
    stage.passes("requester", f"{SET_IMAGE}:1.3 -n {NS}", "Watch the error rate for two hours")


def _dead_gate(stage: Stage, installation: Installation) -> None:
    stage.scene(
        "With the gate dead, a service can be kept up, and the glass can be broken",
        story="The webhook is killed and the operator stopped. Who breaks the glass is written "
        "down by the API server; afterwards somebody else reviews it.",
    )
    if installation.operator is None or installation.webhook is None:
        raise OutcomeError("operator and webhook should be running")
    installation.operator.stop()
    installation.webhook.kill()
    stage.passes("requester", f"kubectl scale deployment/checkout --replicas=4 -n {NS}", "scaled")
    stage.passes("requester", f"kubectl rollout restart deployment/checkout -n {NS}", "restarted")
    stage.refused("requester", f"{SET_IMAGE}:1.3.1 -n {NS}", "failed calling webhook")
    container = {"name": "checkout", "image": f"{files.IMAGE}:1.3.1"}
    patch = {
        "metadata": {"annotations": {"cabgate.dev/break-glass": "INC-7: checkout is down"}},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    rolls_out = f"kubectl patch deployment checkout -n {NS} -p '{as_json(patch)}'"
    stage.refused("requester", rolls_out, "BreakGlassDenied")
    stage.passes("lead", rolls_out, "the glass is broken")
    installation.start_webhook()
    installation.start_operator()
    waiting = f"kubectl get cabrequest -n {NS} --field-selector status.state=Submitted"
    stage.until("reviewer", waiting, "break-glass-")
    name = stage.quietly("reviewer", f"{waiting} -o name").strip().rpartition("/")[2]
    review = {"verdict": "Approved", "rationale": "right to do, tested afterwards"}
    approve = (
        f"kubectl patch cabrequest {name} -n {NS} --subresource=status --type=merge "
        f"-p '{as_json({'status': {'review': review}})}'"
    )
    stage.refused("lead", approve, "SelfApproval")
    # Not before the operator has looked at what the admin changed: `IntentChanged`.
    stage.eventually("reviewer", approve, "patched")


def _ledger(stage: Stage, installation: Installation) -> None:
    stage.scene(
        "The ledger shows what was decided, and what was tampered with",
        story="A cluster admin removes the webhooks, writes an approval into a request in the "
        "reviewer's name, and puts the webhooks back.",
    )
    stage.eventually("admin", "cabgate ledger verify", "nothing is wrong")
    request = stage.quietly(
        "admin",
        f"kubectl get cabrequest -n {NS} --field-selector status.state=ExceptionRequired -o name",
    ).strip()
    digest = "-o jsonpath={.spec.evidenceDigest}"
    entry = {
        "sequence": 1,
        "verdict": "Approved",
        "author": {"type": "Person", "username": "reviewer"},
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "evidenceDigest": stage.quietly("admin", f"kubectl get {request} -n {NS} {digest}"),
    }
    forged = as_json({"status": {"decisions": [entry]}})
    stage.passes("admin", "kubectl delete validatingwebhookconfiguration cabgate", "deleted")
    stage.passes("admin", "kubectl delete mutatingwebhookconfiguration cabgate", "deleted")
    forge = (
        f"kubectl patch {request.replace('.cabgate.dev', '')} -n {NS} --subresource=status "
        f"--type=merge -p '{forged}'"
    )
    stage.eventually("admin", forge, "patched")
    installation.configure_admission()
    installation.wait_until_gating()
    stage.refused("admin", "cabgate ledger verify", "Unsigned")


def _exception_ends(stage: Stage, installation: Installation) -> None:
    stage.scene(
        f"{DAYS_AHEAD} days on, the exception has ended",
        story="The operator is stopped, and the webhook started anew on a clock that is "
        f"{DAYS_AHEAD} days ahead: the end is computed, nobody has to write it down.",
    )
    if installation.operator is None or installation.webhook is None:
        raise OutcomeError("operator and webhook should be running")
    installation.operator.stop()
    installation.webhook.stop()
    os.environ[DAYS_VARIABLE] = str(DAYS_AHEAD)
    installation.start_webhook([sys.executable, "-m", "cabgate_demo.later"])
    stage.refused("requester", f"{SET_IMAGE}:1.2 -n {NS}", "ExceptionEnded")
    stage.passes("requester", f"kubectl scale deployment/checkout --replicas=2 -n {NS}", "scaled")


def _report(stage: Stage) -> None:
    stage.scene(
        "What happened, from the event store",
        story="A relay has followed the ledger all the time and kept each record in a database, "
        "here a file. It shows as the cluster does what was tampered with, and a report counts "
        "what was decided, by whom and how fast, the forged approval among it. -o json names the "
        "records behind each figure, -o html is a page to print.",
    )
    count = len(stage.quietly("admin", "kubectl get cabdecisions -o name").split())
    keys = "kubectl get configmap cabgate-signing-keys -n cabgate-system -o yaml"
    stage.file("keys.yaml", stage.quietly("admin", keys))
    verify = f"cabgate ledger verify --from {STORE} --keys keys.yaml"
    # Not before the relay has written the last record.
    whole = f"{count} records in 3 chains"
    stage.eventually("admin", verify, whole, "Unsigned", succeeds=False)
    stage.passes("admin", f"cabgate report --from {STORE}", "Approved by score")
