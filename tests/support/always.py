# SPDX-License-Identifier: Apache-2.0
"""What is never stopped, each a write that the API server is sent with the webhook healthy, hung
and dead. `docs/coverage.md` shows it."""

import json
from dataclasses import dataclass

from support.gated import KINDS, changed, gated, url

SCALED = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "Rollout")
RESTARTED = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")
WITHOUT_STATUS = ("PodTemplate",)
RESTART = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}


@dataclass(frozen=True)
class Write:
    """One write to an object of a kind that nobody approved."""

    kind: str
    what: str
    body: object = None
    """Merge patch; None deletes."""
    subresource: str = ""

    def __str__(self):
        return f"{self.kind}: {self.what}"


def _restart(kind):
    body = {"metadata": {"annotations": RESTART}}
    for field in reversed(KINDS[kind].templates[0].split(".")):
        body = {field: body}
    return body


def _of_kind(kind):
    yield Write(kind, "annotate", {"metadata": {"annotations": {"note": "x"}}})
    yield Write(kind, "label, but for the ring", {"metadata": {"labels": {"team": "x"}}})
    yield Write(kind, "a finalizer", {"metadata": {"finalizers": ["example.com/wait"]}})
    yield Write(kind, "the finalizer's removal", {"metadata": {"finalizers": None}})
    if kind in SCALED:
        yield Write(kind, "scale by the field", {"spec": {"replicas": 2}})
    if kind in SCALED[:-1]:
        yield Write(kind, "scale by the subresource", {"spec": {"replicas": 1}}, "scale")
    if kind in RESTARTED:
        yield Write(kind, "restart", _restart(kind))
    if kind == "Deployment":
        yield Write(kind, "pause", {"spec": {"paused": True}})
        yield Write(kind, "resume", {"spec": {"paused": None}})
    if kind in ("Job", "CronJob"):
        yield Write(kind, "resume", {"spec": {"suspend": False}})
        yield Write(kind, "suspend", {"spec": {"suspend": True}})
    if kind == "StatefulSet":
        partition = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
        yield Write(kind, "change of the update strategy", {"spec": {"updateStrategy": partition}})
    if kind == "Pod":
        yield Write(kind, "a shorter deadline", {"spec": {"activeDeadlineSeconds": 1000}})
    if kind not in WITHOUT_STATUS:
        field = {"observedGeneration": 1}
        status = {"CronJob": {}, "Job": {"ready": 0}, "Pod": {"message": "x"}}.get(kind, field)
        yield Write(kind, "status", {"status": status}, "status")
    yield Write(kind, "delete")


WRITES = [write for kind in KINDS for write in _of_kind(kind)]


def prepare(client, namespace):
    """Make one object of each kind, which nobody approved, in a namespace that is not gated yet."""
    for kind in KINDS:
        answer = client.post(url(kind, namespace), json=gated(kind, namespace))
        assert answer.status_code == 201, answer.text


def send(client, write, namespace, **params):
    """Make a write, or what the parameters of its URL make of it; the answer."""
    where = url(write.kind, namespace, "web")
    if write.body is None:
        return client.delete(where, params={"propagationPolicy": "Background", **params})
    path = f"{where}/{write.subresource}" if write.subresource else where
    headers = {"Content-Type": "application/merge-patch+json"}
    return client.patch(path, content=json.dumps(write.body), headers=headers, params=params)


def stopped(client, namespace, writes=WRITES, **params):
    """Those of some writes that do not pass, and what is said to them."""
    return [(str(write), answer.text) for write in writes
            if not (answer := send(client, write, namespace, **params)).is_success]  # fmt: skip


def rolled_out(client, kind, namespace, *, image="web:2", dry_run=True, **container):
    """Change the image of a kind's object, and more of its container, by a dry run or in earnest;
    the answer."""
    containers = [{"name": "c0", "image": image, **container}]
    body = changed(kind, containers=containers)
    if kind == "Pod":
        body["spec"]["containers"] = [
            {**client.get(url(kind, namespace, "web")).json()["spec"]["containers"][0],
             "image": image}
        ]  # fmt: skip
    headers = {"Content-Type": "application/merge-patch+json"}
    return client.patch(url(kind, namespace, "web"), content=json.dumps(body), headers=headers,
                        params={"dryRun": "All"} if dry_run else {})  # fmt: skip


def table():
    """The writes as a Markdown table: what, and for which kinds."""
    lines = ["| write | kinds |", "|---|---|"]
    for what in dict.fromkeys(write.what for write in WRITES):
        kinds = [write.kind for write in WRITES if write.what == what]
        named = "all" if len(kinds) == len(KINDS) else ", ".join(kinds)
        lines.append(f"| {what} | {named} |")
    return "\n".join(lines) + "\n"
