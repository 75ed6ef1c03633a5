# SPDX-License-Identifier: Apache-2.0
"""A team whose releases Flux applies, as docs/gitops/flux.md has it: with the page's manifests and
the kustomize example, but for names."""

import re

import yaml

from cabgate_devcluster import wait_until
from support.flux import NAMESPACE
from support.gitops import DOCS
from support.team import MERGE, Team


class FluxShop(Team):
    """The one or two Kustomizations that Flux has of a team's repository.

    `layout` is `one` or `two`. What is said of `first` is about the Kustomization that has the
    intent, of `last` about the one that has the workload.
    """

    key = "flux"

    def __init__(self, flux, gate, namespace, folder, layout, record):
        super().__init__(gate, namespace, folder, layout, record)
        self.flux = flux
        self.last = namespace
        self.first = namespace if layout == "one" else f"{namespace}-intent"
        page = (DOCS / "flux" / f"{layout}-kustomization{'s' * (layout == 'two')}.yaml").read_text()
        page = page.replace("name: shop", f"name: {namespace}")
        for document in yaml.safe_load_all(page):
            gate.cluster.api.apply(document)

    def publish(self):
        """Flux's source has the newest commit by then."""
        return self.flux.publish(self.namespace, self.repository)

    def wait_applied(self, revision, timeout):
        """Return once the Kustomization of the workload is ready with a revision."""
        self.flux.wait_applied(self.last, revision, timeout)

    def said(self):
        """The condition Ready of the Kustomization of the workload."""
        return self.flux.ready(self.last)

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
        self.by_kubectl(printed.replace("kustomization/shop", f"kustomization/{self.last}"))

        def handled():
            found = self.gate.get("kustomization", self.last, NAMESPACE)
            asked = found["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"]
            return found["status"].get("lastHandledReconcileAt") == asked

        wait_until(handled, f"{self.last} was tried again", 90)

    def follow(self):
        """What somebody does after an approval: in two Kustomizations, nothing."""
        if self.layout == "one":
            self.reconcile()
