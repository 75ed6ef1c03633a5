# SPDX-License-Identifier: Apache-2.0
"""What an intent says is what its owner last declared; a target that can never match is told."""

import sys
from pathlib import Path

import yaml

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING, intent, target, workload
from support.gate import denial
from support.gitops import FLUX, helm


def apply_as(gate, manager, obj, *args, check=True):
    flags = ("--server-side", f"--field-manager={manager}", *args)
    return gate.apply("requester", obj, *flags, check=check)


def declared(gate, namespace):
    spec = dict(gate.get("deploymentintent", "web", namespace)["spec"])
    spec.pop("submittedBy")
    return spec


def test_what_was_added_by_hand_is_gone_with_the_next_release(gate, namespace):
    first = intent(namespace, images=["web:1", "side:1"], evidence=MIDDLING)
    apply_as(gate, FLUX, first, "--force-conflicts")
    found = gate.get("deploymentintent", "web", namespace)["spec"]
    found["targets"][0]["images"].append("evil:1")
    found["targets"].append(target(["evil:2"], name="other"))
    found["evidence"]["artifacts"].append({"name": "old"})
    found["evidence"]["manualTesting"]["uri"] = "https://example.com/old"
    found["evidence"]["rollbackPlan"]["sha256"] = "a" * 64
    body = {"spec": {key: found[key] for key in ("targets", "evidence")}}
    gate.patch("requester", "deploymentintent", "web", namespace, body)
    assert len(declared(gate, namespace)["targets"]) == 2
    # Git goes on, and is told, unless it forces its will as Flux does.
    evidence = {key: value for key, value in MIDDLING.items() if key != "rollbackPlan"}
    newer = intent(namespace, images=["web:2"], evidence=evidence)
    told_so = apply_as(gate, FLUX, newer, check=False)
    assert told_so.returncode != 0
    assert "conflict" in told_so.stderr
    for field in (".spec.targets", ".spec.evidence"):
        assert f"- {field}\n" in told_so.stderr
    apply_as(gate, FLUX, newer, "--force-conflicts")
    assert declared(gate, namespace) == newer["spec"]


def test_two_owners_of_one_intent_are_told(gate, namespace):
    """By kubectl and by Helm, in the words that docs/gitops has."""

    def of(image):  # with the same evidence, whatever the image
        artifacts = [{"name": "web", "images": ["web:1"]}]
        evidence = {**GOOD, "artifacts": artifacts}
        made = intent(namespace, images=["web:1"], evidence=evidence)
        return {**made, "spec": {**made["spec"], "targets": [target([image])]}}

    apply_as(gate, "team-a", of("web:1"))
    second = apply_as(gate, "team-b", of("web:2"), check=False)
    assert second.returncode == 1
    assert 'Apply failed with 1 conflict: conflict with "team-a": .spec.targets' in second.stderr
    assert declared(gate, namespace)["targets"] == [target(["web:1"])]
    # The same content is no conflict, and both own it.
    apply_as(gate, "team-b", of("web:1"))
    # One that changes what both declare takes neither's list for its own.
    third = apply_as(gate, "team-a", of("web:3"), check=False)
    assert 'conflict with "team-b": .spec.targets' in third.stderr


def test_helm_tells_of_another_owner(gate, namespace, tmp_path):
    gate.user("deployer")
    gate.bind("deployer", "admin", namespace)
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")

    def released(image):
        obj = intent(namespace, images=[image])
        (chart / "templates" / "intent.yaml").write_text(yaml.safe_dump(obj))
        args = ("upgrade", "--install", "web", chart, "-n", namespace, "--server-side=true")
        return helm(gate.cluster, *args, user=gate.user("deployer"))

    assert released("web:1").returncode == 0
    body = {"spec": {"targets": [target(["web:1", "evil:1"])]}}
    gate.patch("requester", "deploymentintent", "web", namespace, body)
    refused = released("web:2")
    assert refused.returncode != 0
    assert "conflict" in refused.stderr, refused.stderr
    assert ".spec.targets" in refused.stderr
    assert gate.items("deploymentintents", namespace)[0]["spec"]["targets"][0]["images"] == [
        "web:1",
        "evil:1",
    ]


def test_lists_name_every_target_and_who_submitted(gate, namespace):
    targets = [
        target(["web:1"]),
        target(["report:1"], name="report", kind="CronJob", api_version="batch/v1"),
        target(["postgres:16"], name="db", kind="StatefulSet"),
    ]
    applied = gate.apply("requester", intent(namespace, targets=targets, evidence=MIDDLING))
    assert "Warning: web: score 52.50, ManualReview: a CAB member who did not" in applied.stderr
    gate.request_of(namespace, state="Submitted")
    shown = "3: Deployment/web, CronJob/report, StatefulSet/db"

    def listed(resource):
        return gate.kubectl("reviewer", "get", resource, "-n", namespace).stdout.splitlines()

    heads, row = listed("cabreq")
    assert heads.split() == ["NAME", "STATE", "SCORE", "GATE", *COLUMNS]
    assert " ".join(row.split()).split(" ManualReview ")[1].startswith(f"{shown} requester 2 ")
    heads, row = listed("di")
    assert heads.split()[-3:] == ["TARGETS", "AGE", "MESSAGE"]
    assert shown in row
    assert "waits for a CAB member (score 52.50, ManualReview)." in row


OURS = {"team": "shop", "app.kubernetes.io/part-of": "till"}
OF_TOOLS = {
    "app.kubernetes.io/instance": "web",
    "argocd.argoproj.io/instance": "web",
    "kustomize.toolkit.fluxcd.io/name": "web",
}


def test_a_request_is_found_by_its_team_and_its_ticket_and_is_no_tools_own(gate, namespace):
    made = intent(namespace, evidence=MIDDLING, correlationID=f"CHG-{namespace}")
    made["metadata"]["labels"] = {**OURS, **OF_TOOLS, "tier": "gold"}
    gate.apply("requester", made)
    found = gate.request_of(namespace, state="Submitted")["metadata"]
    copied = {k: v for k, v in found["labels"].items() if not k.startswith("target.cabgate.dev/")}
    assert copied == OURS
    # A record: what the intent is called later is not its.
    change = {"metadata": {"labels": {"team": "bank"}}}
    gate.patch("requester", "deploymentintent", "web", namespace, change)

    def queued(options):
        program = Path(sys.executable).with_name("cabgate")
        queue = gate.shell("reviewer", f"cabgate queue -n {namespace} {options}", program)
        assert queue.returncode == 0, queue.stderr
        return found["name"] in queue.stdout

    assert [queued(f"-l team={team}") for team in ("shop", "bank")] == [True, False]
    tickets = (f"CHG-{namespace}", "CHG-1")
    assert [queued(f"--correlation-id {ticket}") for ticket in tickets] == [True, False]
    for selector in ("-lteam=shop", f"--field-selector=spec.correlationID=CHG-{namespace}"):
        listed = gate.kubectl("reviewer", "get", "cabreq", "-n", namespace, "-oname", selector)
        assert listed.stdout.split() == [f"cabrequest.cabgate.dev/{found['name']}"]
    gate.review("reviewer", "cabrequest", found["name"], namespace, "Approved")
    selector = f"--field-selector=spec.correlationID=CHG-{namespace}"

    def recorded():
        return gate.cluster.kubectl("get", "cabdec", "-oname", selector).stdout.split()

    wait_until(recorded, "the ledger's record, found by the ticket")


COLUMNS = ["TARGETS", "SUBMITTER", "RING", "AGE"]
NEVER = [
    ({"kind": "deployment"}, "write apiVersion: apps/v1 and kind: Deployment"),
    ({"api_version": "v1"}, "write apiVersion: apps/v1 and kind: Deployment"),
    ({"api_version": "extensions/v1beta1"}, "write apiVersion: apps/v1 and kind: Deployment"),
    ({"kind": "Deployments"}, "write apiVersion: apps/v1 and kind: Deployment"),
    ({"name": "Web_App"}, "such as web-app"),
    ({"kind": "Service", "api_version": "v1"}, "allowed: apps/v1 Deployment, "),
]


def test_a_target_that_can_never_match_is_refused_with_the_right_spelling(gate, namespace):
    for number, (fields, said) in enumerate(NEVER):
        obj = intent(namespace, name=f"t{number}", targets=[target(["web:1"], **fields)])
        for args in ((), ("--server-side",)):
            message = denial(gate.apply("requester", obj, *args, check=False))
            assert message.startswith("TargetNotGated: spec.targets[0]."), (fields, message)
            assert said in message, (fields, message)
    assert gate.items("deploymentintents", namespace) == []
    gate.apply("requester", intent(namespace))
    bad = {"spec": {"targets": [target(["web:1"], kind="deploy")]}}
    patched = gate.patch("requester", "deploymentintent", "web", namespace, bad, check=False)
    assert denial(patched).startswith("TargetNotGated: spec.targets[0].kind: ")


def test_a_custom_kind_that_is_not_gated_keeps_the_intent_from_being_ready(gate, namespace):
    widget = target(["w:1"], name="w", kind="Widget", api_version="example.com/v1")
    obj = intent(namespace, evidence=GOOD, targets=[target(["web:1"]), widget])
    warned = gate.apply("requester", obj)
    assert "Warning: spec.targets[1].kind: example.com/v1 Widget is not gated by" in warned.stderr
    gate.request_of(namespace, state="AutoApproved")

    def ready():
        status = gate.get("deploymentintent", "web", namespace)["status"]
        [found] = [each for each in status["conditions"] if each["type"] == "Ready"]
        return found if found["reason"] == "TargetNotGated" else None

    found = wait_until(ready, "an intent that tells of what is not gated")
    assert found["status"] == "False"
    assert found["message"].startswith("spec.targets[1].kind: example.com/v1 Widget is not gated")
    # The other target is what it is.
    gate.apply("requester", workload(namespace))


def test_a_time_that_no_later_write_could_read_is_refused(gate, namespace):
    """RFC 3339 takes small letters; rules of the schema do not."""
    testing = {"status": "NotStarted", "at": "2026-02-27t15:30:00z"}
    made = intent(namespace, evidence={**MIDDLING, "manualTesting": testing})
    message = denial(gate.create("requester", made, check=False))
    assert message.startswith("Invalid: spec.evidence.manualTesting.at: is not a time; allowed: ")
    assert "RFC 3339, such as 2026-01-31T12:00:00Z" in message
    testing["at"] = "2026-02-27T15:30:00.5+01:00"
    made = intent(namespace, evidence={**MIDDLING, "manualTesting": testing})
    gate.create("requester", made)
    name = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Rejected")
