# SPDX-License-Identifier: Apache-2.0
"""A kind that core gates everywhere reaches every list of the chart: they range over one file."""

import runpy
import shutil
import subprocess

import pytest
import yaml

from cabgate.api.kinds import BUILT_IN, GatedKind
from cabgate_devcluster import locate_program
from cabgate_devcluster.installed.chart import CHART, KUBE_VERSION, NAMESPACE

NEW = GatedKind("batch.example.dev/v1", "Train", "trains", templates=("spec.car.template",))
TOOL = runpy.run_path(str(CHART.parents[1] / "tools" / "chart.py"))


def rendered(folder, kinds):
    """The objects that the chart makes where core gates some kinds."""
    chart = shutil.copytree(CHART, folder / "cabgate")
    TOOL["kinds"].__globals__["BUILT_IN"] = kinds
    (chart / "files" / "kinds.yaml").write_text(TOOL["kinds"]())
    command = [locate_program("helm"), "template", "cabgate", chart, "--namespace", NAMESPACE]
    command += ["--kube-version", KUBE_VERSION]
    text = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    return {(d["kind"], d["metadata"]["name"]): d for d in yaml.safe_load_all(text) if d}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The chart with one more kind, and as it is."""
    folder = tmp_path_factory.mktemp("kinds")
    before = (folder / "before", folder / "after")
    try:
        return tuple(
            rendered(each, kinds)
            for each, kinds in zip(before, (BUILT_IN, (*BUILT_IN, NEW)), strict=True)
        )
    finally:
        TOOL["kinds"].__globals__["BUILT_IN"] = BUILT_IN


def test_a_new_kind_is_where_each_of_the_others_is(made):
    """Argo's Rollout is a kind of the same sort: whatever names it names the new one too."""
    before, after = made
    naming = {key for key, obj in before.items() if "argoproj.io" in yaml.safe_dump(obj)}
    assert naming - {key for key, obj in after.items() if "trains" in yaml.safe_dump(obj)} == {
        ("ConfigMap", "cabgate-installation")  # which names kinds, and no resources
    }
    assert (
        "Train.batch.example.dev"
        in after["ConfigMap", "cabgate-installation"]["data"]["builtInKinds"].split()
    )


def test_it_is_gated_guarded_and_read(made):
    _, after = made
    group = {"apiGroups": ["batch.example.dev"]}
    versions = {**group, "apiVersions": ["*"]}
    written = {**versions, "operations": ["CREATE", "UPDATE"]}
    for entry in after["ValidatingWebhookConfiguration", "cabgate"]["webhooks"][:2]:
        assert {**written, "resources": ["trains"]} in entry["rules"]
        conditions = {each["name"]: each["expression"] for each in entry["matchConditions"]}
        template = "== 'trains' ? o.?spec.?car.?template.orValue({})"
        assert template in conditions["changes-what-runs"]
        assert "'batch.example.dev/trains'" in conditions["does-not-break-the-glass"]
    guard = after["ValidatingAdmissionPolicy", "rings.cabgate.dev"]["spec"]["matchConstraints"]
    assert {**written, "resources": ["trains"]} in guard["resourceRules"]
    status = {**versions, "resources": ["trains/status"], "operations": ["UPDATE"]}
    assert status in guard["resourceRules"]
    for name, verbs in (("webhook", ["get"]), ("operator", ["get", "list", "watch"])):
        rules = after["ClusterRole", f"cabgate-{name}"]["rules"]
        assert {**group, "resources": ["trains"], "verbs": verbs} in rules
