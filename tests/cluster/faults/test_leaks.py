# SPDX-License-Identifier: Apache-2.0
"""What gets out: by denials, by logs and metrics, by a stolen token."""

import json
import urllib.request

from cabgate_devcluster.installed.installation import NAMESPACE
from cabgate_samples.objects import GOOD, MIDDLING, exception, intent, target, workload
from support.gate import denial
from support.gated import ROLLOUT_CRD, gated

WEBHOOK = f"system:serviceaccount:{NAMESPACE}:cabgate-webhook"
MARK = "planted-4711"
PLANTED = {
    **MIDDLING,
    "artifacts": [{"name": MARK, "uri": f"https://ci.example.com/{MARK}"}],
    "testResults": {**MIDDLING["testResults"], "uri": f"https://ci.example.com/tests/{MARK}"},
    "scanResults": {**MIDDLING["scanResults"], "scanner": MARK},
    "rollbackPlan": {"validated": True, "uri": f"https://wiki.example.com/back/{MARK}"},
}


def test_a_denial_tells_nothing_of_another_namespace(gate, make_namespace, cluster):
    """What is there is denied in the words of what is not, whoever asks from elsewhere."""
    mine, theirs = make_namespace(), make_namespace()
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(ROLLOUT_CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd/rollouts.argoproj.io")
    gate.bind("mallory", "cluster-admin", mine)
    request = gate.open(
        theirs, GOOD, "AutoApproved", targets=[target(["payroll:1"], "payroll")], summary="merger"
    )
    gate.create("admin", gated("Deployment", theirs, "payroll", ("payroll:1",)))

    def said(obj):
        return denial(gate.create("mallory", obj, "--dry-run=server", check=False))

    def rollout(name, version="apps/v1"):
        reference = {"apiVersion": version, "kind": "Deployment", "name": name}
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": "ro", "namespace": mine},
            "spec": {"workloadRef": reference},
        }

    def review_of(request):
        name = f"leave-{request}"
        gate.create("mallory", exception(mine, request, name=name))
        result = gate.review("security", "cabexception", name, mine, "Approved", check=False)
        return denial(result)

    rows = {
        "a workload of theirs": lambda n: said(gated("Deployment", mine, n, (f"{n}:1",))),
        "a reference by a path": lambda n: said(rollout(f"../../{theirs}/deployments/{n}")),
        "an escaped path": lambda n: said(rollout(f"..%2f..%2f{theirs}%2fdeployments%2f{n}")),
        "a path in the version": lambda n: said(rollout(n, f"../namespaces/{theirs}/apps/v1")),
    }
    for what, ask in rows.items():
        assert ask("payroll") == ask("nothing").replace("nothing", "payroll"), what
    nobody = "nothing-" + request.rpartition("-")[2]
    assert review_of(request) == review_of(nobody).replace(nobody, request)


def shown(gate):
    """What both processes logged, and what their metrics show."""
    installation = gate.installation
    texts = {
        each.name: each.log.read_text() for each in (installation.webhook, installation.operator)
    }
    for name, url in {
        "metrics of the webhook": f"http://127.0.0.1:{installation.webhook_health_port}/metrics",
        "metrics of the operator": installation.operator_url("/metrics"),
    }.items():
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - a loopback URL
            texts[name] = answer.read().decode()
    return texts


def secrets(gate):
    """What nobody may read who reads logs."""
    key = gate.installation.signing_key.read_text()
    lines = [line for line in key.splitlines() if line and "-----" not in line]
    assert len(gate.cluster.issued_tokens) >= 2, "those of the operator and the webhook"
    return [*gate.cluster.issued_tokens, *lines]


def test_logs_and_metrics_hold_no_evidence_and_no_secret(gate, namespace):
    name = gate.open(namespace, PLANTED, "Submitted", summary=MARK)
    denied = gate.create("requester", workload(namespace), "--dry-run=server", check=False)
    assert denial(denied).startswith("ReviewPending: "), denied.stderr
    gate.review("reviewer", "cabrequest", name, namespace, "Rejected", rationale=MARK)
    gate.create("requester", workload(namespace), "--dry-run=server", check=False)
    leave = exception(namespace, name, controls=(MARK,), reason=MARK)
    assert denial(gate.create("requester", leave, check=False)).startswith("ExceptionNotAllowed: ")
    risky = {"artifacts": PLANTED["artifacts"]}
    targets = [target(["risky:1"], name="risky")]
    asked = gate.open(
        namespace, risky, "ExceptionRequired", name="risky", targets=targets, summary=MARK
    )
    gate.create("requester", exception(namespace, asked, controls=(MARK,), reason=MARK))
    review = {"rationale": MARK, "check": False}
    gate.review("security", "cabexception", "leave", namespace, "Approved", **review)
    gate.review("security", "cabexception", "leave", namespace, "Approved", **review)
    wrong = intent(
        namespace, name="wrong", evidence={**PLANTED, "scope": {"affectedComponents": MARK}}
    )
    assert gate.apply("requester", wrong, check=False).returncode != 0
    gate.wait_state("deploymentintent", "web", namespace, "Rejected")
    texts = shown(gate)
    assert namespace in texts["webhook"]
    for where, text in texts.items():
        assert MARK not in text, where
        for secret in secrets(gate):
            assert secret not in text, where


def test_a_stolen_token_of_the_webhook_reads_and_writes_nothing(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    approved = json.dumps({"status": {"review": {"verdict": "Approved", "rationale": "x"}}})
    status = ("--subresource=status", "--type=merge", "-p", approved)
    assert gate.kubectl(WEBHOOK, "get", "cabrequest", name, "-n", namespace).returncode == 0
    for args in (
        ("patch", "cabrequest", name, *status),
        ("delete", "cabrequest", name),
        ("delete", "deploymentintent", "web"),
        ("annotate", "deploymentintent", "web", "x=y"),
        ("create", "deployment", "web", "--image=web:1"),
        ("create", "token", "default"),
        ("get", "secrets"),
        ("get", "configmaps"),
    ):
        assert "orbidden" in gate.refused(WEBHOOK, *args, "-n", namespace), args
    for kind in ("validating", "mutating"):
        name = f"{kind}webhookconfiguration"
        assert "orbidden" in gate.refused(WEBHOOK, "delete", name, "cabgate"), kind
