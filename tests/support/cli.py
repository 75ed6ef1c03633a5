# SPDX-License-Identifier: Apache-2.0
"""The command line as a user runs it."""

import json
import sys
from pathlib import Path

from cabgate_devcluster import wait_until
from support.gated import ROLLOUT_CRD

CABGATE = Path(sys.executable).with_name("cabgate")


def cabgate(gate, user, arguments, code=0):
    """Run `cabgate` with the kubeconfig of a user; its exit code has to be the one given."""
    result = gate.shell(user, f"cabgate {arguments}", CABGATE)
    assert result.returncode == code, (arguments, result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    return result


def serve_rollouts(gate):
    """Install as much of Argo Rollouts as its API is, with the rights that its roles give."""
    rule = {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["*"]}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    role = {**kind, "metadata": {"name": "rollouts"}, "rules": [rule]}
    for obj in (ROLLOUT_CRD, role):
        gate.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))
    gate.cluster.kubectl("wait", "--for=condition=Established", "crd/rollouts.argoproj.io")
    binding = ("rollouts", "--clusterrole=rollouts", "--user=requester")
    gate.cluster.kubectl("create", "clusterrolebinding", *binding, check=False)

    def may():
        question = ("auth", "can-i", "create", "rollouts.argoproj.io", "-A")
        return gate.kubectl("requester", *question, check=False).returncode == 0

    wait_until(may, "the requester may write Rollouts")
