# SPDX-License-Identifier: Apache-2.0
"""The matrix of ways by which an image can come to run: each a write that the API server is sent,
and what it has to answer. `docs/coverage.md` shows it."""

import json
from dataclasses import dataclass

from support.gated import KINDS, changed, gated, pod_spec, spec_path, url

COVERED = "good:1"
UNCOVERED = "evil:1"
BEFORE = "before:1"
"""What the objects run that are there before the gate is; nothing covers it."""

CREATIONS = ("create", "create, dry run", "server-side apply")
CHANGES = (
    "replace",
    "JSON patch",
    "merge patch",
    "merge patch, dry run",
    "strategic merge patch",
    "server-side apply of a change",
)
GENERATED = "create under a generated name"
OTHER_FIELD = "change of another field, image left"
EXTRA = {
    "init container": {"initContainers": [{"name": "i", "image": UNCOVERED}]},
    "sidecar": {"initContainers": [{"name": "i", "image": UNCOVERED, "restartPolicy": "Always"}]},
    "image volume": {"volumes": [{"name": "v", "image": {"reference": UNCOVERED}}]},
}
"""Fields of a pod spec that bring in an image beside that of the container."""

USER, MACHINE, ADMIN, NAMESAKE = (
    "user", "service account", "cluster admin", "service account named like a controller",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One write."""

    kind: str
    how: str
    who: str
    covered: bool
    """Whether an approval names the workload and its image, so that it has to pass."""
    number: int = 0

    @property
    def name(self):
        """Name of the object, its own."""
        return f"row-{self.number}"

    @property
    def exists(self):
        """Whether the object is there before."""
        return self.how in (*CHANGES, OTHER_FIELD)

    def __str__(self):
        what = "covered" if self.covered else "not covered"
        return f"{self.kind}: {self.how} by {self.who}, {what}"


def _has(kind, how):
    """Whether the API server has this way for this kind."""
    if kind == "Job" and how in (*CHANGES, OTHER_FIELD):
        return False  # the pod template of a Job never changes
    if kind == "Pod" and how == OTHER_FIELD:
        return False  # of a Pod's spec little but the image can change
    return not (kind == "Rollout" and how == "strategic merge patch")  # a custom resource


def _plain():
    for kind in KINDS:
        for how in (*CREATIONS, *CHANGES):
            for covered in (False, True):
                yield Row(kind, how, USER, covered)
        yield Row(kind, OTHER_FIELD, USER, covered=False)
        for who in (MACHINE, ADMIN, NAMESAKE):
            yield Row(kind, "create", who, covered=False)
            yield Row(kind, "merge patch", who, covered=False)
        yield Row(kind, "create", MACHINE, covered=True)
        for extra in EXTRA:
            yield Row(kind, f"create with {extra}", USER, covered=False)
    for kind in ("Job", "Pod"):
        for covered in (False, True):
            yield Row(kind, GENERATED, USER, covered)


ROWS = [
    Row(row.kind, row.how, row.who, row.covered, number)
    for number, row in enumerate(row for row in _plain() if _has(row.kind, row.how))
]


def targets(rows=ROWS):
    """What has to be approved for the rows that have to pass."""
    return [
        {
            "apiVersion": KINDS[row.kind].api_version,
            "kind": row.kind,
            "name": f"{row.name}-*" if row.how == GENERATED else row.name,
            "images": [COVERED],
        }
        for row in rows
        if row.covered
    ]


def base(row, namespace):
    """The object of a row that is there before the namespace is gated."""
    return gated(row.kind, namespace, row.name, (BEFORE,))


def send(client, row, namespace):
    """Make the write of a row; the answer."""
    image = COVERED if row.covered else UNCOVERED
    where = url(row.kind, namespace, row.name)
    if row.how == GENERATED:
        body = gated(row.kind, namespace, row.name, (image,))
        body["metadata"] |= {"name": None, "generateName": f"{row.name}-"}
        return client.post(url(row.kind, namespace), json=body)
    if row.how.startswith("create"):
        extra = EXTRA.get(row.how.removeprefix("create with "), {})
        image = COVERED if extra else image
        body = gated(row.kind, namespace, row.name, (image,), **extra)
        dry = {"dryRun": "All"} if row.how.endswith("dry run") else {}
        return client.post(url(row.kind, namespace), json=body, params=dry)
    if row.how.startswith("server-side apply"):
        body = gated(row.kind, namespace, row.name, (image,))
        return _patch(client, where, "apply-patch+yaml", body, fieldManager="gitops", force="true")
    containers = [{"name": "c0", "image": image}]
    if row.how == "replace":
        body = client.get(where).raise_for_status().json()
        if row.kind != "Rollout":  # a custom resource is replaced with its version only
            del body["metadata"]["resourceVersion"]  # its controller may have written it since
        pod_spec(row.kind, body)["containers"][0]["image"] = image
        return client.put(where, json=body)
    if row.how == "JSON patch":
        path = "/".join(["", *spec_path(row.kind), "containers", "0", "image"])
        return _patch(client, where, "json-patch+json", [
            {"op": "replace", "path": path, "value": image}])  # fmt: skip
    if row.how == OTHER_FIELD:
        containers = [{"name": "c0", "image": BEFORE, "env": [{"name": "A", "value": "b"}]}]
    if row.how == "strategic merge patch":
        body = changed(row.kind, containers=containers)
        return _patch(client, where, "strategic-merge-patch+json", body)
    if row.kind == "Pod":
        # A merge patch replaces the list, and of a container little but the image may change.
        containers = [{**pod_spec(row.kind, client.get(where).json())["containers"][0],
                       "image": image}]  # fmt: skip
    dry = {"dryRun": "All"} if row.how.endswith("dry run") else {}
    return _patch(
        client, where, "merge-patch+json", changed(row.kind, containers=containers), **dry
    )


def _patch(client, where, content_type, body, **params):
    headers = {"Content-Type": f"application/{content_type}"}
    return client.patch(where, content=json.dumps(body), headers=headers, params=params)


def table():
    """The matrix as a Markdown table: kinds by ways."""
    ways = list(dict.fromkeys(row.how for row in ROWS if row.who == USER))
    lines = ["| way | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    for way in ways:
        cells = []
        for kind in KINDS:
            found = {
                row.covered for row in ROWS if (row.kind, row.how, row.who) == (kind, way, USER)
            }
            cells.append({0: "", 1: "refused"}.get(len(found), "as approved"))
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
