# SPDX-License-Identifier: Apache-2.0
"""A namespace whose dry runs are warned: `kubectl diff` shows what a release changes before it is
approved, and the release itself is denied as ever."""

import json

import pytest

from cabgate.rollout.modes import DRY_RUN_LABEL
from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING, workload
from support.clients import undecided
from support.namespaces import label_namespace

HEADING = "Warning: This is a dry run. cabgate denies the rollout itself:"


@pytest.fixture
def warned(cluster, namespace):
    """A namespace of ring 2 with the label, in which nothing is approved."""
    label_namespace(cluster, namespace, DRY_RUN_LABEL, "Warn")
    return namespace


def shown(gate, verb, *args, stdin, code=0):
    """The result of a dry run, which is denied where the mode of the namespace could not be read
    in half a second."""

    def made():
        found = gate.kubectl("requester", verb, *args, "-f", "-", stdin=stdin, check=False)
        assert found.returncode == code, found.stderr
        assert not undecided(found.stderr), found.stderr
        return found

    return wait_until(made, "it shows what would be")


def test_a_dry_run_says_what_would_be_and_the_rollout_is_denied(cluster, gate, warned):
    web = workload(warned)
    dry = shown(gate, "create", "--dry-run=server", stdin=json.dumps(web))
    assert dry.stderr.splitlines()[0] == HEADING
    assert "Warning: NoRequest: Deployment web" in dry.stderr
    real = gate.create("requester", web, check=False)
    assert real.returncode != 0
    assert "NoRequest: Deployment web" in real.stderr
    assert cluster.api.items("deployments", warned) == []


def test_kubectl_diff_shows_a_release_that_waits_for_a_person(gate, warned):
    gate.open(warned, MIDDLING, "Submitted")
    # By which kubectl diff says that there are any.
    diff = shown(gate, "diff", stdin=json.dumps(workload(warned)), code=1)
    assert "image: web:1" in diff.stdout
    assert "ReviewPending" in diff.stderr


def test_elsewhere_a_dry_run_is_told_the_verdict(gate, namespace):
    dry = gate.create("requester", workload(namespace), "--dry-run=server", check=False)
    assert dry.returncode != 0
    assert "NoRequest: Deployment web" in dry.stderr
