# SPDX-License-Identifier: Apache-2.0
"""docs/operations/EMERGENCY.md: each command, in order, with no webhook alive."""

import json
import os
import re
import shlex
import subprocess
from functools import partial

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.chart import CHART
from cabgate_devcluster.installed.installation import ROOT
from cabgate_samples.objects import workload
from support.cli import CABGATE
from support.helm import Released

ENFORCED = "enforced-rollouts"
"""In the command for modes Warn and Audit alone."""

OPENED, CLOSED = 'failurePolicy","value":"Ignore"', 'failurePolicy","value":"Fail"'
"""In the commands that let everything through, and in those that end it."""

PAGE = (ROOT / "docs" / "operations" / "EMERGENCY.md").read_text()
BREAK_GLASS = (ROOT / "docs" / "break-glass.md").read_text()

PAUSED = [
    ("kustomize.toolkit.fluxcd.io", "Kustomization", "flux-system", ("suspend",), True),
    ("helm.toolkit.fluxcd.io", "HelmRelease", "shop", ("suspend",), True),
    ("argoproj.io", "Application", "argocd", ("syncPolicy", "automated"), None),
]
"""What applies the workload from Git: its group, kind and namespace, and what pausing it leaves."""


def commands():
    """The command lines of the page, by the section that they stand in."""
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        for block in re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                yield title, line


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def blocked(cluster):
    """The release of the chart, nothing of it running, and a workload that was there before."""
    release = Released(cluster)
    release.install()
    cluster.kubectl("create", "namespace", "shop")
    applied_from_git(cluster)
    made = apply(cluster, "registry.example.com/shop/checkout:1.4.2")
    assert made.returncode == 0, made.stderr
    cluster.kubectl("label", "namespace", "shop", "cabgate.dev/ring=2")
    wait_until(lambda: stopped(cluster), "no webhook answers")
    wait_until(lambda: breaks(cluster), "the policies of break-glass are in force")
    return release


def apply(cluster, image, *args):
    obj = workload("shop", name="checkout", images=[image])
    obj["spec"]["template"]["spec"]["containers"][0]["name"] = "checkout"
    return cluster.kubectl(*("apply", "-f", "-", *args), stdin=json.dumps(obj), check=False)


def applied_from_git(cluster):
    """Flux and Argo CD, as far as somebody who pauses them has to do with them."""
    for group, kind, namespace, _, _ in PAUSED:
        singular = kind.lower()
        names = {"kind": kind, "plural": f"{singular}s", "singular": singular}
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True}
        version["schema"] = {"openAPIV3Schema": anything}
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{singular}s.{group}"},
            "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
        }
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(definition))
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{singular}s.{group}")
        if namespace != "shop":
            cluster.kubectl("create", "namespace", namespace)
        obj = {
            "apiVersion": f"{group}/v1",
            "kind": kind,
            "metadata": {"name": "shop", "namespace": namespace},
            "spec": {"syncPolicy": {"automated": {"selfHeal": True}}},
        }
        wait_until(partial(created, cluster, obj), f"there is a {kind}")


def created(cluster, obj):
    """Whether an object can be written, by now."""
    return cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj), check=False).returncode == 0


def check_paused(cluster):
    """Fail unless all that applies from Git is paused."""
    for group, kind, namespace, path, left in PAUSED:
        args = ("get", f"{kind.lower()}s.{group}", "shop", "-n", namespace, "-o", "json")
        live = json.loads(cluster.kubectl(*args).stdout)["spec"]
        for step in path[:-1]:
            live = live[step]
        assert live.get(path[-1]) == left, kind


def stopped(cluster, image="other:1"):
    """Whether a rollout is stopped because no webhook answers."""
    return "failed calling webhook" in apply(cluster, image, "--dry-run=server").stderr


def breaks(cluster):
    """Whether the first break-glass of the page would pass, in its author's name."""
    patch = next(line for _, line in commands() if line.startswith("kubectl patch deployment"))
    result = cluster.kubectl(
        *shlex.split(patch)[1:], *("--dry-run=server", "-o", "yaml"), check=False
    )
    return "cabgate.dev/break-glass-by: devcluster-admin" in result.stdout


def run(release, line):
    """Run a line of the page, in a shell where it keeps something in a file."""
    program, *words = shlex.split(line)
    if program == "cabgate":
        return cabgate(words, release.cluster.admin)
    assert program == "kubectl"
    cluster = release.cluster
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=cluster.directory,
        env={
            "KUBECONFIG": str(cluster.admin),
            "HOME": str(cluster.directory),
            "PATH": f"{cluster.binaries.kubectl.parent}:/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def cabgate(words, kubeconfig):
    return subprocess.run(
        [CABGATE, *words],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )


def gate_again(cluster, *command):
    """Undo what the page did, for its next step."""
    cluster.kubectl(*command)
    wait_until(lambda: stopped(cluster), "gated again")


def check_gate(cluster, line):
    """Fail unless a line does to NetworkPolicies and webhooks what the page says."""
    policies = cluster.kubectl("get", "netpol", "-A", "-o", "name").stdout
    if line.startswith("kubectl delete networkpolicy"):
        assert not policies
    if line.startswith("kubectl create -f cabgate-networkpolicies"):
        assert len(policies.split()) == 2
    # What the smaller step opened stays so: the copy has it too, until the page closes it.
    if OPENED in line or line.startswith("kubectl delete validatingwebhookconfiguration"):
        wait_until(lambda: not stopped(cluster), line)
    if CLOSED in line:
        wait_until(lambda: stopped(cluster), line)


def test_each_command_does_what_the_page_says(cluster, blocked):
    assert len(list(commands())) >= 16
    for title, line in commands():
        result = run(blocked, line)
        if line.startswith("kubectl logs"):
            # No kubelet, so no log: the command is understood and finds the Pods.
            assert "unknown" not in result.stderr
            continue
        if ENFORCED in line:
            assert result.returncode != 0, "the wrong mode"
            continue
        if line.startswith("cabgate uncovered"):
            assert "shop" in result.stdout, result.stderr
            assert "checkout" in result.stdout
            continue
        if line.startswith("cabgate ledger"):
            # No operator has run here, so there is no key and no record yet.
            assert "cabgate-signing-keys" in result.stderr
            continue
        assert result.returncode == 0, f"{title}: {line}\n{result.stderr}"
        if line.startswith("kubectl patch deployment"):
            found = cluster.kubectl("get", "deployment", "checkout", "-n", "shop", "-o", "yaml")
            assert "checkout:1.4.3" in found.stdout
            assert "cabgate.dev/break-glass-by: devcluster-admin" in found.stdout
            assert stopped(cluster), "and no other rollout"
        if line.startswith("kubectl label namespace shop cabgate.dev/ring=1"):
            wait_until(lambda: not stopped(cluster), line)
            gate_again(cluster, "label", "namespace", "shop", "cabgate.dev/ring=2", "--overwrite")
        check_gate(cluster, line)
    check_paused(cluster)
    names = cluster.kubectl("get", "validatingadmissionpolicy", "-o", "name").stdout
    assert "rings.cabgate.dev" in names
    wait_until(lambda: stopped(cluster), "all is as it was")


def test_both_pages_begin_with_what_pauses_flux_and_argo_cd():
    first = [line for title, line in commands() if title.startswith("Minute 0")]
    assert len(first) == len(PAUSED)
    heading, block = BREAK_GLASS.split("## ")[1].split("```sh\n")
    assert heading.startswith("Before all else: pause")
    assert block.split("```")[0].splitlines() == first
    assert [line for _, line in commands()][: len(first)] == first


def test_in_mode_warn_the_other_patch_lets_the_namespaces_through_that_enforce(cluster, blocked):
    again = ("upgrade", "cabgate", str(CHART), "--reuse-values", "--force-conflicts")
    try:
        blocked.helm(*again, "--set", "mode=Warn")
        gate_again(cluster, "label", "namespace", "shop", "cabgate.dev/mode=Enforce")
        opens, closes = [line for _, line in commands() if ENFORCED in line]
        for line, closed in ((opens, False), (closes, True)):
            result = run(blocked, line)
            assert result.returncode == 0, result.stderr
            wait_until(lambda closed=closed: stopped(cluster) == closed, line)
    finally:
        cluster.kubectl("label", "namespace", "shop", "cabgate.dev/mode-")
        blocked.helm(*again, "--set", "mode=Enforce")
