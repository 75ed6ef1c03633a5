# SPDX-License-Identifier: Apache-2.0
"""What one team may take of a review, on the real API server: what is too much is refused and says
what to do, and what is there is rolled out and revoked."""

import json
from concurrent.futures import ThreadPoolExecutor

from cabgate import API_VERSION
from cabgate_samples.objects import BAD, MIDDLING, exception, intent, target, workload
from support.clients import decided_answer
from support.namespaces import set_ring


def test_an_intent_of_more_workloads_than_a_decision_reads_is_refused(gate, namespace):
    many = [target(["web:1"], name=f"web-{n}") for n in range(21)]
    said = gate.refused(
        "requester", "apply", "-f", "-", stdin=json.dumps(intent(namespace, targets=many))
    )
    assert "spec.targets: has 21 workloads; allowed: 20" in said


def test_several_workloads_share_requests_and_a_revocation_denies_each(gate, namespace):
    """Whatever the label a list leaves out: each request is found for each of its workloads."""
    set_ring(gate.cluster, namespace, "2")
    names = [f"web-{n}" for n in range(4)]
    for first in (0, 1):
        targets = [target([f"web:{first}"], name=name) for name in names[first:]]
        gate.declare(
            "requester",
            intent(namespace, name=f"i-{first}", evidence=MIDDLING, targets=targets),
        )
    made = [gate.request_of(namespace, f"i-{n}", "Submitted")["metadata"]["name"] for n in (0, 1)]
    for name in made:
        gate.review("reviewer", "cabrequest", name, namespace, "Approved")

    def rollout(name, image):
        body = json.dumps(workload(namespace, name=name, images=(image,)))
        arguments = ("create", "-f", "-", "--dry-run=server")
        return gate.kubectl("requester", *arguments, stdin=body, check=False)

    assert all(rollout(name, "web:0").returncode == 0 for name in names)
    gate.review("security", "cabrequest", made[0], namespace, "Revoked", images=["*"])
    for name in names:
        assert "Revoked" in rollout(name, "web:0").stderr
    assert all(rollout(name, "web:1").returncode == 0 for name in names[1:])


def test_few_exceptions_wait_for_one_request(gate, namespace):
    request = gate.open(namespace, BAD, "ExceptionRequired")
    for number in range(5):
        gate.apply("requester", exception(namespace, request, name=f"leave-{number}"))
    sixth = json.dumps(exception(namespace, request, name="leave-5"))
    said = gate.refused("requester", "apply", "-f", "-", stdin=sixth)
    assert f"BudgetUsedUp: spec.requestRef.name: 5 exceptions wait for request {request}" in said
    gate.kubectl("requester", "delete", "cabexception", "leave-0", "-n", namespace)
    gate.kubectl("requester", "apply", "-f", "-", stdin=sixth)


def test_as_few_wait_that_were_asked_for_at_one_moment(gate, namespace):
    request = gate.open(namespace, BAD, "ExceptionRequired")
    path, client = gate.cluster.api.path("CABException", namespace), gate.client("requester")
    bodies = [exception(namespace, request, name=f"leave-{number}") for number in range(16)]

    def post(body):
        return decided_answer(lambda: client.post(path, json=body))

    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(post, bodies))
    let_in = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code == 403]
    assert len(let_in) + len(refused) == len(bodies)
    # They take turns, and who waits for too long is told that instead.
    assert 0 < len(let_in) <= 5
    assert all("BudgetUsedUp" in each.text for each in refused)


def test_metadata_grows_no_further_than_it_may(gate, namespace):
    """Fields that many have applied, and notes that are added later: both shrink as ever."""
    gate.declare("requester", intent(namespace))
    path = gate.cluster.api.path("DeploymentIntent", namespace) + "/web"
    client = gate.client("requester")

    def applied(number):
        metadata = {"name": "web", "labels": {f"m{number}": "x"}}
        body = {"apiVersion": API_VERSION, "kind": "DeploymentIntent", "metadata": metadata}
        return client.patch(
            path,
            content=json.dumps(body),
            params={"fieldManager": f"m{number}"},
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def noted(**annotations):
        body = {"metadata": {"annotations": annotations}}
        headers = {"Content-Type": "application/merge-patch+json"}
        return client.patch(path, content=json.dumps(body), headers=headers)

    answers = [applied(number) for number in range(21)]
    assert answers[0].status_code == 200, answers[0].text
    assert answers[-1].status_code == 403
    assert "MetadataTooLarge: metadata.managedFields: " in answers[-1].json()["message"]
    assert noted(note="x").status_code == 200
    refused = noted(note="x" * 140_000)
    assert refused.status_code == 403
    assert "MetadataTooLarge: metadata.annotations: " in refused.json()["message"]
    assert noted(note=None).status_code == 200
