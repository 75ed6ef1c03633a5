# SPDX-License-Identifier: Apache-2.0
"""The three servers as one: boot, stop, start, and what to say when one of them fails."""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cabgate_devcluster.clients.kubeconfig import certificate_credentials, write_kubeconfig
from cabgate_devcluster.clients.pki import Authority, signing_keys, write_private
from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.processes.guard import Guard
from cabgate_devcluster.processes.process import Process
from cabgate_devcluster.programs.binaries import Binaries
from cabgate_devcluster.servers import components, stores
from cabgate_devcluster.servers.components import APISERVER, COMPONENTS, CONTROLLERS, ETCD
from cabgate_devcluster.servers.layout import Layout
from cabgate_devcluster.servers.ports import Ports
from cabgate_devcluster.servers.probe import Probe

_BOOT_TIMEOUT = 90.0  # seconds; five on a quiet machine, but CI machines are not quiet
_STOP_TIMEOUT = 15.0
_ATTEMPTS = 3


class PortTakenError(DevClusterError):
    """Somebody took a port between our choosing it and the server's binding it."""


class ControlPlane:
    """etcd, kube-apiserver and kube-controller-manager in one folder.

    `keep_logs` is called before an error is raised and returns the folder that the error names.
    """

    def __init__(
        self,
        guard: Guard,
        binaries: Binaries,
        ports: Ports,
        *,
        logs: Path,
        apiserver_args: Sequence[str],
        etcd_args: Sequence[str] = (),
        keep_logs: Callable[[], Path],
    ) -> None:
        self._guard = guard
        self._binaries = binaries
        self._ports = ports
        self._logs = logs
        self._apiserver_args = tuple(apiserver_args)
        self._etcd_args = tuple(etcd_args)
        self._keep_logs = keep_logs
        self._may_retry = False
        self.processes: dict[str, Process] = {}
        self.authority = Authority("cabgate devcluster CA")
        self._write_pki()

    def boot(self) -> None:
        """Start everything and wait until Deployments can make Pods; other ports on a conflict."""
        for attempt in range(1, _ATTEMPTS + 1):
            self._choose_ports()
            self._may_retry = attempt < _ATTEMPTS
            try:
                self._boot_once()
            except PortTakenError:
                for process in self.processes.values():
                    process.kill()
                shutil.rmtree(self.layout.etcd_data, ignore_errors=True)
            else:
                self._may_retry = False
                return

    def start(self, component: str) -> None:
        """Start a component that has ended; returns when it is ready. Same ports, same data."""
        self._check(component)
        if component in self.processes and self.processes[component].running:
            raise DevClusterError(f"{component} is running already")
        self._spawn(component)
        self._wait_ready(component)
        if component == ETCD and self._is_running(APISERVER):
            self._wait_ready(APISERVER)  # it has to find its etcd again

    def stop(self, component: str) -> None:
        """End a component with SIGTERM, after 15 s with SIGKILL; returns when it has ended."""
        self._check(component)
        self.processes[component].stop(_STOP_TIMEOUT)

    def kill(self, component: str) -> None:
        """End a component with SIGKILL; returns when it has ended."""
        self._check(component)
        self.processes[component].kill()

    def snapshot_etcd(self, path: Path) -> None:
        """Copy the data of etcd to `path`, which must not exist; see `DevCluster.snapshot_etcd`."""
        if path.exists():
            raise DevClusterError(f"{path} exists: a snapshot does not overwrite")
        self._while_stopped((APISERVER, ETCD), lambda: _copy(self.layout.etcd_data, path))

    def restore_etcd(self, path: Path) -> None:
        """Put a snapshot back; see `DevCluster.restore_etcd`."""
        if not (path / stores.chosen().kept_in).exists():
            raise DevClusterError(f"{path} is not a snapshot of snapshot_etcd")

        def replace() -> None:
            fresh = self.layout.etcd_data.with_name("etcd-restored")
            _copy(path, fresh)  # complete before the old one goes
            shutil.rmtree(self.layout.etcd_data)
            fresh.rename(self.layout.etcd_data)

        # The controllers too: what they have cached is from a future that no longer happens, and
        # a watch from there is never answered ("Too large resource version").
        self._while_stopped((CONTROLLERS, APISERVER, ETCD), replace)

    def call_etcd(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One call to the JSON gateway of etcd; see `DevCluster.call_etcd`."""
        try:
            return self._etcd_probe.call(path, body)
        except (OSError, ValueError) as exc:
            raise DevClusterError(f"etcd: {exc}") from exc

    def reach_etcd_at(self, port: int) -> None:
        """Another way to etcd for the API server; see `DevCluster.reach_etcd_at`."""
        self.layout: Layout = replace(self.layout, etcd_seen_at=port)
        self._while_stopped((APISERVER,), lambda: None)

    def _while_stopped(self, which: Sequence[str], action: Callable[[], None]) -> None:
        for component in which:
            # Faster than a stop and as safe: what a process has written, its death does not undo.
            self.kill(component)
        try:
            action()
        except OSError as exc:
            raise DevClusterError(f"copying the data of etcd failed: {exc}") from exc
        finally:
            for component in reversed(which):
                self.start(component)

    def _choose_ports(self) -> None:
        self.layout = Layout(self._guard.directory, *(self._ports.free() for _ in range(4)))
        pki = self.layout.pki
        self._etcd_probe = Probe(
            self.layout.etcd_port,
            pki / "etcd-ca.crt",
            pki / "etcd-client.crt",
            pki / "etcd-client.key",
        )
        admin = (pki / "ca.crt", pki / "admin.crt", pki / "admin.key")
        self._apiserver_probe = Probe(self.layout.apiserver_port, *admin)
        self._controllers_probe = Probe(self.layout.controllers_port, *admin)
        write_kubeconfig(
            self.layout.controllers_kubeconfig,
            server=self.layout.server,
            ca_pem=self.authority.cert_pem,
            user="system:kube-controller-manager",
            credentials=certificate_credentials(
                self.authority.client("system:kube-controller-manager")
            ),
        )

    def _boot_once(self) -> None:
        for component in COMPONENTS:
            (self._logs / f"{component}.log").write_bytes(b"")
        # Together: the API server waits for etcd by itself, for longer than etcd ever takes.
        self._spawn(ETCD)
        self._spawn(APISERVER)
        self._wait_ready(ETCD)
        self._wait_ready(APISERVER)
        # Not earlier: it gives an API server 10 s and then ends.
        self._spawn(CONTROLLERS)
        self._wait_ready(CONTROLLERS)

    def _spawn(self, component: str) -> None:
        # Nothing of the user's environment: no proxy, no GODEBUG, no kubeconfig.
        folder = str(self._guard.directory)
        env = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder}
        env["GOGC"] = "400"  # a third less CPU time for 150 MB more memory
        argv = components.command(
            component, self._binaries, self.layout, self._apiserver_args, self._etcd_args
        )
        self.processes[component] = Process(
            self._guard,
            component,
            argv,
            log=self._logs / f"{component}.log",
            env=env,
            cwd=self._guard.directory,
        )

    def _wait_ready(self, component: str) -> None:
        process = self.processes[component]
        # None of those that run may end meanwhile: an API server without etcd would wait long.
        watched = [each for each in self.processes.values() if each is process or each.running]
        deadline = time.monotonic() + _BOOT_TIMEOUT
        while True:
            ready, answer = self._ready(component)
            if ready:
                return
            for each in watched:
                if not each.running:
                    raise self._failure(each, f"ended with exit code {each.returncode}")
            if time.monotonic() >= deadline:
                raise self._failure(
                    process, f"is not ready after {_BOOT_TIMEOUT:g} s; its last answer: {answer}"
                )
            time.sleep(0.03)

    def _ready(self, component: str) -> tuple[bool, str]:
        if component == ETCD:
            return stores.chosen().ready(self.layout, self._etcd_probe)
        if component == APISERVER:
            return self._apiserver_probe.ask("/readyz")
        ready, answer = self._controllers_probe.ask("/healthz")
        if not ready:
            return ready, answer
        # Healthy is not at work: a Pod needs this object, which one of the controllers makes.
        return self._apiserver_probe.ask("/api/v1/namespaces/default/serviceaccounts/default")

    def _failure(self, process: Process, what: str) -> DevClusterError:
        text = f"{process.name} {what}\n{process.tail()}"
        if self._may_retry and "address already in use" in process.tail(100):
            return PortTakenError(text)
        return DevClusterError(f"{text}\nlogs: {self._keep_logs() / process.log.name}")

    def _is_running(self, component: str) -> bool:
        return component in self.processes and self.processes[component].running

    def _check(self, component: str) -> None:
        if component not in COMPONENTS:
            raise DevClusterError(f"no component {component!r}; there are {', '.join(COMPONENTS)}")

    def _write_pki(self) -> None:
        folder = self._guard.directory / "pki"
        folder.mkdir()
        (self._guard.directory / "kubeconfigs").mkdir()
        etcd = Authority("cabgate devcluster etcd CA")
        front_proxy = Authority("cabgate devcluster front proxy CA")
        pairs = {
            "ca": self.authority.pair,
            "etcd-ca": etcd.pair,
            "etcd": etcd.server("etcd", client=True),
            "etcd-client": etcd.client("kube-apiserver"),
            "front-proxy-ca": front_proxy.pair,
            "front-proxy": front_proxy.client("front-proxy-client"),
            "apiserver": self.authority.server(
                "kube-apiserver", ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
            ),
            "controllers": self.authority.server("kube-controller-manager"),
            "admin": self.authority.client("devcluster-admin", ["system:masters"]),
        }
        for name, pair in pairs.items():
            pair.write(folder / f"{name}.crt", folder / f"{name}.key")
        tokens = signing_keys()
        write_private(folder / "service-accounts.key", tokens.key_pem)
        write_private(folder / "service-accounts.pub", tokens.cert_pem)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; half a copy does not stay."""
    try:
        shutil.copytree(source, target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def spawn_environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Return this process's environment with `extra` on top and no KUBECONFIG but that of `extra`.

    A child must not reach somebody's real cluster because the developer's shell points there.
    """
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    environment.update(extra or {})
    return environment
