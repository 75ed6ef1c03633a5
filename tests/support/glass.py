# SPDX-License-Identifier: Apache-2.0
"""Breaking the glass, as somebody in an incident would."""

import contextlib
import json

from cabgate.lifecycle.requests.break_glass import ANNOTATION, STAMPS
from cabgate_devcluster import wait_until
from support.clients import client_of, undecided
from support.gated import changed, gated, spec_path, url
from support.namespaces import RING, label_namespace

MERGE = "application/merge-patch+json"
WHY = "INC-1: the shop is down"
OURS = (ANNOTATION, *STAMPS)
MALFORMED = [
    "", " ", "INC-1", "INC-1:", "INC-1: ", "INC-1:  two spaces", ": no ticket", "no ticket at all",
    "INC 1: a space in the ticket", "-INC: begins with a dash", "INC-1: two\nlines",
    "INC-1: ends with a line\n", f"{'I' * 65}: a long ticket", f"INC-1: {'x' * 513}",
]  # fmt: skip
"""What does not break the glass."""


class Glass:
    """The workloads of a cluster, and what users do to them."""

    def __init__(self, gate):
        self.gate = gate
        self._clients = {}

    def client(self, user):
        if user not in self._clients:
            self._clients[user] = client_of(self.gate.user(user))
        return self._clients[user]

    def close(self):
        for client in self._clients.values():
            client.close()

    def make(self, namespace, kind="Deployment", name="web"):
        """A workload that was there before its namespace was gated."""
        label_namespace(self.gate.cluster, namespace, RING, None)
        path, obj = url(kind, namespace), gated(kind, namespace, name)

        def made():
            answer = self.client("breaker").post(path, json=obj)
            assert answer.status_code == 201, answer.text
            return True

        wait_until(made, timeout=60.0, what=f"{namespace} is not gated")
        label_namespace(self.gate.cluster, namespace, RING, "2")
        self.gated_by_now(namespace)

    def gated_by_now(self, namespace):
        """Return once the API server has seen the ring of a namespace."""

        def refused():
            tried = ("breaker", "Deployment", namespace, "malformed")
            return not self.creates(*tried, name="ring-probe", dryRun="All").is_success

        wait_until(refused, timeout=60.0, what=f"{namespace} is gated")

    def patch(self, user, namespace, body, *, kind="Deployment", name="web", sub="", **params):
        """A merge patch; the answer."""
        path = url(kind, namespace, name) + (f"/{sub}" if sub else "")
        return self.client(user).patch(
            path, content=json.dumps(body), headers={"Content-Type": MERGE}, params=params
        )

    def breaks(self, user, namespace, why=WHY, image="web:9", *, kind="Deployment", **options):
        """The one write that breaks the glass of a workload and rolls out an image; the answer."""
        body = {**annotated(why), **rolled(kind, image)}
        return self.patch(user, namespace, body, kind=kind, **options)

    def would_annotate(self, user, namespace, **options):
        """The annotations that a workload would have after a break."""
        answer = self.breaks(user, namespace, dryRun="All", **options)
        return answer.json()["metadata"]["annotations"]

    def creates(self, user, kind, namespace, why=WHY, name="web", **params):
        """Creation of a workload that breaks the glass; the answer."""
        obj = gated(kind, namespace, name)
        obj["metadata"]["annotations"] = {} if why is None else {ANNOTATION: why}

        def answered():  # a webhook that is dead is what some tests are about
            answer = self.client(user).post(url(kind, namespace), json=obj, params=params)
            assert not undecided(answer.text), answer.text
            return answer

        return wait_until(answered, f"{kind} {namespace}/{name} is answered", timeout=120)

    def get(self, namespace, kind="Deployment", name="web"):
        return self.client("breaker").get(url(kind, namespace, name)).json()

    def annotations(self, namespace, kind="Deployment", name="web"):
        """Those of a workload that are about the glass."""
        found = self.get(namespace, kind, name)["metadata"].get("annotations") or {}
        return {key: found[key] for key in OURS if key in found}

    def requests(self, namespace):
        """The requests that were opened for broken glasses, the oldest first."""
        found = [r for r in self.gate.items("cabrequests", namespace) if "breakGlass" in r["spec"]]
        return sorted(found, key=lambda r: int(r["metadata"]["resourceVersion"]))

    def opened(self, namespace, count=1):
        """The requests that were opened for broken glasses, once there are so many in a state."""

        def enough():
            found = self.requests(namespace)
            ready = [r for r in found if r.get("status", {}).get("state")]
            return found if len(ready) >= count else None

        found = wait_until(enough, f"{count} requests for broken glasses in {namespace}")
        assert len(found) == count, found
        return found


@contextlib.contextmanager
def breaking(gate, name):
    """The workloads of a cluster, on which the user `breaker` may break the glass for the time of
    the block; `name` is that of the bindings."""
    roles = {f"{name}-edit": "edit", name: "cabgate-break-glass"}
    for binding, role in roles.items():
        args = ("create", "clusterrolebinding", binding, f"--clusterrole={role}", "--user=breaker")
        gate.cluster.kubectl(*args)
    wait_until(
        lambda: all(gate.may("breaker", role, "default") for role in roles.values()),
        "breaker may break the glass",
    )
    made = Glass(gate)
    yield made
    made.close()
    gate.cluster.kubectl("delete", "clusterrolebinding", *roles)


def annotated(why):
    """A merge patch of the annotation; None removes it."""
    return {"metadata": {"annotations": {ANNOTATION: why}}}


def rolled(kind, image):
    """A merge patch of the image."""
    return changed(kind, containers=[{"name": "c0", "image": image}])


def image_of(kind, obj):
    """The image that a workload runs."""
    for field in spec_path(kind):
        obj = obj[field]
    return obj["containers"][0]["image"]


def refusal(answer):
    """What a policy said in a refusal: its message, from the reason code on."""
    assert answer.status_code == 403, (answer.status_code, answer.text)
    said = answer.json()["message"].partition("denied request: ")[2]
    assert said.startswith("BreakGlass"), answer.text
    assert len(said.encode()) <= 1000
    return said


def warnings_of(answer):
    """The admission warnings of an answer."""
    return answer.headers.get("warning", "")


def events_about(gate, namespace, name, reason="GlassBroken"):
    """The Events of one object that tell of a break."""
    fields = f"--field-selector=involvedObject.name={name},reason={reason}"
    return gate.items("events", namespace, fields)
