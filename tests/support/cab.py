# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab` as people run it: a plugin of the real kubectl."""

import shlex
import subprocess
import sys
from pathlib import Path

from support.gate import once_decided

PLUGINS = Path(sys.executable).parent


def run_cab(gate, kubeconfig, command, code=0):
    """Run `kubectl cab`, or another command of kubectl, with a kubeconfig, without a terminal; the
    exit code has to be the one given."""
    kubectl = gate.cluster.binaries.kubectl
    words = shlex.split(command)
    words = words[1:] if words[0] == "kubectl" else ["cab", *words]
    result = once_decided(
        lambda: subprocess.run(
            [str(kubectl), *words],
            env={
                "KUBECONFIG": str(kubeconfig),
                "HOME": str(gate.cluster.directory),
                "PATH": f"{PLUGINS}:{kubectl.parent}:/usr/bin:/bin",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    )
    assert result.returncode == code, (command, result.stdout, result.stderr)
    return result
