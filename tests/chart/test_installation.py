# SPDX-License-Identifier: Apache-2.0
"""The ConfigMap that says how the installation is set: what the processes are told, and no more."""

from importlib.metadata import version

import pytest

from cabgate.api.kinds import BUILT_IN
from cabgate.rollout.installation import (
    CONFIG_MAP,
    SYSTEM_NAMESPACE,
    InstallationSettings,
    kind_name,
    parse_installation,
)
from cabgate_kube.process.settings import read_settings
from cabgate_operator.settings import Settings
from support.templates import of

KIND = {"group": "apps.kruise.io", "kind": "CloneSet", "resource": "clonesets",
        "paths": ["spec.a", "spec.b[*].c"]}  # fmt: skip
VALUES = {
    "excludedNamespaces": ["monitoring"],
    "defaultRing": 3,
    "mode": "Audit",
    "gatedKinds": [KIND, {**KIND, "kind": "DaemonSet", "paths": ["spec.template"]}],
}


def data_of(made):
    found = made.one("ConfigMap", CONFIG_MAP)
    assert found["metadata"]["namespace"] == SYSTEM_NAMESPACE
    return found["data"]


@of("installation.yaml")
def test_as_the_chart_comes_it_says_what_is_taken_where_it_cannot_be_read(render):
    data = data_of(render())
    found = parse_installation(data)
    plain = InstallationSettings()
    assert (found.default_ring, found.mode, found.kinds) == (0, plain.mode, ())
    assert found.all_excluded == plain.all_excluded
    assert data["builtInKinds"].split() == [kind_name(kind) for kind in BUILT_IN]
    assert found.app_version == found.chart_version == version("cabgate")


@pytest.mark.parametrize("values", [{}, VALUES], ids=["default", "all"])
def test_it_says_what_operator_and_webhook_are_told(render, values):
    made = render(**values)
    published = parse_installation(data_of(made))
    for component in ("operator", "webhook"):
        args = made.container(component)["args"]
        options = ("--default-ring=", "--gated-kind=", "--excluded-namespace=")
        given = [each for each in args if each.startswith(options)]
        seen = read_settings(Settings, given, "cabgate-operator").installation
        assert published.default_ring == seen.default_ring
        assert published.all_excluded == seen.all_excluded
        assert published.same_kinds(seen)
    assert f"--mode={published.mode}" in made.container("webhook")["args"]


def test_whoever_is_signed_in_may_read_it_and_nothing_else(render):
    made = render()
    (rule,) = made.one("Role", "cabgate-installation-reader")["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [CONFIG_MAP],
        "verbs": ["get"],
    }
    binding = made.one("RoleBinding", "cabgate-installation-reader")
    assert [subject["name"] for subject in binding["subjects"]] == ["system:authenticated"]
    assert binding["metadata"]["namespace"] == SYSTEM_NAMESPACE
