# SPDX-License-Identifier: Apache-2.0
"""Flux's real kustomize-controller on a local cluster, with a Git repository that it takes from. In
place of its source-controller, which cannot be built here, a loopback server hands out what `git
archive` makes of a commit, and the status of the GitRepository says so."""

import contextlib
import datetime
import functools
import hashlib
import http.server
import threading
from pathlib import Path

import yaml

from cabgate_devcluster import locate_program, wait_until
from support.gitops import DOCS
from support.namespaces import create_namespace
from support.team import MERGE

NAMESPACE = "flux-system"
ACCOUNT = "kustomize-controller"
CRDS = Path(__file__).with_name("flux_crds")


def page_flags():
    """The flags of docs/gitops/flux/controller-flag.yaml."""
    page = yaml.safe_load((DOCS / "flux" / "controller-flag.yaml").read_text())
    return [each["value"] for each in yaml.safe_load(page["patches"][0]["patch"])]


def _unused(kind, plural):
    """As much of the definition of a source as the controller needs to watch none of it."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.source.toolkit.fluxcd.io"},
        "spec": {
            "group": "source.toolkit.fluxcd.io",
            "names": {"kind": kind, "plural": plural, "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing: the controller's log has it."""


class Flux:
    """The controller, for one `with` block, with the flags that the page gives it."""

    def __init__(self, cluster, folder):
        self.cluster = cluster
        self._folder = folder / "artifacts"
        self._folder.mkdir()
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(self._folder))
        )

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        for path in CRDS.glob("*.yaml"):
            self.cluster.api.apply(yaml.safe_load(path.read_text()))
        for kind, plural in (("OCIRepository", "ocirepositories"), ("Bucket", "buckets")):
            self.cluster.api.apply(_unused(kind, plural))
        wait = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        self.cluster.kubectl(*wait)
        create_namespace(self.cluster, NAMESPACE, None)
        # As it is installed.
        account = f"--serviceaccount={NAMESPACE}:{ACCOUNT}"
        bind = ("create", "clusterrolebinding", "cluster-reconciler-flux-system")
        self.cluster.kubectl(*bind, "--clusterrole=cluster-admin", account)
        self._start(page_flags())
        return self

    def __exit__(self, *_):
        self._process.stop()
        self._server.shutdown()
        self._server.server_close()

    def _start(self, flags):
        self._process = self.cluster.spawn(
            "kustomize-controller",
            [
                locate_program("kustomize-controller", None),
                "--metrics-addr=0",
                f"--health-addr=127.0.0.1:{self.cluster.free_port()}",
                "--no-remote-bases=true",
                *flags,
            ],
            env={
                "KUBECONFIG": str(self.cluster.service_account(NAMESPACE, ACCOUNT)),
                "RUNTIME_NAMESPACE": NAMESPACE,
            },
        )

    @contextlib.contextmanager
    def flags(self, *flags):
        """The controller with other flags, for the time of the block."""
        self._process.stop()
        self._start(flags)
        try:
            yield
        finally:
            self._process.stop()
            self._start(page_flags())

    def publish(self, name, repository):
        """What source-controller does after a push; the revision."""
        commit = repository.head()
        path = self._folder / f"{name}-{commit}.tar.gz"
        repository.git("archive", "--format=tar.gz", "-o", str(path), "HEAD")
        content = path.read_bytes()
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        revision = f"main@sha1:{commit}"
        port = self._server.server_address[1]
        found = self.cluster.api.get("gitrepository", name, NAMESPACE)
        ready = {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored",
                 "lastTransitionTime": now}  # fmt: skip
        status = {
            "observedGeneration": found["metadata"]["generation"],
            "conditions": [ready],
            "artifact": {
                "path": path.name,
                "url": f"http://127.0.0.1:{port}/{path.name}",
                "revision": revision,
                "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
                "lastUpdateTime": now,
                "size": len(content),
            },
        }
        where = f"{self.cluster.api.path('gitrepositories', NAMESPACE)}/{name}/status"
        self.cluster.api.call("PATCH", where, {"status": status}, content_type=MERGE)
        return revision

    def ready(self, name):
        """The condition Ready of a Kustomization, and the revision that was applied last."""
        found = self.cluster.api.get("kustomization", name, NAMESPACE)
        status = found.get("status", {})
        [condition] = [each for each in status.get("conditions", ()) if each["type"] == "Ready"]
        return condition, status.get("lastAppliedRevision")

    def wait_applied(self, name, revision, timeout=90.0):
        """Return once a Kustomization is ready with a revision."""

        def applied():
            condition, last = self.ready(name)
            done = condition["status"] == "True" and last == revision
            assert done, condition["message"]
            return True

        wait_until(applied, f"Kustomization {name} is ready with {revision}", timeout)

    def wait_told(self, name, *words, timeout=90.0):
        """The message of a Kustomization, once it is not ready and says these words."""

        def seen():
            condition, _ = self.ready(name)
            message = condition["message"]
            assert condition["status"] != "True", message
            assert all(word in message for word in words), message
            return message

        return wait_until(seen, f"Kustomization {name} says {words}", timeout)
