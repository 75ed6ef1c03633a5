# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes control plane on loopback, for the demo, the tests and `make cluster`."""

from cabgate_devcluster.clients.pki import ServingCertificate
from cabgate_devcluster.cluster import DevCluster
from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.installed.installation import Installation
from cabgate_devcluster.processes.process import Process
from cabgate_devcluster.programs.binaries import (
    Binaries,
    locate_program,
    program_at_hand,
)
from cabgate_devcluster.waiting import wait_until

__all__ = [
    "Binaries",
    "DevCluster",
    "DevClusterError",
    "Installation",
    "Process",
    "ServingCertificate",
    "locate_program",
    "program_at_hand",
    "wait_until",
]
