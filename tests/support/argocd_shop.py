# SPDX-License-Identifier: Apache-2.0
"""A team whose releases Argo CD applies, as docs/gitops/argocd.md has it: with the page's
Application and the kustomize example, but for names."""

import re

import yaml

from cabgate_devcluster import wait_until
from support.argocd import NAMESPACE
from support.gitops import DOCS
from support.team import IMAGE, INTENT, MERGE, Team

WAVE = "argocd.argoproj.io/sync-wave"
COMMANDS = re.compile(r"kubectl patch applications\.argoproj\.io shop -n argocd .*")


class ArgoShop(Team):
    """The Application that Argo CD has of a team's repository.

    `layout` is `retries`, for the page's recipe without waves, or `waves`.
    """

    key = "argocd"

    def __init__(self, gate, namespace, folder, layout, record):
        super().__init__(gate, namespace, folder, layout, record)
        if layout == "waves":
            self.annotate("intent")
        page = (DOCS / "argocd" / "application.yaml").read_text()
        page = page.replace("name: shop", f"name: {namespace}")
        page = page.replace("namespace: shop", f"namespace: {namespace}")
        found = yaml.safe_load(page)
        found["spec"]["source"]["repoURL"] = f"file://{self.overlay.folder}"
        self._application = found

    def annotate(self, name):
        """Put an object of the base into the wave before its workload's."""
        path = self.overlay.folder / "base" / f"{name}.yaml"
        found = yaml.safe_load(path.read_text())
        found["metadata"]["annotations"] = {WAVE: "-1"}
        path.write_text(yaml.safe_dump(found))

    def publish(self):
        """What a webhook tells Argo CD; the first one finds no Application yet."""
        api = self.gate.cluster.api
        if self._application is not None:
            api.apply(self._application)
            self._application = None
        else:
            self.refresh()
        return self.repository.head()

    def refresh(self):
        """Have Argo CD look at Git and at the cluster; returns once it has."""
        seen = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
        self.patch(seen)

        def done():
            annotations = self.application()["metadata"].get("annotations", {})
            return "argocd.argoproj.io/refresh" not in annotations

        wait_until(done, f"Application {self.namespace} was refreshed", 90)

    def application(self):
        """The Application."""
        return self.gate.get("application", self.namespace, NAMESPACE)

    def patch(self, body):
        """Change fields of the Application, as an admin."""
        path = f"{self.gate.cluster.api.path('applications', NAMESPACE)}/{self.namespace}"
        self.gate.cluster.api.call("PATCH", path, body, content_type=MERGE)

    def set_policy(self, **fields):
        """Change fields of the sync policy."""
        self.patch({"spec": {"syncPolicy": fields}})

    def said(self):
        """Phase and message of the last sync."""
        operation = self.application().get("status", {}).get("operationState", {})
        return operation.get("phase"), operation.get("message", "")

    def wait_applied(self, revision, timeout):
        """Return once the Application is in sync with a revision."""

        def synced():
            sync = self.application().get("status", {}).get("sync", {})
            done = (sync.get("status"), sync.get("revision")) == ("Synced", revision)
            assert done, (sync.get("status"), self.said())
            return True

        wait_until(synced, f"Application {self.namespace} is in sync with {revision}", timeout)

    def set_image(self, tag):
        """What `argocd app set --kustomize-image` does, and Argo CD's Image Updater."""
        self.patch({"spec": {"source": {"kustomize": {"images": [f"{IMAGE}:{tag}"]}}}})

    def tries(self):
        """How often the last sync was tried again."""
        operation = self.application().get("status", {}).get("operationState", {})
        return operation.get("retryCount", 0)

    def wait_told(self, *words, timeout=90.0):
        """Return once the results of the running sync say these words."""

        def seen():
            operation = self.application().get("status", {}).get("operationState", {})
            results = operation.get("syncResult", {}).get("resources", ())
            said = " ".join(
                [operation.get("message", ""), *(e.get("message", "") for e in results)]
            )
            assert all(word in said for word in words), said
            return True

        wait_until(seen, f"the sync of {self.namespace} says {words}", timeout)

    def wait_tried(self, revision, phase="Running", timeout=90.0):
        """Return once a sync of a revision is in a phase."""

        def tried():
            operation = self.application().get("status", {}).get("operationState", {})
            found = (operation.get("syncResult", {}).get("revision"), operation.get("phase"))
            assert found == (revision, phase), (found, operation.get("message"))
            return True

        wait_until(tried, f"a sync of {self.namespace} to {revision} is {phase}", timeout)

    def wait_timed_out(self, revision):
        """Return once a sync of a revision is over its time. Argo CD notices when it next has a
        cause to process the Application, such as a refresh, and else after minutes."""

        def ended():
            self.refresh()
            self.wait_tried(revision, "Failed", timeout=2.0)
            return True

        wait_until(ended, f"a sync of {self.namespace} to {revision} is over its time", 120)

    def health(self):
        """The health of the Application."""
        return self.application().get("status", {}).get("health", {}).get("status")

    def wait_health(self, status, timeout=90.0):
        """Return once the Application has a health."""

        def found():
            assert self.health() == status, (self.health(), self.said())
            return True

        wait_until(found, f"{self.namespace} is {status}", timeout)

    def command(self, part):
        """Run the page's one command of kubectl that has `part` in it, for this Application."""
        printed = COMMANDS.findall((DOCS / "argocd.md").read_text())
        [found] = {each for each in printed if part in each}
        self.by_kubectl(found.replace(" shop ", f" {self.namespace} "))

    def terminate(self):
        """What `argocd app terminate-op` does, as the page has it for kubectl; another sync may
        have begun by the return."""
        begun = self.application()["status"]["operationState"]["startedAt"]
        self.command("Terminating")

        def ended():
            operation = self.application()["status"].get("operationState", {})
            other = operation.get("startedAt", begun) != begun
            assert other or operation.get("phase") not in ("Running", "Terminating"), self.said()
            return True

        wait_until(ended, f"the sync of {self.namespace} has ended", 90)

    def sync(self):
        """What `argocd app sync` does, as the page has it for kubectl."""
        self.command('"operation":{')

    def declared(self):
        """The images that the live intent declares."""
        found = self.gate.get("deploymentintent", INTENT, self.namespace)
        return {image for each in found["spec"]["targets"] for image in each["images"]}
