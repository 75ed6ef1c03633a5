# SPDX-License-Identifier: Apache-2.0
"""Operators without the webhook, one at a time, and teams that they work for."""

import contextlib
import itertools
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cabgate_devcluster import DevCluster, Installation, wait_until
from cabgate_devcluster.installed.chart import NAMESPACE
from cabgate_devcluster.processes.process import Process
from cabgate_samples.objects import BAD, about
from support.operators import ENTRY

ROOT = Path(__file__).resolve().parents[3]


ME = "system:serviceaccount:cabgate-system:cabgate-operator"


BUSY: dict[str, Any] = {**BAD, "scope": {"affectedComponents": 20}}
"""Evidence that needs an exception, although it says something."""

GRACE_SECONDS = 30


"""terminationGracePeriodSeconds of the chart: who has not ended by then is killed."""


_numbers = itertools.count(1)


class Team:
    """A namespace and what stands in it."""

    def __init__(self, cluster: DevCluster, ring: str = "2") -> None:
        self.cluster = cluster
        self.namespace = f"team-{next(_numbers)}"
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.namespace, "labels": {"cabgate.dev/ring": ring}},
        }
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(manifest))

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl(*args, "-n", self.namespace, stdin=stdin).stdout

    def items(self, resource: str) -> dict[str, Any]:
        listed = self.cluster.api.items(resource, self.namespace)
        return {item["metadata"]["name"]: item for item in listed}

    def declare(self, evidence: dict[str, Any], name: str = "web", *, named: bool = True) -> None:
        self.declare_all({name: evidence}, named=named)

    def declare_all(self, intents: dict[str, dict[str, Any]], *, named: bool = True) -> None:
        """Declare intents by their names, all in one call; `named` says whether their evidence
        names their images."""
        items = [self._intent(name, evidence, named) for name, evidence in intents.items()]
        body = {"apiVersion": "v1", "kind": "List", "items": items}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def _intent(self, name: str, evidence: dict[str, Any], named: bool) -> dict[str, Any]:
        image = f"registry/{name}:1"
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "images": [image]}
        return {
            "apiVersion": "cabgate.dev/v1alpha1",
            "kind": "DeploymentIntent",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "targets": [target],
                "evidence": about(evidence, [{"images": [image]}]) if named else evidence,
                "submittedBy": [{"username": "dev"}],
            },
        }

    def ask_exception(self, request: str, days: int = 1) -> None:
        body = {
            "apiVersion": "cabgate.dev/v1alpha1",
            "kind": "CABException",
            "metadata": {"name": "leave"},
            "spec": {
                "requestRef": {"name": request},
                "reason": "urgent",
                "compensatingControls": ["somebody watches"],
                "durationDays": days,
            },
        }
        self.kubectl("create", "-f", "-", stdin=json.dumps(body))

    def review(self, resource: str, name: str, verdict: str) -> None:
        """What the webhook makes of a review: entry and state in one write."""
        item = self.items(resource)[name]
        request = name if resource == "cabrequests" else item["spec"]["requestRef"]["name"]
        digest = self.items("cabrequests")[request]["spec"]["evidenceDigest"]
        decisions = item.get("status", {}).get("decisions", [])
        entry = {
            "sequence": len(decisions) + 1,
            "author": {"type": "System", "username": ME}
            if verdict == "AutoApproved"
            else {"type": "Person", "username": "ann"},
            "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "verdict": verdict,
            "rationale": "looked at it",
            "evidenceDigest": digest,
        }
        patch = {"status": {"decisions": [*decisions, entry], "state": verdict}}
        self.kubectl(
            "patch", resource, name, "--subresource=status", "--type=merge", "-p", json.dumps(patch)
        )

    def states(self) -> list[str]:
        return sorted(
            r.get("status", {}).get("state", "") for r in self.items("cabrequests").values()
        )

    def ready(self, name: str = "web") -> tuple[str, str]:
        item = self.items("deploymentintents").get(name, {})
        status = item.get("status", {})
        if status.get("observedGeneration") != item.get("metadata", {}).get("generation"):
            return ("", "")
        conditions = {c["type"]: c for c in status.get("conditions", [])}
        return conditions["Ready"]["status"], conditions["Ready"]["reason"]

    def becomes(self, status: str, reason: str, name: str = "web", timeout: float = 60.0) -> None:
        """Wait until an intent is ready, or is not, for a reason."""
        wait_until(
            lambda: self.ready(name) == (status, reason),
            timeout=timeout,
            what=f"Ready of {self.namespace}/{name} is {status} for {reason}",
        )

    def reach(self, *states: str, timeout: float = 60.0) -> None:
        """Wait until the requests are in these states, in their order."""
        wait_until(
            lambda: self.states() == list(states),
            timeout=timeout,
            what=f"requests of {self.namespace} in states {states}",
        )

    def decided(self, request: str) -> Any:
        """The condition of a request that somebody has decided; None while nobody has."""
        condition = self.items("cabrequests")[request]["status"]["conditions"][0]
        return condition if condition["status"] == "True" else None

    def said(self, exception: str = "leave") -> list[str]:
        """The verdicts that an exception holds."""
        status = self.items("cabexceptions")[exception]["status"]
        return [entry["verdict"] for entry in status.get("decisions", [])]

    def current(self) -> str:
        name: str = self.items("deploymentintents")["web"]["status"]["requestName"]
        return name

    def versions(self) -> dict[str, str]:
        """resourceVersion of every object that the operator could write."""
        return {
            f"{resource}/{name}": item["metadata"]["resourceVersion"]
            for resource in ("deploymentintents", "cabrequests", "cabexceptions", "events")
            for name, item in self.items(resource).items()
        }

    def notes(self) -> list[str]:
        events = self.items("events").values()
        return sorted(e["reason"] for e in events if e["source"]["component"] == "cabgate-operator")


def boot(cluster: DevCluster) -> None:
    # Without the policies: some tests here write what only the operator may.
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        cluster.kubectl("apply", "-f", path)
    cluster.kubectl("create", "namespace", NAMESPACE)
    Installation(cluster).apply_objects("cabgate-")
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


class Running:
    """An operator that runs, and what it shows of itself."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self._port = port

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages; 0 where there is none."""
        try:
            url = f"http://127.0.0.1:{self._port}{path}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, name: str) -> float:
        """The value of a metric without labels; 0 where there is none."""
        found = re.search(rf"^{name} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    def swept(self) -> float:
        """When its last sweep was done."""
        return self.metric("cabgate_last_sweep_timestamp_seconds")

    def rests(self) -> None:
        """Return once two further sweeps have found nothing that is left to do."""
        for _ in range(2):
            self._sweeps_again()

    def _sweeps_again(self) -> None:
        last = self.swept()
        wait_until(
            lambda: self.swept() > last and self.metric("cabgate_queue_depth") == 0,
            timeout=60.0,
            what="another sweep is done, and what it queued",
        )


SWEEPING = ("--sweep-seconds", "1")


"""For an operator of which it is to be seen that it rests."""


class Runner:
    """Starts operators of a cluster, one at a time."""

    def __init__(self, cluster: DevCluster) -> None:
        self.cluster = cluster
        self._kubeconfig = cluster.service_account("cabgate-system", "cabgate-operator")

    def killed(self, writes: int) -> None:
        """The life of an operator that dies after so many writes; the next need not wait until its
        Lease ends."""
        process = self.spawn("--die-after", str(writes), entry=True)
        died = process.wait(120)
        process.kill()  # or it would lead in the tests to come
        assert died, f"it did not come to {writes} writes: {process.tail(20)}"
        assert process.returncode == -9, process.tail(20)
        self.cluster.kubectl(
            *("patch", "lease", "cabgate-operator", "-n", "cabgate-system", "--type=merge"),
            *("-p", json.dumps({"spec": {"holderIdentity": ""}})),
        )

    def spawn(self, *argv: str, entry: bool = False) -> Process:
        program = [str(ENTRY)] if entry else ["-m", "cabgate_operator.main"]
        return self.cluster.spawn(
            f"operator-{next(_numbers)}",
            [sys.executable, *program, *argv],
            env={"KUBECONFIG": str(self._kubeconfig)},
        )

    @contextlib.contextmanager
    def running(self, *argv: str, entry: bool = False) -> Iterator[Running]:
        port = self.cluster.free_port()
        process = self.spawn(*argv, "--health-port", str(port), entry=entry)
        made = Running(process, port)
        try:
            wait_until(lambda: made.swept() > 0, timeout=60.0, what="it leads and has swept")
            yield made
        finally:
            if process.running:
                process.stop(timeout=GRACE_SECONDS)
                assert process.returncode == 0, process.tail(30)
