# SPDX-License-Identifier: Apache-2.0
"""The real controller of Argo Rollouts on a local cluster, under its own service account."""

import urllib.request

import yaml

from cabgate_devcluster import locate_program, program_at_hand, wait_until
from support.namespaces import create_namespace

NAMESPACE = "argo-rollouts"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:argo-rollouts"
PROGRAM = "rollouts-controller"
KINDS = ("rollout", "experiment", "analysis-run", "analysis-template", "cluster-analysis-template")


def missing():
    """Why it cannot run here, in one line; "" where it can."""
    return "" if program_at_hand(PROGRAM) else f"{PROGRAM} not at hand: make gitops-tools"


def start(cluster, folder):
    """Install its definitions and rights, as its own manifests have them, and start it."""
    program = locate_program(PROGRAM, None)
    for kind in KINDS:
        path = program.parent / f"{kind}-crd.yaml"
        cluster.kubectl("apply", "--server-side", "-f", path)
        name = yaml.safe_load(path.read_text())["metadata"]["name"]
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=60s")
    create_namespace(cluster, NAMESPACE, None)
    cluster.kubectl("apply", "-f", program.parent / "argo-rollouts-clusterrole.yaml")
    kubeconfig = cluster.service_account(NAMESPACE, "argo-rollouts")
    account = f"--serviceaccount={NAMESPACE}:argo-rollouts"
    cluster.kubectl(
        "create", "clusterrolebinding", "argo-rollouts", "--clusterrole=argo-rollouts", account
    )
    metrics, health = cluster.free_port(), cluster.free_port()
    ports = (f"--metricsport={metrics}", f"--healthzPort={health}")
    process = cluster.spawn(
        PROGRAM,
        [program, f"--kubeconfig={kubeconfig}", "--leader-elect=false", *ports],
        env={"HOME": str(folder), "POD_NAMESPACE": NAMESPACE},
        cwd=folder,
    )
    wait_until(lambda: _is_healthy(health), f"{PROGRAM} works; its log is {process.log}")
    return process


def _is_healthy(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return answer.status == 200


def canary(namespace, image, replicas=2):
    """A Rollout that stops at half of its Pods until somebody promotes it."""
    container = {"name": "web", "image": image}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
        },
    }
