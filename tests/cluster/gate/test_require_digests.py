# SPDX-License-Identifier: Apache-2.0
"""`--require-digests-from`: from a ring on, an intent names its images by digest."""

import json
import re

import pytest

from cabgate_devcluster import DevCluster
from cabgate_devcluster.installed.installation import WEBHOOK_ARGV
from cabgate_samples.objects import GOOD, intent, target, workload
from support.gate import denial, install
from support.namespaces import create_namespace

SHA = "sha256:" + "0123456789abcdef" * 4
PINNED = f"web:1@{SHA}"


@pytest.fixture(scope="module")
def cluster():
    """A cluster of our own: its webhook has another option."""
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    """Before the option is given, there is an intent of tags."""
    gate = install(cluster)
    create_namespace(cluster, "before", "3")
    gate.open("before", GOOD, "AutoApproved")
    gate.installation.webhook.stop()
    gate.installation.start_webhook([*WEBHOOK_ARGV, "--require-digests-from", "3"])
    return gate


def refusal(gate, obj, verb="create", user="requester"):
    said = denial(gate.refused(user, verb, "-f", "-", stdin=json.dumps(obj)))
    assert said.startswith("DigestRequired: "), said
    assert len(said.encode()) <= 1000
    return said


def test_a_tag_without_a_digest_is_refused_by_its_path(gate, make_namespace):
    namespace = make_namespace("3")
    rows = {
        "spec.targets[0].images[0]": [target(["web:1"])],
        "spec.targets[0].images[1]": [target([PINNED, "web:2"])],
        "spec.targets[1].images[2]": [
            target([PINNED]),
            target([PINNED, f"tool@{SHA}", "side"], name="other"),
        ],
    }
    for path, targets in rows.items():
        for user in ("requester", "admin"):
            obj = intent(namespace, targets=targets)
            for verb in ("create", "apply"):
                said = refusal(gate, obj, verb, user)
                assert said.startswith(f"DigestRequired: {path}: names an image without a digest")
                assert f"namespace {namespace} is of ring 3" in said
                image = re.search(r": docker buildx imagetools inspect (\S+)$", said)[1]
                assert image in json.dumps(targets)
    result = gate.create("requester", intent(namespace), "--dry-run=server", check=False)
    assert denial(result).startswith("DigestRequired: ")
    assert gate.items("deploymentintents", namespace) == []


def test_it_depends_on_the_ring_of_the_namespace_as_it_is_now(gate, make_namespace):
    for ring, required in ((None, False), ("0", False), ("2", False), ("3", True), ("4", True)):
        namespace = make_namespace(ring)
        if required:
            refusal(gate, intent(namespace))
            continue
        gate.create("requester", intent(namespace))
        # Raised a moment ago: the webhook caches no label.
        gate.cluster.kubectl("label", "namespace", namespace, "cabgate.dev/ring=4", "--overwrite")
        said = refusal(gate, intent(namespace, name="second"))
        assert f"namespace {namespace} is of ring 4: from ring 3 on" in said


def test_what_stood_before_is_only_asked_when_its_targets_change(gate):
    gate.apply("requester", intent("before", summary="another word"))
    gate.kubectl("requester", "annotate", "deploymentintent", "web", "-n", "before", "note=x")
    changed = intent("before", images=("web:2",))
    refusal(gate, changed, "apply")
    for kind, body in (
        ("merge", {"spec": changed["spec"]}),
        ("json", [{"op": "replace", "path": "/spec/targets/0/images/0", "value": "web:2"}]),
    ):
        args = ("requester", "deploymentintent", "web", "before", body)
        assert denial(gate.patch(*args, kind=kind, check=False)).startswith("DigestRequired: ")
    args = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    said = gate.refused("requester", *args, stdin=json.dumps(changed))
    assert denial(said).startswith("DigestRequired: ")
    # What was approved by tag still rolls out, and rolls back.
    gate.create("requester", workload("before"), "--dry-run=server")


def test_what_is_named_by_digest_is_approved_and_rolls_out(gate, make_namespace):
    namespace = make_namespace("4")
    gate.open(namespace, GOOD, "AutoApproved", images=[PINNED])
    gate.create("requester", workload(namespace, images=[PINNED]))
