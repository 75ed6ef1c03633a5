# SPDX-License-Identifier: Apache-2.0
"""The command line against the real API server, run as a user would."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from cabgate_samples.objects import MIDDLING, intent, workload

CABGATE = Path(sys.executable).with_name("cabgate")
IMAGES = ("registry.example.com/web:1", "registry.example.com/proxy@sha256:" + "a" * 64)


def cabgate(gate, user, arguments):
    return gate.shell(user, f"cabgate {arguments}", CABGATE)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_an_intent_for_a_running_workload_can_be_applied_as_printed(gate, make_namespace, kind):
    namespace = make_namespace(ring=None)
    gate.create("requester", workload(namespace, kind=kind, images=IMAGES))
    printed = cabgate(gate, "requester", f"intent -n {namespace} {kind.lower()}/web")
    assert printed.returncode == 0, printed.stderr
    gate.kubectl("requester", "apply", "-f", "-", stdin=printed.stdout)
    request = gate.request_of(namespace, state="ExceptionRequired")
    assert request["spec"]["targets"] == [
        {"apiVersion": "apps/v1", "kind": kind, "name": "web", "images": sorted(IMAGES)}
    ]


def test_the_intent_of_the_cluster_is_brought_up_to_date_and_can_be_applied(gate, namespace):
    artifacts = [{"name": "web", "images": ["web:1"]}, {"name": "proxy", "images": ["proxy:1"]}]
    old = intent(
        namespace, images=["web:1", "proxy:1"], evidence={**MIDDLING, "artifacts": artifacts}
    )
    gate.apply("requester", old)
    images = "--image web:2 --image proxy:1"
    printed = cabgate(gate, "requester", f"intent -n {namespace} deploy/web {images} --live")
    assert printed.returncode == 0, printed.stderr
    evidence = {**old["spec"]["evidence"], "artifacts": artifacts[1:]}
    targets = [{**old["spec"]["targets"][0], "images": ["proxy:1", "web:2"]}]
    assert yaml.safe_load(printed.stdout) == {
        **old,
        "spec": {"targets": targets, "evidence": evidence},
    }
    gate.kubectl("requester", "apply", "-f", "-", stdin=printed.stdout)
    request = gate.request_of(namespace, state="Submitted")
    assert request["spec"]["targets"] == targets
    assert "artifacts[].images: web:2" in request["spec"]["assessment"]["missing"]


def test_the_command_that_a_denial_names_makes_the_intent_that_is_missing(gate, namespace):
    denial = gate.refused(
        "requester", "create", "-f", "-", stdin=json.dumps(workload(namespace, images=IMAGES))
    )
    command = denial[denial.rindex("cabgate intent") :].strip()
    printed = gate.shell("requester", command, CABGATE)
    assert printed.returncode == 0, printed.stderr
    gate.kubectl("requester", "apply", "-f", "-", stdin=printed.stdout)
    request = gate.request_of(namespace, state="ExceptionRequired")
    assert set(request["spec"]["targets"][0]["images"]) == set(IMAGES)


def test_the_printed_score_is_the_operators(gate, namespace):
    printed = cabgate(gate, "requester", f"intent -n {namespace} deployment/web --image web:1")
    gate.kubectl("requester", "apply", "-f", "-", stdin=printed.stdout)
    path = gate.cluster.directory / f"{namespace}.yaml"
    path.write_text(printed.stdout)
    score = yaml.safe_load(cabgate(gate, "requester", f"score -o yaml -f {path}").stdout)
    request = gate.request_of(namespace)
    text = json.dumps(score)
    assert request["spec"]["evidenceDigest"] in text
    assert request["spec"]["assessment"]["score"] in text
    assert request["metadata"]["name"] in text


def test_the_command_for_an_exception_asks_for_what_the_denial_says(gate, namespace):
    printed = cabgate(gate, "requester", f"intent -n {namespace} deployment/web --image web:1")
    gate.kubectl("requester", "apply", "-f", "-", stdin=printed.stdout)
    gate.request_of(namespace, state="ExceptionRequired")
    denial = gate.refused("requester", "create", "-f", "-", stdin=json.dumps(workload(namespace)))
    command = denial[denial.index("cabgate exception") :].strip()
    asked = gate.shell("requester", f"{command} --reason urgent --control 'a flag'", CABGATE)
    assert asked.returncode == 0, asked.stderr
    gate.kubectl("requester", "apply", "-f", "-", stdin=asked.stdout)
    assert len(gate.items("cabexception", namespace)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("intent -n {ns} deployment/absent", 4, "absent"),
        ("intent -n {ns} service/web", 2, "deployment"),
        ("intent -n {ns} deployment/web --kubeconfig /nowhere", 4, "/nowhere"),
    ],
)
def test_what_cannot_be_read_is_said_without_a_traceback(
    gate, make_namespace, arguments, code, said
):
    namespace = make_namespace(ring=None)
    result = cabgate(gate, "requester", arguments.format(ns=namespace))
    assert result.returncode == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_somebody_without_rights_is_told_so(gate, namespace):
    result = cabgate(gate, "nobody", f"intent -n {namespace} deployment/web")
    assert result.returncode == 4
    assert "you may not read deployment/web" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_exception_whose_text_nobody_has_written_is_refused(gate, namespace):
    printed = cabgate(gate, "requester", f"exception -n {namespace} web-00000000")
    assert "TODO:" in printed.stdout
    refused = gate.refused("requester", "apply", "-f", "-", stdin=printed.stdout)
    assert "replace what begins with TODO:" in refused
