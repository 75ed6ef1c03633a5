# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab` as a plugin of the real kubectl, with each kind of credential."""

import base64
import json
from functools import partial
from pathlib import Path

import pytest
import yaml

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, exception, intent
from support.cab import run_cab
from support.reviews import BETTER, decisions


@pytest.fixture
def cab(gate):
    return partial(run_cab, gate)


def in_namespace(gate, kubeconfig, namespace):
    """A kubeconfig whose context has a namespace of its own."""
    content = yaml.safe_load(Path(kubeconfig).read_text())
    content["contexts"][0]["context"]["namespace"] = namespace
    return written(gate, f"{namespace}-context", content)


def by_plugin(gate, kubeconfig):
    """A kubeconfig of the same user that gets its certificate from an exec plugin."""
    content = yaml.safe_load(Path(kubeconfig).read_text())
    user = content["users"][0]["user"]
    parts = {"clientCertificateData": "client-certificate-data", "clientKeyData": "client-key-data"}
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {name: base64.b64decode(user[key]).decode() for name, key in parts.items()},
    }
    path = gate.cluster.directory / "credential.json"
    path.write_text(json.dumps(credential))
    content["users"][0]["user"] = {
        "exec": {
            "apiVersion": credential["apiVersion"],
            "command": "cat",
            "args": [str(path)],
            "interactiveMode": "IfAvailable",
        }
    }
    return written(gate, "exec-plugin", content)


def by_token(gate, kubeconfig, token):
    """A kubeconfig of somebody who signs in with a bearer token."""
    content = yaml.safe_load(Path(kubeconfig).read_text())
    content["users"][0]["user"] = {"token": token}
    return written(gate, "token", content)


def written(gate, name, content):
    path = gate.cluster.directory / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    path.chmod(0o600)
    return path


def digest_of(gate, name, namespace):
    return gate.get("cabrequest", name, namespace)["spec"]["evidenceDigest"]


def test_from_something_waits_to_decided_in_two_commands(gate, cab, submitted, namespace):
    reviewer = in_namespace(gate, gate.user("reviewer"), namespace)
    [row] = json.loads(cab(reviewer, "queue -o json").stdout)
    assert (row["name"], row["needed"], row["yours"]) == (submitted, "CAB member", "")
    digest = digest_of(gate, submitted, namespace)
    done = cab(reviewer, f"approve {submitted} --because 'Read the report' --digest {digest}")
    assert "Warning: recorded if this command succeeds: Approved by reviewer" in done.stderr
    assert decisions(gate, submitted, namespace) == [("Approved", "reviewer")]
    assert "approved: Approved by reviewer" in cab(reviewer, f"wait {submitted} --for=decided "
                                                             "--timeout 0s").stdout  # fmt: skip


def test_every_kind_of_credential_decides_as_itself(gate, cab, submitted, namespace, token_of_tess):
    digest = digest_of(gate, submitted, namespace)
    arguments = f"-n {namespace} {submitted} --because 'Looked at it' --digest {digest}"
    own = cab(gate.user("requester"), f"approve {arguments}", code=4)
    assert "Forbidden" in own.stderr
    machine = f"system:serviceaccount:{namespace}:robot"
    token = gate.user(machine)
    gate.bind(machine, "cabgate-cab-member", namespace)
    refused = cab(token, f"approve {arguments}", code=1)
    assert "MachineCannotDecide" in refused.stderr
    cab(by_plugin(gate, gate.user("reviewer")), f"take {arguments}")
    gate.bind("tess", "cabgate-cab-member", namespace)
    on_condition = "--condition 'calm=Nothing else is rolled out' --attestation calm"
    tess = by_token(gate, gate.user("reviewer"), token_of_tess)
    cab(tess, f"approve {arguments} {on_condition}")
    gate.bind("rita", "cabgate-cab-member", namespace)
    cab(gate.cluster.admin, f"attest {arguments} --as rita")
    assert decisions(gate, submitted, namespace) == [("UnderReview", "reviewer"),
                                                     ("ConditionallyApproved", "tess"),
                                                     ("Attested", "rita")]  # fmt: skip


def test_a_stale_digest_is_refused_with_what_changed(gate, cab, submitted, namespace):
    old = digest_of(gate, submitted, namespace)
    gate.apply("requester", intent(namespace, evidence=BETTER))

    def another():
        found = gate.request_of(namespace)
        return found if found["metadata"]["name"] != submitted else None

    name = wait_until(another, "the request of the new evidence")["metadata"]["name"]
    arguments = f"-n {namespace} {name} --because 'Looked at it' --digest {old}"
    seen = cab(gate.user("reviewer"), f"approve {arguments}", code=1)
    assert f"you looked at {old}" in seen.stderr
    assert "scope.affectedComponents: 1 -> 2" in seen.stderr
    assert decisions(gate, name, namespace) == []


def test_an_exception_is_decided_the_same_way(gate, cab, namespace):
    request = gate.open(namespace, BAD, "ExceptionRequired")
    gate.create("requester", exception(namespace, request, name="leave"))
    digest = digest_of(gate, request, namespace)
    security = gate.user("security")
    own = cab(gate.user("requester"), f"queue -n {namespace} --mine").stdout
    assert "cabex/leave" in own
    assert "yours: you submitted" in own
    shown = json.loads(cab(security, f"show cabex/leave -n {namespace} -o json").stdout)
    [looked_at] = [each["uid"] for each in shown["exceptions"]]
    # Its team makes it another one, under the same name and for the same evidence.
    gate.kubectl("requester", "delete", "cabexception", "leave", "-n", namespace)
    gate.create("requester", exception(namespace, request, name="leave", durationDays=90))
    approval = f"approve cabex/leave -n {namespace} --because 'A flag' --digest {digest}"
    seen = cab(security, f"{approval} --uid {looked_at}", code=1)
    assert "deleted and created anew" in seen.stderr
    review = {"verdict": "Approved", "rationale": "A flag", "evidenceDigest": digest}
    body = {"metadata": {"uid": looked_at}, "status": {"review": review}}
    refused = gate.kubectl(
        "security", "patch", "cabexception", "leave", "-n", namespace, "--subresource=status",
        "--type=merge", "-p", json.dumps(body), check=False,
    )  # fmt: skip
    assert "NotCurrent: metadata.uid" in refused.stderr
    assert decisions(gate, "leave", namespace, "cabexception") == []
    shown = json.loads(cab(security, f"show cabex/leave -n {namespace} -o json").stdout)
    cab(security, f"{approval} --uid {shown['exceptions'][0]['uid']}")
    assert decisions(gate, "leave", namespace, "cabexception") == [("Approved", "security")]
