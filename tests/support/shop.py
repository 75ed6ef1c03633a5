# SPDX-License-Identifier: Apache-2.0
"""A team whose releases Flux applies, as docs/gitops/flux.md has it: with the page's manifests and
the kustomize example, but for names."""

import re
import subprocess
import time

import yaml

from cabgate_devcluster import wait_until
from support.flux import MERGE, NAMESPACE, Repository
from support.flux_times import KEY
from support.gitops import DOCS, Overlay, images_of

IMAGE = "registry.example.com/shop/checkout"
MIGRATE = "mirror.example.com/shop/migrate:1.1"
INTENT = "eu-checkout"
"""Name of the example's intent, and of its Deployment."""


class Shop:
    """One namespace, one Git repository, and the one or two Kustomizations that Flux has of it.

    `layout` is `one` or `two`; `record` is pytest's `record_property`. What is said of `first` is
    about the Kustomization that has the intent, of `last` about the one that has the workload.
    """

    def __init__(self, flux, gate, namespace, folder, layout, record):
        self.flux, self.gate, self.namespace, self.layout = flux, gate, namespace, layout
        self._record = record
        self.overlay = Overlay(gate.cluster, folder)
        self.overlay.set(namespace=namespace)
        self.repository = Repository(self.overlay.folder)
        self.last = namespace
        self.first = namespace if layout == "one" else f"{namespace}-intent"
        page = (DOCS / "flux" / f"{layout}-kustomization{'s' * (layout == 'two')}.yaml").read_text()
        page = page.replace("name: shop", f"name: {namespace}")
        for document in yaml.safe_load_all(page):
            gate.cluster.api.apply(document)

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
        """Commit and push; the revision, which Flux's source has by then."""
        self.repository.commit(message)
        return self.flux.publish(self.namespace, self.repository)

    def revert(self, commits=1):
        """`git revert` of the last commits, and push; the revision."""
        self.repository.git("revert", "--no-edit", f"HEAD~{commits}..HEAD")
        return self.flux.publish(self.namespace, self.repository)

    def images(self):
        """The images that the live Deployment asks for; none where there is none."""
        found = self.gate.items("deployments", self.namespace)
        return {image for each in found for image in images_of(each)}

    def note(self, step, taken):
        """A line of the table of what was slow."""
        self._record(KEY, (self.layout, step, taken))

    def wait_rolled_out(self, tag, revision, step="", timeout=120.0):
        """Return once the workload has an image and Flux calls the revision applied; the seconds
        are noted for the step."""
        begun = time.monotonic()

        def runs():
            assert f"{IMAGE}:{tag}" in self.images(), self.flux.ready(self.last)
            return True

        wait_until(runs, f"{tag} in {self.namespace}", timeout)
        self.flux.wait_applied(self.last, revision, timeout)
        if step:
            self.note(step, f"{time.monotonic() - begun:.1f} s")

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

    def set_kustomization(self, name, **spec):
        """Change fields of one of Flux's Kustomizations, as an admin."""
        path = f"{self.gate.cluster.api.path('kustomizations', NAMESPACE)}/{name}"
        self.gate.cluster.api.call("PATCH", path, {"spec": spec}, content_type=MERGE)

    def wait_seen(self, revision):
        """Return once Flux has tried a revision."""

        def seen():
            found = self.gate.get("kustomization", self.first, NAMESPACE)
            return found["status"].get("lastAttemptedRevision") == revision

        wait_until(seen, f"{self.first} has tried {revision}")

    def wait_checking(self):
        """Return once Flux waits for the health of the intent."""

        def checking():
            condition, _ = self.flux.ready(self.first)
            assert condition["status"] == "Unknown", condition
            return True

        wait_until(checking, f"{self.first} waits for a health check")

    def reconcile(self):
        """What `flux reconcile kustomization` does, as the page has it for kubectl; returns once
        the Kustomization of the workload was tried again, or waits for a health check."""
        [printed] = re.findall(r"kubectl annotate .*", (DOCS / "flux.md").read_text())
        cluster = self.gate.cluster
        path = f"{cluster.binaries.kubectl.parent}:/usr/bin:/bin"
        subprocess.run(
            ["sh", "-c", printed.replace("kustomization/shop", f"kustomization/{self.last}")],
            env={"PATH": path, "KUBECONFIG": str(cluster.admin), "HOME": str(cluster.directory)},
            check=True,
            capture_output=True,
        )

        def handled():
            found = self.gate.get("kustomization", self.last, NAMESPACE)
            asked = found["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"]
            return found["status"].get("lastHandledReconcileAt") == asked

        wait_until(handled, f"{self.last} was tried again", 90)

    def follow(self):
        """What somebody does after an approval: in two Kustomizations, nothing."""
        if self.layout == "one":
            self.reconcile()
