# SPDX-License-Identifier: Apache-2.0
"""The command line as a user runs it."""

import sys
from pathlib import Path

CABGATE = Path(sys.executable).with_name("cabgate")


def cabgate(gate, user, arguments, code=0):
    """Run `cabgate` with the kubeconfig of a user; its exit code has to be the one given."""
    result = gate.shell(user, f"cabgate {arguments}", CABGATE)
    assert result.returncode == code, (arguments, result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    return result
