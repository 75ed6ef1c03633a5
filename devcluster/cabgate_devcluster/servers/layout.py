# SPDX-License-Identifier: Apache-2.0
"""The files and ports of one cluster."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The files and ports of one cluster."""

    directory: Path
    etcd_port: int
    etcd_peer_port: int
    apiserver_port: int
    controllers_port: int
    etcd_seen_at: int = 0
    """Port at which the API server reaches etcd, where that is another one."""

    @property
    def pki(self) -> Path:
        """Folder of keys and certificates."""
        return self.directory / "pki"

    @property
    def etcd_data(self) -> Path:
        """Data folder of etcd."""
        return self.directory / "etcd"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://127.0.0.1:{self.apiserver_port}"

    @property
    def controllers_kubeconfig(self) -> Path:
        """Kubeconfig of the controller manager."""
        return self.directory / "kubeconfigs" / "controller-manager.yaml"
