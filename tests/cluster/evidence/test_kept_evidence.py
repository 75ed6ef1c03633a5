# SPDX-License-Identifier: Apache-2.0
"""What is kept beside a request on the real API server: written by the operator before it, checked
when it is opened, changed by nobody, read by people and at no rollout, and gone with it."""

import copy
import json
import sys
from pathlib import Path

import pytest

from cabgate.api import DeploymentIntent
from cabgate.lifecycle.requests.kept_evidence import evidence_for
from cabgate.lifecycle.requests.opening import request_for
from cabgate.rollout.templates import form_text, template_of_forms
from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING, about, declared, target
from support.bound import approve, approved, full
from support.clients import client_of
from support.gate import denial, paused
from support.gated import changed

CABGATE = Path(sys.executable).with_name("cabgate")
OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
PATH = "/apis/cabgate.dev/v1alpha1/namespaces"


def template(command="serve"):
    return template_of_forms([{"containers": {"web": {"command": [command]}}}])


def bound(namespace, command="serve", **spec):
    """An intent that says what its containers do, and writes it out."""
    made = template(command)
    targets = [{**target(["web:1"]), "template": made.digest, "templateFields": made.fields}]
    forms = [{"template": made.digest, "form": form_text(made)}]
    spec = {"templateForms": forms, **spec}
    return declared(namespace, "web", targets, about(MIDDLING, targets), **spec)


def posted(gate, plural, namespace, obj):
    """The answer to the creation of an object by the operator."""
    made = {"apiVersion": "cabgate.dev/v1alpha1", **obj}
    made["metadata"].setdefault("namespace", namespace)
    with client_of(gate.user(OPERATOR)) as client:
        return client.post(f"{PATH}/{namespace}/{plural}", json=made)


def removed(gate, plural, namespace, name):
    with client_of(gate.user(OPERATOR)) as client:
        return client.delete(f"{PATH}/{namespace}/{plural}/{name}")


def gone(gate, namespace, name):
    return not [
        each for each in gate.items("cabevidences", namespace) if each["metadata"]["name"] == name
    ]


def test_reviewers_see_the_command_that_changes_and_what_was_signed(gate, namespace, tmp_path):
    obj = full("Deployment", namespace)
    first = approved(gate, tmp_path, namespace, obj)
    kept = gate.get("cabevidence", first, namespace)
    request = gate.get("cabrequest", first, namespace)
    assert kept["spec"]["evidenceDigest"] == request["spec"]["evidenceDigest"]
    assert "templateForms" not in json.dumps(request), "no rollout reads it"
    for user in ("requester", "reviewer", "security"):
        gate.kubectl(user, "get", "cabevidence", first, "-n", namespace)
    spec = copy.deepcopy(obj)
    pod = spec["spec"]["template"]["spec"]["containers"][0]
    pod["command"] = ["sh", "-c", "curl evil"]
    pod["securityContext"]["runAsUser"] = 0
    pod["env"][0]["value"] = "s3cret"
    approve(gate, tmp_path, namespace, spec)
    digest = gate.get("deploymentintent", "web", namespace)["spec"]["targets"][0]["template"]

    def opened():
        found = gate.request_of(namespace, "web")
        return found if found["spec"]["targets"][0]["template"] == digest else None

    second = wait_until(opened, "the request of the second release")["metadata"]["name"]
    for command in ("show", "diff"):
        shown = gate.shell("reviewer", f"cabgate {command} {second} -n {namespace}", CABGATE).stdout
        assert 'containers[c0].command\n      - ["serve"]\n      + ["sh","-c","curl evil"]' in shown
        assert '"runAsUser":1000' in shown
        assert '"runAsUser":0' in shown
        assert '{"name":"LEVEL","value":"sha256:' in shown
        assert "s3cret" not in shown


def test_nobody_but_the_operator_writes_what_is_kept_beside_a_request(
    gate, namespace, make_namespace
):
    gate.bind("mallory", "cluster-admin", namespace)
    gate.apply("requester", bound(namespace))
    name = gate.request_of(namespace)["metadata"]["name"]
    kept = gate.get("cabevidence", name, namespace)
    made = {**kept, "metadata": {"name": "web-00000000", "namespace": namespace}}
    for user in ("requester", "reviewer"):
        assert "forbidden" in gate.create(user, made, check=False).stderr
    for user in ("mallory", "admin"):
        said = gate.create(user, made, check=False).stderr
        assert "only the cabgate operator creates it" in said, said
        for patch in (
            {"spec": {"templateForms": []}},
            {"metadata": {"labels": {"a": "b"}}},
            {"metadata": {"annotations": {"a": "b"}}},
            {"metadata": {"finalizers": ["example.com/stay"]}},
        ):
            said = gate.patch(user, "cabevidence", name, namespace, patch, check=False).stderr
            assert "never change" in said, said
        said = gate.kubectl(
            user, "delete", "cabevidence", name, "-n", namespace, check=False
        ).stderr
        assert "a CABRequest is a record, with the CABEvidence of its name" in said, said
    assert gate.get("cabevidence", name, namespace) == kept
    # Not the operator either: what is kept stays what it was.
    with client_of(gate.user(OPERATOR)) as client:
        answer = client.put(
            f"{PATH}/{namespace}/cabevidences/{name}", json={**kept, "spec": {
                **kept["spec"], "templateForms": []}}
        )  # fmt: skip
    assert answer.status_code in (403, 422), answer.text


def test_the_webhook_opens_no_request_on_other_evidence_than_the_live_intent_has(
    gate, namespace, make_namespace
):
    """It believes no operator: what is kept may be absent, of another request or namespace, forged,
    or deleted between the two writes."""
    other = make_namespace()
    with paused(gate.installation.operator):
        gate.apply("requester", bound(namespace))
        gate.apply("requester", bound(other, "sh"))
        live, elsewhere = (
            DeploymentIntent.model_validate(gate.get("deploymentintent", "web", each))
            for each in (namespace, other)
        )
        right = {"kind": "CABEvidence", **evidence_for(live).to_dict()}
        wrong = {"kind": "CABEvidence", **evidence_for(elsewhere).to_dict()}
        name = right["metadata"]["name"]
        request = request_for(live, 2)
        body = {"kind": "CABRequest", **request.to_dict()}
        body["metadata"]["labels"] = dict(request.metadata.labels)

        def opened():
            return posted(gate, "cabrequests", namespace, copy.deepcopy(body))

        assert posted(gate, "cabevidences", other, wrong).status_code == 201
        answer = opened()
        assert answer.status_code == 403
        assert f"there is no CABEvidence {name} with what the live" in answer.json()["message"]
        lie = {**right["spec"]["templateForms"][0], "form": form_text(template("sh"))}
        for spec in (
            wrong["spec"],
            {**right["spec"], "templateForms": [lie]},
            {"evidenceDigest": right["spec"]["evidenceDigest"]},
        ):
            forged = {**right, "metadata": {"name": name}, "spec": spec}
            assert posted(gate, "cabevidences", namespace, forged).status_code == 201
            answer = opened()
            assert answer.status_code == 403
            assert f"of CABEvidence {name} is not what the live" in answer.json()["message"]
            assert removed(gate, "cabevidences", namespace, name).status_code == 200
        assert posted(gate, "cabevidences", namespace, right).status_code == 201
        assert removed(gate, "cabevidences", namespace, name).status_code == 200
        assert opened().status_code == 403, "deleted between the two"
        forged = {**right, "metadata": {"name": name}, "spec": wrong["spec"]}
        assert posted(gate, "cabevidences", namespace, forged).status_code == 201
    # The operator replaces what is not so.
    found = gate.request_of(namespace)["metadata"]["name"]
    assert found == name
    assert gate.get("cabevidence", name, namespace)["spec"] == right["spec"]


def test_it_goes_with_its_request(gate, namespace):
    gate.apply("requester", bound(namespace))
    name = gate.request_of(namespace)["metadata"]["name"]
    gate.kubectl("requester", "delete", "deploymentintent", "web", "-n", namespace)
    assert removed(gate, "cabrequests", namespace, name).status_code == 200
    wait_until(lambda: gone(gate, namespace, name), "what was kept beside it goes too")


def test_a_rollout_goes_on_with_nothing_kept(gate, namespace, tmp_path):
    """Neither a rollout nor a denial, nor the way back, rests on it."""
    obj = full("Deployment", namespace)
    name = approved(gate, tmp_path, namespace, obj)
    assert removed(gate, "cabevidences", namespace, name).status_code == 200
    gate.bind("mallory", "cluster-admin", namespace)
    gate.create("mallory", obj)
    body = changed("Deployment", hostPID=True)
    said = gate.patch("mallory", "deployment", "web", namespace, body, check=False).stderr
    assert "TemplateNotCovered: " in said, said
    shown = gate.shell("reviewer", f"cabgate show {name} -n {namespace}", CABGATE)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize(
    ("forms", "why"),
    [
        (
            lambda made: [{"template": made.digest, "form": "x" * 16385}],
            "spec.templateForms[0].form: comes to 16385 bytes; allowed: 16384. Leave it out",
        ),
        (
            lambda made: [{"template": made.digest, "form": form_text(template("sh"))}],
            "spec.templateForms[0].form: is other than its digest says; write both anew",
        ),
        (
            lambda made: [{"template": template("sh").digest, "form": form_text(template("sh"))}],
            "spec.templateForms[0].template: no target names",
        ),
    ],
    ids=["large", "another", "of no target"],
)
def test_what_is_written_out_wrongly_is_refused_with_its_path(gate, namespace, forms, why):
    body = bound(namespace, templateForms=forms(template()))
    assert why in denial(gate.apply("requester", body, check=False))
