# SPDX-License-Identifier: Apache-2.0
"""What the chart says to whoever installs it as they like."""

import json
import subprocess

import pytest

from cabgate_devcluster import locate_program
from cabgate_devcluster.installed.chart import CHART, KUBE_VERSION, NAMESPACE


def helm(*arguments):
    return subprocess.run(
        [str(locate_program("helm")), *arguments, "--namespace", NAMESPACE],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_release_of_another_name_is_refused():
    refused = helm("template", "gate", str(CHART), "--kube-version", KUBE_VERSION)
    assert refused.returncode != 0
    assert "the release is named gate: name it cabgate." in refused.stderr


@pytest.mark.parametrize(
    "name",
    [
        "argo-rollouts",
        "argo-rollouts/argo-rollouts",
        "system:serviceaccount:argo-rollouts",
        "system:serviceaccount:argo-rollouts:",
        "system:serviceaccount:argo-rollouts:*",
        "system:serviceaccounts:argo-rollouts",
        "system:masters",
    ],
)
def test_a_controller_is_named_as_a_user(name):
    refused = helm("template", "cabgate", str(CHART), "--kube-version", KUBE_VERSION,
                   "--set-json", f"controllers={json.dumps([name])}")  # fmt: skip
    assert refused.returncode != 0
    assert f"controllers: {name} is no user name" in refused.stderr
    assert "such as system:serviceaccount:argo-rollouts:argo-rollouts" in refused.stderr


@pytest.mark.parametrize(
    "name", ["system:serviceaccount:argo-rollouts:argo-rollouts", "ops:controller", "eks:nodes"]
)
def test_the_name_of_a_user_is_taken(name):
    made = helm("template", "cabgate", str(CHART), "--kube-version", KUBE_VERSION,
                "--set-json", f"controllers={json.dumps([name])}")  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert f"'{name}'" in made.stdout


def notes(*arguments):
    done = helm("install", "cabgate", str(CHART), "--dry-run=client", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


def test_whoever_names_no_image_is_told_what_to_do():
    said = notes()
    assert "The image cabgate:" in said
    assert "is published by nobody, so no Pod starts yet" in said
    assert "--set image.repository=REGISTRY/cabgate" in said
    assert "published" not in notes("--set", "image.repository=registry.example.com/cabgate")
