# SPDX-License-Identifier: Apache-2.0
"""The ledger of a cluster: what an auditor sees of it, and etcd behind it."""

import base64
import contextlib
import http.client
import json
import ssl

from click.testing import CliRunner

from cabgate_cli.main import main
from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING

HEADS = ("get", "configmap", "cabgate-ledger-heads", "-n", "cabgate-system", "-o", "json")


class Auditor:
    """What an auditor sees of a cluster."""

    def __init__(self, gate):
        self.gate = gate

    def verify(self, *options):
        """The report of `cabgate ledger verify`, and its exit code."""
        args = ["ledger", "verify", "-o", "json", "--kubeconfig", self.gate.user("auditor")]
        result = CliRunner().invoke(main, [str(arg) for arg in (*args, *options)])
        assert result.exit_code in (0, 1), result.output
        report = json.loads(result.stdout)
        assert report["clean"] is (result.exit_code == 0)
        return report

    def codes(self, namespace, *options):
        """What is wrong in one namespace."""
        findings = self.verify(*options)["findings"]
        return {f["code"] for f in findings if namespace in f["where"] + f["message"]}

    def decisions(self, namespace):
        """What the chain of a namespace says was decided, in order."""
        return [each for each in self.records(namespace) if each["spec"]["entry"] > 0]

    def submission(self, namespace, name):
        """The record that says that a request was opened or an exception asked for."""

        def recorded():
            for each in self.records(namespace):
                spec = each["spec"]
                if spec["entry"] == 0 and spec["subject"]["name"] == name:
                    return spec
            return None

        return wait_until(recorded, f"the submission of {name} is recorded")

    def records(self, namespace):
        """The chain of a namespace, in order."""
        listed = self.gate.kubectl(
            *("auditor", "get", "cabdecisions", "-o", "json"),
            f"--field-selector=spec.subject.namespace={namespace}",
        )
        items = json.loads(listed.stdout)["items"]
        return sorted(items, key=lambda item: item["spec"]["sequence"])

    def named(self, namespace):
        """The records that name a namespace, whether they can be read or not."""
        listed = self.gate.kubectl("auditor", "get", "cabdecisions", "-o", "json")
        items = json.loads(listed.stdout)["items"]
        return [item for item in items if item["metadata"]["name"].startswith(f"{namespace}.")]

    def recorded(self, namespace, count):
        """The chain of a namespace, once it has so many records."""

        def enough():
            found = self.records(namespace)
            return found if len(found) >= count else None

        found = wait_until(enough, f"{count} records of {namespace}")
        assert len(found) == count
        return found

    def decided(self, namespace):
        """What the objects of a namespace say was decided."""
        return sorted(
            (item["metadata"]["uid"], entry["sequence"], entry["verdict"])
            for resource in ("cabrequest", "cabexception")
            for item in self.gate.items(resource, namespace)
            for entry in item.get("status", {}).get("decisions", [])
        )

    def published(self, namespace):
        """The head of a chain, once it is published; its text."""
        last = self.records(namespace)[-1]["spec"]
        wanted = f"{last['sequence']} {last['digest']}"

        def published():
            heads = json.loads(self.gate.kubectl("auditor", *HEADS).stdout)["data"]
            return heads.get(namespace) == wanted

        wait_until(published, f"the head of {namespace} is published", interval=0.3)
        return wanted

    def wait_complete(self, namespace):
        """Wait until the chain holds every decision, and check that it holds each once."""
        wait_until(lambda: _said(self.decisions(namespace)) == self.decided(namespace), namespace)


def _said(records):
    return sorted(
        (r["spec"]["subject"]["uid"], r["spec"]["entry"], r["spec"]["verdict"]) for r in records
    )


@contextlib.contextmanager
def auditing(gate, name):
    """What the user `auditor` sees, who is one for the time of the block; `name` is that of the
    binding."""
    role = ("--clusterrole=cabgate-auditor", "--user=auditor")
    gate.cluster.kubectl("create", "clusterrolebinding", name, *role)
    yield Auditor(gate)
    gate.cluster.kubectl("delete", "clusterrolebinding", name)


def decide(gate, namespace):
    """A submission and three decisions: taken, approved, approved by score."""
    name = gate.open(namespace, MIDDLING, "Submitted")
    Auditor(gate).submission(namespace, name)
    gate.review("reviewer", "cabrequest", name, namespace, "UnderReview")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    gate.open(namespace, GOOD, "AutoApproved", name="other")
    return name


class Etcd:
    """etcd past the API server, by its own gateway from JSON."""

    def __init__(self, cluster):
        pki = cluster.directory / "pki"
        self._port = cluster._live.layout.etcd_port
        self._context = ssl.create_default_context(cafile=str(pki / "etcd-ca.crt"))
        self._context.load_cert_chain(pki / "etcd-client.crt", pki / "etcd-client.key")

    def call(self, method, **body):
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=self._context)
        encoded = {key: base64.b64encode(value).decode() for key, value in body.items()}
        connection.request("POST", f"/v3/kv/{method}", json.dumps(encoded))
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, content
        return content

    def read(self, key):
        [found] = self.call("range", key=key)["kvs"]
        return json.loads(base64.b64decode(found["value"]))
