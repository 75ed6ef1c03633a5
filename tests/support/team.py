# SPDX-License-Identifier: Apache-2.0
"""A team whose releases come from Git: what it writes, and what it sees of the gate, whichever tool
applies them."""

import subprocess
import time

import yaml

from cabgate_devcluster import wait_until
from support.gitops import Overlay, images_of

MERGE = "application/merge-patch+json"
IMAGE = "registry.example.com/shop/checkout"
MIGRATE = "mirror.example.com/shop/migrate:1.1"
INTENT = "eu-checkout"
"""Name of the example's intent, and of its Deployment."""


class Repository:
    """A Git repository in a folder that has its files already."""

    def __init__(self, folder):
        self.folder = folder
        self.git("init", "-q", "-b", "main")

    def git(self, *words):
        """Run git; what it prints."""
        who = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.com"))}  # fmt: skip
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder.parent), **who}
        return subprocess.run(
            ["git", *words], cwd=self.folder, env=env, check=True, capture_output=True, text=True
        ).stdout

    def commit(self, message):
        """Commit all that the folder has."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def head(self):
        """The newest commit."""
        return self.git("rev-parse", "HEAD").strip()


class Team:
    """One namespace, and one Git repository with the kustomize example for it.

    `publish` is told after each push and returns the revision by which the tool knows it; `applied`
    returns once the tool calls that revision applied. `layout` is a column of the table of what was
    slow, `key` the table; `record` is pytest's `record_property`.
    """

    key = ""

    def __init__(self, gate, namespace, folder, layout, record):
        self.gate, self.namespace, self.layout = gate, namespace, layout
        self._record = record
        self.overlay = Overlay(gate.cluster, folder)
        self.overlay.set(namespace=namespace)
        self.repository = Repository(self.overlay.folder)

    def publish(self):
        """What a push sets off; the revision."""
        raise NotImplementedError

    def wait_applied(self, revision, timeout):
        """Return once the tool calls a revision applied."""
        raise NotImplementedError

    def write(self, path, obj):
        """A file of the production overlay, which its kustomization lists."""
        folder = self.overlay.folder / "overlays" / "production"
        (folder / path).write_text(yaml.safe_dump(obj))
        found = yaml.safe_load((folder / "kustomization.yaml").read_text())
        self.overlay.set(resources=[*{*found["resources"], path}])

    def tag(self, tag):
        """What a robot writes: the image, and nothing of it."""
        images = [
            {"name": IMAGE, "newTag": tag},
            {
                "name": "registry.example.com/shop/migrate",
                "newName": "mirror.example.com/shop/migrate",
                "newTag": "1.1",
            },
        ]
        self.overlay.set(images=images)

    def release(self, tag):
        """What the pipeline of a release writes: the image, and the evidence for it."""
        self.tag(tag)
        self.overlay.release(tag, f"{IMAGE}:{tag}", MIGRATE)

    def push(self, message):
        """Commit and push; the revision."""
        self.repository.commit(message)
        return self.publish()

    def revert(self, commits=1):
        """`git revert` of the last commits, and push; the revision."""
        self.repository.git("revert", "--no-edit", f"HEAD~{commits}..HEAD")
        return self.publish()

    def images(self):
        """The images that the live Deployment asks for; none where there is none."""
        found = self.gate.items("deployments", self.namespace)
        return {image for each in found for image in images_of(each)}

    def note(self, step, taken):
        """A line of the table of what was slow."""
        self._record(self.key, (self.layout, step, taken))

    def wait_rolled_out(self, tag, revision, step="", timeout=120.0):
        """Return once the workload has an image and the tool calls the revision applied; the
        seconds are noted for the step."""
        begun = time.monotonic()

        def runs():
            assert f"{IMAGE}:{tag}" in self.images(), self.said()
            return True

        wait_until(runs, f"{tag} in {self.namespace}", timeout)
        self.wait_applied(revision, timeout)
        if step:
            self.note(step, f"{time.monotonic() - begun:.1f} s")

    def said(self):
        """What the tool says of the workload, for a test that fails."""
        raise NotImplementedError

    def request(self, state, images=()):
        """Name of the request of the intent, once it is in a state, and is about these images."""

        def current():
            found = self.gate.request_of(self.namespace, INTENT, state, timeout=1)
            declared = {i for each in found["spec"]["targets"] for i in each["images"]}
            assert declared >= set(images), declared
            return found["metadata"]["name"]

        return wait_until(current, f"a request {state} in {self.namespace}", 90)

    def wait_for_person(self, tag):
        """Name of the request for a tag, once a person is to decide it."""
        return self.request("Submitted", [f"{IMAGE}:{tag}"])

    def decide(self, request, verdict="Approved"):
        """What a reviewer says of a request."""
        self.gate.review("reviewer", "cabrequest", request, self.namespace, verdict)
        self.gate.wait_state("cabrequest", request, self.namespace, verdict)

    def write_evidence(self, **fields):
        """Change what the evidence of the production overlay says."""
        path = self.overlay.folder / "overlays" / "production" / "evidence.yaml"
        found = yaml.safe_load(path.read_text())
        found["spec"]["evidence"].update(fields)
        path.write_text(yaml.safe_dump(found))

    def patch_workload(self, **fields):
        """Change fields of the spec of the Deployment in Git."""
        path = self.overlay.folder / "base" / "deployment.yaml"
        found = yaml.safe_load(path.read_text())
        found["spec"].update(fields)
        path.write_text(yaml.safe_dump(found))

    def has(self, resource, name):
        """Whether the namespace has an object."""
        found = self.gate.items(resource, self.namespace)
        return name in {each["metadata"]["name"] for each in found}

    def replicas(self):
        """How many Pods the live Deployment asks for."""
        return self.gate.get("deployment", INTENT, self.namespace)["spec"]["replicas"]

    def break_glass(self, tag):
        """What somebody with the verb does in an incident: another image, and why."""
        self.gate.user("breaker")
        for role in ("edit", "cabgate-break-glass"):
            self.gate.bind("breaker", role, self.namespace)
        annotated = {"annotations": {"cabgate.dev/break-glass": "INC-1: the shop is down"}}
        pods = {"spec": {"containers": [{"name": "checkout", "image": f"{IMAGE}:{tag}"}]}}
        body = {"metadata": annotated, "spec": {"template": pods}}
        self.gate.patch("breaker", "deployment", INTENT, self.namespace, body, kind="strategic")

    def by_kubectl(self, command):
        """Run what a page prints, as an admin."""
        cluster = self.gate.cluster
        path = f"{cluster.binaries.kubectl.parent}:/usr/bin:/bin"
        subprocess.run(
            ["sh", "-c", command],
            env={"PATH": path, "KUBECONFIG": str(cluster.admin), "HOME": str(cluster.directory)},
            check=True,
            capture_output=True,
        )
