# SPDX-License-Identifier: Apache-2.0
"""The local cluster: a context manager around the control plane and its clients."""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cabgate_devcluster.clients.admin import AdminClient
from cabgate_devcluster.clients.kubeconfig import (
    certificate_credentials,
    token_credentials,
    write_kubeconfig,
)
from cabgate_devcluster.clients.pki import ServingCertificate
from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.processes.guard import Guard
from cabgate_devcluster.processes.process import Process
from cabgate_devcluster.programs.binaries import Binaries
from cabgate_devcluster.servers.control_plane import ControlPlane, spawn_environment
from cabgate_devcluster.servers.ports import Ports

_ADMIN = "devcluster-admin"


class DevCluster:
    """A real etcd, kube-apiserver and kube-controller-manager on 127.0.0.1, for one `with` block.

    There is no scheduler and no kubelet: Pods stay Pending. `binaries` None means
    `Binaries.locate()`. Logs go to `log_dir`, one cluster a folder, and stay there; without it
    they vanish with the cluster, unless it fails to boot or the block raises: then they are kept
    in a temp folder which the error names. `apiserver_args` and `etcd_args` are further flags of
    kube-apiserver and etcd, and win over ours.

    Nothing of it outlives this process, however that ends. Every method raises `DevClusterError`
    when what it was asked for did not work.
    """

    forking = False
    """Whether what is started in Python is forked out of a process that has cabgate's modules
    loaded, which takes a second of CPU time less each. The tests set it; what measures starts them
    as they are started elsewhere."""

    def __init__(
        self,
        binaries: Binaries | None = None,
        log_dir: Path | None = None,
        apiserver_args: Sequence[str] = (),
        etcd_args: Sequence[str] = (),
    ) -> None:
        self._binaries = binaries
        self._log_dir = log_dir
        self._apiserver_args = tuple(apiserver_args)
        self._etcd_args = tuple(etcd_args)
        self._ports = Ports()
        self._guard: Guard | None = None
        self._plane: ControlPlane | None = None
        self._spawned: list[Process] = []
        self.issued_tokens: list[str] = []
        """Each token of a service account that was asked for here, the latest last."""
        self._kept: Path | None = None
        self._certificates = 0
        self._api: AdminClient | None = None

    def __enter__(self) -> Self:
        if self._guard is not None:
            raise DevClusterError("a DevCluster can be entered once")
        self._binaries = self._binaries or Binaries.locate()
        self._guard = Guard("cabgate-devcluster-", forking=self.forking)
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            self._plane = ControlPlane(
                self._guard,
                self._binaries,
                self._ports,
                logs=self._logs,
                apiserver_args=self._apiserver_args,
                etcd_args=self._etcd_args,
                keep_logs=self._keep_logs,
            )
            self._plane.boot()
            #: kubeconfig of a user in system:masters, "devcluster-admin"
            self.admin = self.user(_ADMIN, ("system:masters",))
        except BaseException:
            self._guard.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            # Ours can go without a word, theirs may have something to say (coverage data, say).
            for process in reversed(self._spawned):
                if process.running:
                    process.stop()
            if isinstance(error, Exception):
                with contextlib.suppress(OSError):  # a full disk must not hide what went wrong
                    error.add_note(f"logs of the local cluster: {self._keep_logs()}")
        finally:
            if self._api is not None:
                self._api.close()
            self._ports.release()
            if self._guard is not None:
                self._guard.close()

    @property
    def directory(self) -> Path:
        """Temp folder of this run, mode 0700; it vanishes with the cluster."""
        return self._live_guard.directory

    @property
    def binaries(self) -> Binaries:
        """The programs that this cluster runs."""
        if self._binaries is None:
            raise DevClusterError("the local cluster has not been started: use `with DevCluster()`")
        return self._binaries

    @property
    def server(self) -> str:
        """URL of the API server, `https://127.0.0.1:PORT`."""
        return self._live.layout.server

    @property
    def ca_pem(self) -> bytes:
        """Certificate (PEM) of the authority that signed the API server's certificate."""
        return self._live.authority.cert_pem

    def user(self, name: str, groups: Sequence[str] = (), kubeconfig: Path | None = None) -> Path:
        """Mint a user (client certificate: CN `name`, one O for each group); return a kubeconfig.

        It is written to `kubeconfig`, by default to a file of its own in `directory`.
        """
        if isinstance(groups, str):
            raise DevClusterError(f"groups is a sequence of names, not the string {groups!r}")
        path = kubeconfig or self._kubeconfig_path(name, name, *groups)
        pair = self._live.authority.client(name, groups)
        return self._write_kubeconfig(path, name, certificate_credentials(pair))

    def service_account(self, namespace: str, name: str, seconds: int = 86400) -> Path:
        """Return a kubeconfig with a token of that service account, good for `seconds`.

        The account is made if it does not exist; its namespace is not.
        """
        token = self.service_account_token(namespace, name, seconds)
        user = f"system:serviceaccount:{namespace}:{name}"
        return self._write_kubeconfig(
            self._kubeconfig_path(f"{namespace}-{name}", user), user, token_credentials(token)
        )

    def service_account_token(self, namespace: str, name: str, seconds: int = 3600) -> str:
        """Return a token from TokenRequest, good for `seconds` (the API's least is 600)."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        try:
            self.api.call("POST", path, account)
        except DevClusterError as error:
            if "already exists" not in str(error):
                raise
        wanted = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        token: str = self.api.call("POST", f"{path}/{name}/token", wanted)["status"]["token"]
        self.issued_tokens.append(token)
        return token

    @property
    def api(self) -> AdminClient:
        """The API server as the admin, without a process of kubectl for each look."""
        if self._api is None:
            pair = self._live.authority.client(_ADMIN, ("system:masters",))
            self._api = AdminClient(self.server, self.ca_pem, pair)
        return self._api

    def kubectl(
        self,
        *args: str | os.PathLike[str],
        kubeconfig: Path | None = None,
        stdin: str | None = None,
        check: bool = True,
        timeout: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run the real kubectl, by default as the admin, and return what it wrote.

        With `check`, a `DevClusterError` with its stderr when it fails. In every case when it
        takes longer than `timeout` seconds.
        """
        argv = [str(self.binaries.kubectl), f"--kubeconfig={kubeconfig or self.admin}"]
        argv += [os.fspath(each) for each in args]
        shown = "kubectl " + " ".join(argv[2:])
        env = spawn_environment(
            {
                # its discovery cache and its settings: this cluster's, not the developer's
                "HOME": str(self.directory),
                "KUBECACHEDIR": str(self.directory / "kubectl-cache"),
                "GOGC": "off",  # a quarter of its CPU time, for a process of a moment
            }
        )
        try:
            result = subprocess.run(
                argv,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
                env=env,
            )
        except subprocess.TimeoutExpired as exc:
            raise DevClusterError(f"{shown}: no end after {timeout:g} s") from exc
        except OSError as exc:
            raise DevClusterError(f"{shown}: {exc}") from exc
        if check and result.returncode != 0:
            raise DevClusterError(
                f"{shown}: exit code {result.returncode}\n{result.stderr.strip()}"
            )
        return result

    def serving_certificate(self, name: str) -> ServingCertificate:
        """Mint a server certificate for 127.0.0.1 and localhost.

        Each call makes a new pair in a folder of its own (`tls.crt`, `tls.key`, `ca.crt`), so a
        second one for the same `name` is a rotation.
        """
        self._certificates += 1
        folder = self.directory / "serving" / f"{_file_name(name)}-{self._certificates}"
        folder.mkdir(parents=True)
        cert, key = folder / "tls.crt", folder / "tls.key"
        self._live.authority.server(name).write(cert, key)
        (folder / "ca.crt").write_bytes(self.ca_pem)
        return ServingCertificate(cert, key, self.ca_pem)

    def spawn(
        self,
        name: str,
        argv: Sequence[str | os.PathLike[str]],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start a process that dies with this one, its output in `<name>.log` beside the others.

        `env` comes on top of this process's environment, from which KUBECONFIG is taken out. At
        the end of the block it gets SIGTERM, and 10 s later SIGKILL; SIGKILL at once when this
        process dies.
        """
        process = Process(
            self._live_guard,
            name,
            argv,
            log=self._logs / f"{_file_name(name)}.log",
            env=spawn_environment(env),
            cwd=cwd,
        )
        self._spawned.append(process)
        return process

    def stop(self, component: str) -> None:
        """End "etcd", "kube-apiserver" or "kube-controller-manager" in order (SIGTERM)."""
        self._live.stop(component)

    def kill(self, component: str) -> None:
        """End a component at once (SIGKILL)."""
        self._live.kill(component)

    def start(self, component: str) -> None:
        """Start an ended component on its old port and data; returns when it is ready."""
        self._live.start(component)
        self._reconnect()

    def component(self, name: str) -> Process:
        """Return the process of a component, to pause it or to read its log."""
        try:
            return self._live.processes[name]
        except KeyError:
            raise DevClusterError(f"no component {name!r}") from None

    def snapshot_etcd(self, path: Path) -> None:
        """Copy the data of etcd into the new folder `path`; API server and etcd restart for it."""
        self._live.snapshot_etcd(path)
        self._reconnect()

    def restore_etcd(self, path: Path) -> None:
        """Put the data of a snapshot in place, of this cluster or of another one, whose users,
        certificates and tokens do not come along; all three servers restart for it."""
        self._live.restore_etcd(path)
        self._reconnect()

    def _reconnect(self) -> None:
        if self._api is not None:
            self._api.reconnect()

    def call_etcd(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST to the JSON gateway of etcd, at `/v3/maintenance/alarm` for one; the answer."""
        return self._live.call_etcd(path, body)

    @property
    def etcd_port(self) -> int:
        """Port of etcd, which asks for a certificate of its authority (`pki/etcd-client`)."""
        return self._live.layout.etcd_port

    def reach_etcd_at(self, port: int) -> None:
        """Have the API server reach etcd at another port of 127.0.0.1, a proxy's; it restarts."""
        self._live.reach_etcd_at(port)
        self._reconnect()

    def free_port(self) -> int:
        """Return a port of 127.0.0.1 that is kept for the caller until the cluster ends, another
        one at each call."""
        return self._ports.free()

    @property
    def _live_guard(self) -> Guard:
        if self._guard is None:
            raise DevClusterError("the local cluster has not been started: use `with DevCluster()`")
        return self._guard

    @property
    def _live(self) -> ControlPlane:
        if self._plane is None:
            raise DevClusterError("the local cluster has not been started: use `with DevCluster()`")
        return self._plane

    @property
    def _logs(self) -> Path:
        return (self._log_dir or self.directory / "logs").absolute()

    def _keep_logs(self) -> Path:
        """Copy the logs to where they outlive the cluster; return that folder."""
        if self._log_dir is not None:
            return self._logs
        if self._kept is None:
            self._kept = Path(tempfile.mkdtemp(prefix="cabgate-devcluster-logs-"))
        shutil.copytree(self._logs, self._kept, dirs_exist_ok=True)
        return self._kept

    def _write_kubeconfig(self, path: Path, user: str, credentials: dict[str, str]) -> Path:
        return write_kubeconfig(
            path, server=self.server, ca_pem=self.ca_pem, user=user, credentials=credentials
        )

    def _kubeconfig_path(self, readable: str, *identity: str) -> Path:
        # The digest: "a:b" and "a/b" make the same file name, and one user may have other groups.
        digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:8]
        return self.directory / "kubeconfigs" / f"{_file_name(readable)}-{digest}.yaml"


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".") or "unnamed"
