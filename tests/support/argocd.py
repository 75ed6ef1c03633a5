# SPDX-License-Identifier: Apache-2.0
"""Argo CD's real application-controller and repo-server on a local cluster, with the Redis that
they need. Its API server is no part of it: what its command line would ask of that, the page has
for kubectl."""

import contextlib
import os
import shutil
import socket

import yaml

from cabgate_devcluster import locate_program, program_at_hand, wait_until
from support.gitops import DOCS
from support.namespaces import create_namespace

NAMESPACE = "argocd"
ACCOUNT = "argocd-application-controller"


def _redis():
    return shutil.which("redis-server") or shutil.which("valkey-server")


def missing():
    """What is not at hand of that which Argo CD needs, in one line; "" where nothing is missing."""
    lacks = [name for name in ("argocd", "kustomize") if not program_at_hand(name)]
    if _redis() is None:
        lacks.append("redis-server")
    return f"{', '.join(lacks)} not at hand: make gitops-tools" if lacks else ""


class ArgoCD:
    """The two of them, for one `with` block, with the health check that the page gives them."""

    def __init__(self, cluster, folder):
        self.cluster = cluster
        self._folder = folder
        self._home = {
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "PATH": f"{locate_program('kustomize', None).parent}:{os.defpath}",
            "ARGOCD_ASK_PASS_SOCK": str(folder / "ask-pass.sock"),
            "ARGOCD_GPG_ENABLED": "false",
            # The cluster of the Applications is the one of the kubeconfig.
            "ARGOCD_FAKE_IN_CLUSTER": "true",
        }
        self._processes = []

    def __enter__(self):
        self._install()
        redis, repo = self.cluster.free_port(), self.cluster.free_port()
        listens = ("--bind", "127.0.0.1", "--port", str(redis))
        nothing_kept = ("--save", "", "--appendonly", "no")
        self._spawn("redis", [_redis(), *listens, *nothing_kept], {})
        self._addresses = (f"--redis=127.0.0.1:{redis}",)
        self._spawn(
            "argocd-repo-server",
            [
                locate_program("argocd", None),
                f"--port={repo}",
                "--address=127.0.0.1",
                "--metrics-address=127.0.0.1",
                f"--metrics-port={self.cluster.free_port()}",
                "--disable-tls",
                *self._addresses,
            ],
            self._as_account("argocd-repo-server"),
        )
        for port in (redis, repo):
            wait_until(lambda port=port: _listens(port), f"a server listens on port {port}")
        self._repo = f"--repo-server=127.0.0.1:{repo}"
        self._controller = self._start()
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            if process.running:
                process.stop()

    def _install(self):
        folder = locate_program("argocd", None).parent
        for kind in ("application", "applicationset", "appproject"):
            path = folder / f"{kind}-crd.yaml"
            # Server-side, for a plain apply of an object as large as this is too large.
            self.cluster.kubectl("apply", "--server-side", "-f", path)
            name = yaml.safe_load(path.read_text())["metadata"]["name"]
            wait_until(lambda name=name: self._established(name), f"{name} is served")
        create_namespace(self.cluster, NAMESPACE, None)
        # As it is installed: its ClusterRole allows everything.
        for account in (ACCOUNT, "argocd-repo-server"):
            self.cluster.service_account(NAMESPACE, account)
        account = f"--serviceaccount={NAMESPACE}:{ACCOUNT}"
        bind = ("create", "clusterrolebinding", ACCOUNT, "--clusterrole=cluster-admin", account)
        self.cluster.kubectl(*bind)
        own = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "argocd-repo-server", "namespace": NAMESPACE},
            "rules": [
                {"apiGroups": [""], "resources": ["secrets", "configmaps"],
                 "verbs": ["get", "list", "watch"]},
            ],
        }  # fmt: skip
        self.cluster.api.apply(own)
        account = f"--serviceaccount={NAMESPACE}:argocd-repo-server"
        bind = ("create", "rolebinding", "argocd-repo-server", "--role=argocd-repo-server", account)
        self.cluster.kubectl(*bind, "-n", NAMESPACE)
        self.cluster.api.apply(yaml.safe_load((DOCS / "argocd" / "argocd-cm.yaml").read_text()))
        part_of = {"app.kubernetes.io/part-of": "argocd"}
        secret = {"name": "argocd-secret", "namespace": NAMESPACE, "labels": part_of}
        self.cluster.api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": secret,
                                "stringData": {"server.secretkey": "unused"}})  # fmt: skip
        project = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "default", "namespace": NAMESPACE},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"namespace": "*", "server": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        }
        self.cluster.api.apply(project)

    def _established(self, name):
        found = self.cluster.api.get("customresourcedefinition", name)
        seen = found.get("status", {}).get("conditions") or ()
        return any((each["type"], each["status"]) == ("Established", "True") for each in seen)

    def _as_account(self, account):
        return {
            "ARGOCD_BINARY_NAME": account,
            "KUBECONFIG": str(self.cluster.service_account(NAMESPACE, account)),
            **self._home,
        }

    def _spawn(self, name, argv, env):
        process = self.cluster.spawn(name, argv, env=env, cwd=self._folder)
        self._processes.append(process)
        return process

    def _start(self, *flags):
        return self._spawn(
            "argocd-application-controller",
            [
                locate_program("argocd", None),
                f"--namespace={NAMESPACE}",
                f"--metrics-port={self.cluster.free_port()}",
                "--repo-server-plaintext",
                self._repo,
                *self._addresses,
                *flags,
            ],
            self._as_account(ACCOUNT),
        )

    @contextlib.contextmanager
    def flags(self, *flags):
        """The application-controller with other flags, for the time of the block."""
        self._controller.stop()
        self._controller = self._start(*flags)
        try:
            yield
        finally:
            self._controller.stop()
            self._controller = self._start()


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
