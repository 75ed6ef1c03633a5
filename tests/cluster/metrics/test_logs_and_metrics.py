# SPDX-License-Identifier: Apache-2.0
"""What both processes say of themselves: lines that can be joined and hold nothing confidential,
and the metrics that the docs name."""

import contextlib
import itertools
import json
import re
import socket
import urllib.parse

import httpx
import pytest

from cabgate_devcluster import wait_until
from cabgate_devcluster.installed.installation import ROOT
from cabgate_samples.objects import BAD, MIDDLING, exception, intent, workload
from support.gate import denial

MARKER = "marker-7f3a9c"
CORRELATION = "CAB-joins-both-logs"

MARKED = {
    **MIDDLING,
    "artifacts": [{"name": MARKER}],
    "testResults": {**MIDDLING["testResults"], "uri": f"https://example.com/{MARKER}"},
}
"""Evidence that says a word which nothing else does."""

PAGE = (ROOT / "docs" / "operations" / "metrics.md").read_text()


# Logs


@pytest.fixture
def webhook_in_json(gate):
    """The webhook, with the log format of the chart; its log from here on."""
    installation = gate.installation
    installation.webhook.stop()
    before = installation.webhook.log.stat().st_size
    installation.start_webhook(log_format="json")
    yield lambda: installation.webhook.log.read_text()[before:]
    installation.webhook.stop()
    installation.start_webhook()


@contextlib.contextmanager
def quoting(gate, namespace):
    """The API server refuses requests of the namespace, in words that quote their evidence."""
    of_namespace = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    rule = {
        "apiGroups": ["cabgate.dev"],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": ["cabrequests"],
    }
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "quoting"}}
    validation = {
        "expression": "false",
        "messageExpression": "'refused: ' + object.spec.evidence.testResults.uri",
    }
    policy = {
        **head,
        "kind": "ValidatingAdmissionPolicy",
        "spec": {
            "matchConstraints": {"namespaceSelector": of_namespace, "resourceRules": [rule]},
            "validations": [validation],
        },
    }
    binding = {
        **head,
        "kind": "ValidatingAdmissionPolicyBinding",
        "spec": {"policyName": "quoting", "validationActions": ["Deny"]},
    }
    for each in (policy, binding):
        gate.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(each))
    try:
        yield
    finally:
        for each in (binding, policy):
            gate.cluster.kubectl("delete", each["kind"], "quoting")


def ready(gate, namespace, name):
    """The condition Ready of an intent, once there is one."""

    def found():
        status = gate.get("deploymentintent", name, namespace).get("status", {})
        return next((c for c in status.get("conditions", []) if c["type"] == "Ready"), None)

    return wait_until(found, f"intent {name} has a condition")


def refused_intent(gate, namespace):
    """Name of an intent whose request the API server refused: it takes up a policy late."""
    numbers = itertools.count(1)

    def refused():
        name = f"refused-{next(numbers)}"
        gate.apply("requester", intent(namespace, name=name, evidence=MARKED, summary=MARKER))
        condition = ready(gate, namespace, name)
        if condition["reason"] != "RequestRefused":
            return None
        assert MARKER in condition["message"], "whoever may read the intent sees why"
        return name

    return wait_until(refused, "the policy is in force")


def decided_and_rolled_out(gate, namespace):
    """A rollout that is denied, then approved in words that are nobody else's, then admitted."""
    spec = {"summary": MARKER, "correlationID": CORRELATION}
    name = gate.open(namespace, MARKED, "Submitted", **spec)
    rollout = workload(namespace)
    assert denial(gate.create("requester", rollout, check=False)).startswith("ReviewPending: ")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved", rationale=MARKER)
    gate.request_of(namespace, "web", "Approved")
    gate.create("requester", rollout)

    def recorded():
        return CORRELATION in gate.cluster.kubectl("get", "cabdecisions", "-o", "json").stdout

    wait_until(recorded, "the ledger has it")


def secrets(gate):
    """Every token and private key that a process of this run holds."""
    cluster = gate.cluster
    assert len(cluster.issued_tokens) >= 2, "those of the operator and the webhook"
    keys = [gate.installation.signing_key, *cluster.directory.glob("**/*.key")]
    lines = [line for path in keys for line in path.read_text().splitlines() if len(line) > 40]
    assert lines
    return [*cluster.issued_tokens, *lines]


def test_the_logs_join_by_correlation_id_and_hold_no_evidence_and_no_secret(
    gate, namespace, webhook_in_json
):
    decided_and_rolled_out(gate, namespace)
    with quoting(gate, namespace):
        refused = refused_intent(gate, namespace)

    def lines_of(text):
        whole, _, _ = text.rpartition("\n")  # the last one may be half written
        return [json.loads(line) for line in whole.splitlines()]

    def refusals():
        found = lines_of(gate.installation.operator.log.read_text())
        return [line for line in found if (line.get("namespace"), line.get("object")) == (
            namespace, refused) and line["level"] == "warning"]  # fmt: skip

    failed = wait_until(refusals, "the refusal is told")[0]
    assert "ValidatingAdmissionPolicy 'quoting'" in failed["message"]
    assert failed["reason"] in ("Invalid", "Forbidden")
    assert failed["kind"] == "intent"
    assert failed["milliseconds"] > 0

    def mine():
        found = lines_of(gate.installation.operator.log.read_text())
        found = [line for line in found if line.get("correlationID") == CORRELATION]
        done = {(line.get("kind"), line["reason"]) for line in found}
        # In the ledger the subject is named by its kind.
        assert {("intent", "ReviewPending"), ("CABRequest", "Approved")} <= done, done
        return found

    for line in wait_until(mine, timeout=60.0, what="the operator's log has it"):
        assert line["namespace"] == namespace
    operator, webhook = gate.installation.operator.log.read_text(), webhook_in_json()
    reviews = [line for line in lines_of(webhook) if line.get("correlationID") == CORRELATION]
    assert {("ReviewPending", "web"), ("RequestApproved", "web")} <= {
        (line["reason"], line["object"]) for line in reviews
    }
    assert any(line["resource"] == "cabrequests/status.cabgate.dev" for line in reviews)

    for text in (operator, webhook):
        assert MARKER not in text
        assert "PRIVATE KEY" not in text
        assert not re.search(r"eyJ[\w-]{8,}\.[\w-]{8,}|[Bb]earer ", text), "a token"
        assert not [secret for secret in secrets(gate) if secret in text]


# Metrics


def served(gate):
    """The text of /metrics of webhook and operator."""
    port = gate.installation.webhook_health_port
    return {
        "Webhook": httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text,
        "Operator": httpx.get(gate.installation.operator_url("/metrics"), timeout=60).text,
    }


def test_on_a_machine_of_many_users_they_listen_on_one_address_only(gate):
    """As the playground runs: 127.0.0.2 is loopback too, and stands for every other address."""
    installation = gate.installation
    operator = urllib.parse.urlsplit(installation.operator_url("")).port
    for port in (installation.webhook_port, installation.webhook_health_port, operator):
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=60)


def documented(process):
    """Type and labels of each metric in the table of a process."""
    section = PAGE.split(f"## {process}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)(?:\{([\w,]+)\})?` \| (\w+) \|", section, re.MULTILINE)
    assert len(rows) > 5
    return {name: (kind, set(filter(None, labels.split(",")))) for name, labels, kind in rows}


def types(text):
    """Type of each metric, but for the times that Prometheus's library adds."""
    found = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    return {name: kind for name, kind in found if not name.endswith("_created")}


def labels_of(text, name, kind):
    """Labels of the samples of a metric; None if it has no sample."""
    suffix = "_count" if kind == "histogram" else ""
    sample = re.search(rf"^{name}{suffix}(?:\{{(.*)\}})? ", text, re.MULTILINE)
    return None if sample is None else set(re.findall(r'(\w+)="', sample[1] or ""))


def test_the_docs_name_every_metric_and_no_other(gate, namespace):
    name = gate.open(namespace, BAD, "ExceptionRequired")
    gate.create("requester", exception(namespace, name))
    gate.review("security", "cabexception", "leave", namespace, "Approved")

    # Whatever exceptions other tests left in this control plane: only that there is one.
    def active():
        metrics = served(gate)["Operator"]
        return samples(
            metrics, "cabgate_active_exceptions"
        ) >= 1 and "cabgate_exception_soonest_end_seconds" in types(metrics)

    wait_until(active, "the exception is shown")
    for process, text in served(gate).items():
        table = documented(process)
        assert types(text) == {name: kind for name, (kind, _) in table.items()}, process
        for name, (kind, labels) in table.items():
            assert labels_of(text, name, kind) in (None, labels), name


def samples(text, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return 0.0 if found is None else float(found[1])


def test_a_review_leaves_samples_of_how_long_it_and_its_reads_took(gate, namespace):
    wanted = [
        'cabgate_admission_request_seconds_count{endpoint="validate"}',
        'cabgate_admission_request_seconds_sum{endpoint="validate"}',
        'cabgate_live_read_seconds_count{resource="cabrequests"}',
        'cabgate_live_read_seconds_sum{resource="cabrequests"}',
        'cabgate_live_read_seconds_bucket{le="+Inf",resource="cabrequests"}',
    ]
    before = served(gate)["Webhook"]
    denial(gate.create("requester", workload(namespace), check=False))
    after = served(gate)["Webhook"]
    for name in wanted:
        assert samples(after, name) > samples(before, name), name
