# SPDX-License-Identifier: Apache-2.0
"""What was refused counts for each image, on the real API server: in other sets, under other
requests, for no exception, and never in the way of what was approved and not refused."""

import json

from cabgate.api import DeploymentIntent
from cabgate.lifecycle.requests.opening import request_name
from cabgate.risk.evidence import evidence_digest
from cabgate_devcluster.waiting import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, target, workload
from support.gate import denial, paused

DB = target(["postgres:16"], name="db", kind="StatefulSet")


def release(gate, namespace, *images, evidence=GOOD, state="AutoApproved", beside=(), name="web"):
    """Name of the request of an intent for a Deployment, and what is beside it."""
    targets = [target(images), *beside]
    made = intent(namespace, name=name, evidence=evidence, targets=targets)
    gate.apply("requester", made)
    return gate.request_of(namespace, name, state)["metadata"]["name"]


def tried(gate, namespace, *images, kind="Deployment", name="web"):
    """What the gate says to a dry run of a rollout; empty where it passes."""
    obj = json.dumps(workload(namespace, name=name, kind=kind, images=images))
    args = ("apply", "--dry-run=server", "-f", "-")
    result = gate.kubectl("requester", *args, stdin=obj, check=False)
    return denial(result) if result.returncode else ""


def revoke(gate, name, namespace, *args, check=True, **review):
    review = {"verdict": "Revoked", "rationale": "CVE-2026-1", **review}
    body = {"status": {"review": review}}
    return gate.patch_status("security", "cabrequest", name, namespace, body, *args, check=check)


def refused(gate, name, namespace, **review):
    return denial(revoke(gate, name, namespace, check=False, **review))


def test_a_revocation_hits_what_its_reviewer_meant(gate, namespace):
    old = release(gate, namespace, "web:1", beside=[DB])
    new = release(gate, namespace, "web:2", beside=[DB])

    message = refused(gate, new, namespace)
    assert message.startswith("ImagesNeeded: status.review.images: ")
    assert f"covers StatefulSet db: postgres:16 (request {old})" in message
    assert "The command below denies Deployment web: web:2. " in message
    assert "it denies Deployment web: web:2, StatefulSet db: postgres:16." in message
    assert "web:9 is not an image of request" in refused(gate, new, namespace, images=["web:9"])
    wrong = gate.review(
        "reviewer", "cabrequest", new, namespace, "Rejected", check=False, images=["web:2"]
    )
    assert wrong.returncode != 0

    dry = revoke(gate, new, namespace, "--dry-run=server", images=["*"])
    assert "denied from then on: Deployment web: web:2" in dry.stderr
    assert "denied from then on: StatefulSet db: postgres:16" in dry.stderr
    assert tried(gate, namespace, "web:2") == ""

    # As the message says it, with a rationale.
    command = message.partition("Revoke with: ")[2].replace("<why>", "CVE-2026-1")
    done = gate.shell("security", command)
    assert done.returncode == 0, done.stderr
    assert "denied from then on: Deployment web: web:2" in done.stderr
    assert "postgres" not in done.stderr
    entry = gate.get("cabrequest", new, namespace)["status"]["decisions"][-1]
    assert entry["images"] == ["web:2"]
    assert entry["signature"]

    assert tried(gate, namespace, "web:2").startswith("Revoked: ")
    assert tried(gate, namespace, "web:1") == ""
    assert tried(gate, namespace, "postgres:16", kind="StatefulSet", name="db") == ""

    def recorded():
        listed = json.loads(gate.cluster.kubectl("get", "cabdecisions", "-o", "json").stdout)
        for item in listed["items"]:
            spec = item["spec"]
            if spec["subject"]["name"] == new and spec["verdict"] == "Revoked":
                return spec
        return None

    record = wait_until(recorded, "a record of the revocation")
    assert (record["images"], record["signature"]) == (["web:2"], entry["signature"])


def test_a_revoked_image_is_denied_in_another_set_until_a_person_approves_it(gate, namespace):
    first = release(gate, namespace, "bad:1")
    wider = release(gate, namespace, "bad:1", "pause:1", evidence=MIDDLING, state="Submitted")
    gate.review("reviewer", "cabrequest", wider, namespace, "Approved")
    assert tried(gate, namespace, "bad:1", "pause:1") == ""
    revoke(gate, first, namespace, images=["*"])
    for images in (["bad:1"], ["bad:1", "pause:1"]):
        message = tried(gate, namespace, *images)
        assert message.startswith("Revoked: "), images
    assert "but image bad:1 of Deployment web was revoked at" in message
    assert tried(gate, namespace, "pause:1") == ""

    again = release(gate, namespace, "bad:1", "side:1", state="Submitted")
    [floor] = gate.get("cabrequest", again, namespace)["spec"]["assessment"]["floors"]
    assert floor["name"] == "EarlierVerdict"
    assert f"request {first} was revoked by security" in floor["explanation"]
    with paused(gate.installation.operator):
        gate.review("reviewer", "cabrequest", again, namespace, "Approved")
        assert tried(gate, namespace, "bad:1", "side:1") == ""
        # It may be of who submits at the same moment, until the operator has looked.
        assert tried(gate, namespace, "bad:1", "pause:1").startswith("Revoked: ")
    wait_until(lambda: tried(gate, namespace, "bad:1", "pause:1") == "", "it counts for others")
    assert tried(gate, namespace, "bad:1") == ""
    # Nothing refuses it now, so that a score may approve it again.
    release(gate, namespace, "bad:1", "side:2")
    assert tried(gate, namespace, "bad:1", "side:2") == ""


def test_a_rejection_keeps_its_images_from_a_score_and_takes_nothing_away(gate, namespace):
    release(gate, namespace, "bad:1", "old:1")
    # The workload is named under two versions of its API: both count.
    targets = [
        target(["bad:1", "side:1"]),
        target(["other:1"], api_version="apps/v1beta1"),
    ]
    made = intent(namespace, evidence=MIDDLING, targets=targets)
    gate.apply("requester", made)
    no = gate.request_of(namespace, "web", "Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", no, namespace, "Rejected")
    assert tried(gate, namespace, "bad:1", "old:1") == ""
    for images in (["bad:1", "side:2"], ["bad:1"], ["side:1"], ["other:1"]):
        name = release(gate, namespace, *images, state="Submitted")
        spec = gate.get("cabrequest", name, namespace)["spec"]["assessment"]
        assert (spec["score"], spec["gate"]) == ("0.00", "ManualReview"), images
    release(gate, namespace, "side:2")


def test_no_exception_decides_in_the_place_of_a_reviewer(gate, namespace):
    made = intent(namespace, evidence=MIDDLING)
    spec = DeploymentIntent.model_validate(made).spec
    name = request_name("web", evidence_digest(spec))
    early = exception(namespace, name, name="early")
    assert "there is no CABRequest" in gate.create("requester", early).stderr
    assert release(gate, namespace, "web:1", evidence=MIDDLING, state="Submitted") == name

    late = exception(namespace, name, name="late")
    message = denial(gate.create("requester", late, check=False))
    assert message.startswith("ExceptionNotAllowed: spec.requestRef.name: ")
    assert f"request {name} waits for a CAB member (score 52.50, ManualReview)" in message
    assert message.endswith("\"}}}'")

    def said():
        conditions = gate.get("cabexception", "early", namespace)["status"].get("conditions", [])
        return next((c for c in conditions if c["reason"] == "ExceptionNotAllowed"), None)

    assert f"request {name} waits for a CAB member" in wait_until(said, "why")["message"]
    decided = gate.review("security", "cabexception", "early", namespace, "Approved", check=False)
    assert denial(decided).startswith("ExceptionNotAllowed: ")
    gate.review("reviewer", "cabrequest", name, namespace, "Rejected", rationale="no rollback")
    decided = gate.review("security", "cabexception", "early", namespace, "Approved", check=False)
    assert "was rejected by reviewer: no rollback. No exception admits it: ask reviewer" in (
        denial(decided)
    )
    assert tried(gate, namespace, "web:1").startswith("Rejected: ")
    gate.review("security", "cabexception", "early", namespace, "Rejected")

    risky = release(gate, namespace, "web:2", evidence=BAD, state="ExceptionRequired")
    gate.create("requester", exception(namespace, risky))
    gate.review("security", "cabexception", "leave", namespace, "Approved")
    assert tried(gate, namespace, "web:2") == ""
    revoke(gate, risky, namespace)
    assert tried(gate, namespace, "web:2").startswith("Revoked: ")
    again = gate.create("requester", exception(namespace, risky, name="again"), check=False)
    assert "is revoked by security: CVE-2026-1" in denial(again)


def test_the_worst_refusals_are_not_in_the_way(gate, namespace):
    """Scaling, restarts, deletion, and the rollback to what was approved and not revoked."""
    release(gate, namespace, "web:1", "side:1", evidence=MIDDLING, state="Submitted")
    kept = gate.request_of(namespace)["metadata"]["name"]
    gate.review("reviewer", "cabrequest", kept, namespace, "Approved")
    gate.apply("requester", workload(namespace, images=["web:1", "side:1"]))
    for number in (2, 3):
        images = [f"web:{number}", "side:1"]
        bad = release(gate, namespace, *images)
        gate.apply("requester", workload(namespace, images=images))
        revoke(gate, bad, namespace, images=[f"web:{number}"])
    no = release(gate, namespace, "web:1", "side:1", "web:4", evidence=MIDDLING, state="Submitted")
    gate.review("reviewer", "cabrequest", no, namespace, "Rejected")

    where = ("-n", namespace)
    gate.kubectl("requester", "scale", "deployment/web", "--replicas=3", *where)
    gate.kubectl("requester", "rollout", "restart", "deployment/web", *where)
    gate.kubectl("requester", "annotate", "deployment/web", "note=x", *where)
    assert tried(gate, namespace, "web:2", "side:1").startswith("Revoked: ")
    back = workload(namespace, images=["web:1", "side:1"])
    gate.apply("requester", back)
    gate.kubectl("requester", "delete", "deployment", "web", *where)
    gate.create("requester", back)
