# SPDX-License-Identifier: Apache-2.0
"""Each command that a denial names is run as it stands, and leads where the denial says."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING, about, intent, target, workload
from support.cli import CABGATE, serve_rollouts
from support.denied import denied, edited, run
from support.gate import denial as denial_of
from support.gate import paused
from support.gated import KINDS, changed, gated
from support.reviews import middling


@pytest.fixture(scope="module", autouse=True)
def rollouts(gate):
    serve_rollouts(gate)


def complete(printed):
    """What a team fills in: all but what the evidence is about, which is there."""
    spec = printed["spec"]
    spec["evidence"] = {**about(GOOD, spec["targets"]), **spec["evidence"]}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_intent_that_a_denial_names_lets_every_kind_through(gate, namespace, kind):
    obj = gated(kind, namespace)
    if kind == "PodTemplate":
        # Nothing runs by one, but it is gated like the others; the stock roles may not write it.
        gate.bind("requester", "cluster-admin", namespace)
    denial = denied(gate, "NoRequest", obj)
    printed = yaml.safe_load(run(gate, "requester", denial))
    complete(printed)
    gate.apply("requester", printed)
    gate.request_of(namespace, state="AutoApproved")
    gate.create("requester", obj)


def test_one_command_of_any_denial_writes_one_intent_for_several_workloads(
    gate, namespace, tmp_path
):
    objects = [gated(kind, namespace, "shop") for kind in ("Deployment", "StatefulSet", "CronJob")]
    manifest = tmp_path / "release.yaml"
    manifest.write_text(yaml.safe_dump_all(objects))
    denials = [denied(gate, "NoRequest", obj) for obj in objects]
    [command] = {re.search(r"cabgate intent -n \S+ -f \S+", denial)[0] for denial in denials}
    result = gate.shell("requester", command.replace("MANIFEST.yaml", str(manifest)), CABGATE)
    assert result.returncode == 0, result.stderr
    printed = yaml.safe_load(result.stdout)
    complete(printed)
    gate.apply("requester", printed)
    gate.request_of(namespace, printed["metadata"]["name"], "AutoApproved")
    for obj in objects:
        gate.create("requester", obj)


def test_a_generated_name_and_a_job_of_a_cron_job_are_named_so_that_the_next_is_covered(
    gate, namespace
):
    job = gated("Job", namespace, "migrate")
    job["metadata"] = {"generateName": "migrate-", "namespace": namespace}
    printed = yaml.safe_load(run(gate, "requester", denied(gate, "NoRequest", job)))
    complete(printed)
    gate.apply("requester", printed)
    gate.request_of(namespace, "migrate", "AutoApproved")
    for _ in range(2):
        gate.create("requester", job)


def conditional(gate, namespace, name, evidence, **condition):
    opened = gate.open(namespace, evidence, "Submitted", name=name, targets=[
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "images": ["web:1"]}
    ])  # fmt: skip
    conditions = [{"name": "calm", "description": "outside of the sale", **condition}]
    gate.review(
        *("reviewer", "cabrequest", opened, namespace, "ConditionallyApproved"),
        conditions=conditions,
    )
    return opened


def moment(**shift):
    return f"{datetime.now(UTC) + timedelta(**shift):%Y-%m-%dT%H:%M:%SZ}"


def test_the_commands_of_conditions_lead_on(gate, namespace, tmp_path):
    """Each situation has a workload of its own."""
    early = conditional(gate, namespace, "early", middling(1), notBefore=moment(days=1))
    conditional(gate, namespace, "late", middling(2), notAfter=moment(seconds=-30))
    conditional(gate, namespace, "watch", middling(3), attestation="Required")

    assert early in run(gate, "requester", denied(
        gate, "OutsideWindow", workload(namespace, name="early")))  # fmt: skip

    late = denied(gate, "OutsideWindow", workload(namespace, name="late"))
    edited(gate, late, "s/passed: 102/passed: 202/", tmp_path)
    gate.request_of(namespace, "late", "Submitted")

    run(gate, "reviewer", denied(gate, "AttestationMissing", workload(namespace, name="watch")))
    gate.create("requester", workload(namespace, name="watch"))


def test_the_commands_after_a_verdict_lead_to_a_new_one(gate, namespace, tmp_path):
    name = gate.open(namespace, MIDDLING, "Submitted")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    gate.review("security", "cabrequest", name, namespace, "Revoked")
    revoked = denied(gate, "Revoked", workload(namespace))
    edited(gate, revoked, "s/passed: 10/passed: 11/", tmp_path)
    name = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Rejected")
    gate.kubectl("requester", "delete", "deploymentintent", "web", "-n", namespace)
    alone = gate.open(
        *(namespace, middling(7), "Submitted"),
        name="alone",
        targets=[{"apiVersion": "apps/v1", "kind": "Deployment", "name": "b", "images": ["b:1"]}],
    )
    gate.kubectl("requester", "delete", "deploymentintent", "alone", "-n", namespace)
    gate.wait_state("cabrequest", alone, namespace, "Superseded")
    # The intent is gone, and the command works all the same.
    run(gate, "requester", denied(
        gate, "Superseded", workload(namespace, name="b", images=["b:1"])))  # fmt: skip


def test_what_the_operator_is_about_to_approve_can_be_looked_at(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    with paused(gate.installation.operator):
        waits = denied(gate, "ReviewPending", workload(namespace))
    assert name in waits
    run(gate, "reviewer", waits)
    gate.create("requester", workload(namespace))


def test_an_image_patched_onto_a_pod_is_approved_by_the_way_that_the_denial_names(
    gate, namespace, tmp_path
):
    pod = {"apiVersion": "v1", "kind": "Pod", "name": "web", "images": ["web:1"]}
    gate.open(namespace, GOOD, "AutoApproved", targets=[pod])
    obj = gated("Pod", namespace)
    obj["spec"]["containers"][0]["image"] = "web:1"
    gate.create("requester", obj)
    body = changed("Pod", containers=[{"name": "c0", "image": "web:2"}])

    def patch():
        return gate.patch("requester", "pod", "web", namespace, body, kind="strategic", check=False)

    denial = denial_of(patch())
    assert denial.startswith(f"ImagesNotCovered: Pod web in namespace {namespace} (ring 2)")
    # The image that runs now, and reports of its own.
    edited(gate, denial, "s/- web:1/- web:2/; s#Results$#Results/2#", tmp_path)
    gate.request_of(namespace, state="AutoApproved")
    wait_until(lambda: patch().returncode == 0, "the new image passes")


def test_a_queue_starts_a_job_of_a_generated_name_under_its_approval(gate, namespace):
    """It writes the template while the Job is suspended, as queues do."""
    named = [target(["web:1"], "train-*", kind="Job", api_version="batch/v1")]
    gate.apply("requester", intent(namespace, targets=named))
    gate.request_of(namespace, state="AutoApproved")
    pod = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "web:1"}]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "train-", "namespace": namespace},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
    by_revision = {"name": "train-1a2b3c", **job["metadata"]}
    gate.create("requester", job)
    gate.create("requester", {**job, "metadata": by_revision})
    names = [each["metadata"]["name"] for each in gate.items("jobs", namespace)]
    assert len(names) == 2
    start = {"suspend": False, "template": {"spec": {"nodeSelector": {"pool": "training"}}}}
    for name in names:
        gate.patch("requester", "job", name, namespace, {"spec": start})
        live = gate.get("job", name, namespace)["spec"]
        assert live["suspend"] is False
        assert live["template"]["spec"]["nodeSelector"] == {"pool": "training"}
