# SPDX-License-Identifier: Apache-2.0
"""docs/operations/EMERGENCY.md: each command, in order, with no webhook alive."""

import json
import re
import shlex

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installation import ROOT
from support.helm import Released
from support.objects import workload

PAGE = (ROOT / "docs" / "operations" / "EMERGENCY.md").read_text()


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
    apply(cluster, "registry.example.com/shop/checkout:1.4.2")
    cluster.kubectl("label", "namespace", "shop", "cabgate.dev/ring=2")
    wait_until(lambda: stopped(cluster), 30, "no webhook answers")
    return release


def apply(cluster, image, *args):
    obj = workload("shop", name="checkout", images=[image])
    obj["spec"]["template"]["spec"]["containers"][0]["name"] = "checkout"
    return cluster.kubectl(*("apply", "-f", "-", *args), stdin=json.dumps(obj), check=False)


def stopped(cluster, image="other:1"):
    """Whether a rollout is stopped because no webhook answers."""
    return "failed calling webhook" in apply(cluster, image, "--dry-run=server").stderr


def run(release, line):
    program, *words = shlex.split(line)
    if program == "helm":
        words = [str(ROOT / word) if word == "charts/cabgate" else word for word in words]
        at = words.index("-n")
        return release.helm(*words[:at], *words[at + 2 :], check=False)
    assert program == "kubectl"
    return release.cluster.kubectl(*words, check=False)


def test_each_command_does_what_the_page_says(cluster, blocked):
    passes_from = ("kubectl label namespace shop cabgate.dev/ring=1",)
    assert len(list(commands())) >= 12
    seen = []
    for title, line in commands():
        result = run(blocked, line)
        if line.startswith("kubectl logs"):
            # No kubelet, so no log: the command is understood and finds the Pods.
            assert "unknown" not in result.stderr
            continue
        assert result.returncode == 0, f"{title}: {line}\n{result.stderr}"
        seen.append(line)
        if line.startswith("kubectl patch deployment"):
            found = cluster.kubectl("get", "deployment", "checkout", "-n", "shop", "-o", "yaml")
            assert "checkout:1.4.3" in found.stdout
            assert "cabgate.dev/break-glass-by: devcluster-admin" in found.stdout
            assert stopped(cluster), "and no other rollout"
        if line.startswith(passes_from):
            wait_until(lambda: not stopped(cluster), 30, line)
            # For the next step the namespace is gated again.
            cluster.kubectl("label", "namespace", "shop", "cabgate.dev/ring=2", "--overwrite")
            wait_until(lambda: stopped(cluster), 30, "gated again")
        if "failurePolicy" in line:
            wait_until(lambda: not stopped(cluster), 30, line)
    names = cluster.kubectl("get", "validatingadmissionpolicy", "-o", "name").stdout
    assert "rings.cabgate.dev" in names
    wait_until(lambda: stopped(cluster), 30, "all is as it was")


def test_the_patch_is_of_the_entries_that_stop_rollouts(cluster, blocked):
    found = cluster.kubectl(
        *("get", "validatingwebhookconfiguration", "cabgate"),
        *("-o", "jsonpath={.webhooks[*].name}"),
    ).stdout.split()
    assert found[:2] == ["rollouts.cabgate.dev", "labelled-rollouts.cabgate.dev"]
