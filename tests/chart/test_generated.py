# SPDX-License-Identifier: Apache-2.0
"""What the chart holds of other files is current, and Helm has nothing to say against it."""

import re
import runpy
import shutil
import subprocess

import pytest
import yaml

from cabgate_devcluster import locate_program
from cabgate_devcluster.installed.chart import CHART, GOLDEN, KUBE_VERSION, NAMESPACE, manifests

TOOL = runpy.run_path(str(CHART.parents[1] / "tools" / "chart.py"))
SETS = sorted(GOLDEN.glob("*.values.yaml"))


def helm(*args):
    return subprocess.run(
        [str(locate_program("helm")), *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def ids(path):
    return path.name.removesuffix(".values.yaml")


CRDS = CHART.parents[1] / "crds"


def definitions(text):
    """Each definition of some manifests, by its name."""
    return {
        each["metadata"]["name"]: each
        for each in yaml.safe_load_all(text)
        if each and each["kind"] == "CustomResourceDefinition"
    }


def rendered(chart, *options):
    words = ["-n", NAMESPACE, "--kube-version", KUBE_VERSION, *options]
    return helm("template", "cabgate", chart, *words)


def test_the_definitions_are_those_of_crds_in_the_folder_and_in_a_package(tmp_path):
    wanted = definitions("\n---\n".join(path.read_text() for path in CRDS.iterdir()))
    packaged = helm("package", CHART, "-d", tmp_path)
    assert packaged.returncode == 0, packaged.stderr
    for chart in (CHART, *tmp_path.glob("*.tgz")):
        found = definitions(rendered(chart).stdout)
        assert {name: each["spec"] for name, each in found.items()} == {
            name: each["spec"] for name, each in wanted.items()
        }


@pytest.mark.parametrize("values", SETS, ids=ids)
def test_the_archive_makes_the_same_as_the_folder(values, tmp_path):
    assert helm("package", CHART, "-d", tmp_path).returncode == 0
    (archive,) = tmp_path.glob("*.tgz")
    folder, packed = rendered(CHART, "-f", values), rendered(archive, "-f", values)
    assert folder.returncode == 0, folder.stderr
    assert packed.stdout == folder.stdout


def test_a_copy_without_the_definitions_is_refused_and_says_why(tmp_path):
    shutil.copytree(CHART, tmp_path / "cabgate", ignore=shutil.ignore_patterns("crds"))
    result = rendered(tmp_path / "cabgate")
    assert result.returncode != 0
    assert "the chart has no CustomResourceDefinitions" in result.stderr


def test_a_copy_without_an_expression_is_refused_and_names_the_file(tmp_path):
    shutil.copytree(CHART, tmp_path / "cabgate", ignore=shutil.ignore_patterns("tried.cel"))
    result = rendered(tmp_path / "cabgate")
    assert result.returncode != 0
    assert "the chart has no files/cel/rings/tried.cel" in result.stderr


def test_no_golden_file_holds_what_crds_holds():
    for values in SETS:
        text = values.with_name(values.name.replace(".values.yaml", ".yaml")).read_text()
        assert len(definitions(text)) == len(list(CRDS.iterdir()))
        assert not any("spec" in each for each in definitions(text).values())


def test_the_kinds_are_those_of_core():
    assert TOOL["KINDS_FILE"].read_text() == TOOL["kinds"]()


def test_the_readme_is_what_the_values_say():
    assert (CHART / "README.md").read_text() == TOOL["readme"]()


def test_each_value_has_a_row_with_its_meaning():
    documented = {key: meaning for key, _, meaning in TOOL["rows"](values_text())}
    assert all(documented.values()), [key for key, meaning in documented.items() if not meaning]
    for path in paths(yaml.safe_load(values_text())):
        assert any(path == key or path.startswith(f"{key}.") for key in documented), path


def values_text():
    return (CHART / "values.yaml").read_text()


def paths(values, before=""):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from paths(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


@pytest.mark.parametrize("values", SETS, ids=ids)
def test_the_golden_files_are_what_helm_makes(values):
    golden = values.with_name(values.name.replace(".values.yaml", ".yaml"))
    assert golden.read_text() == TOOL["golden"](values)


@pytest.mark.parametrize("values", SETS, ids=ids)
def test_helm_has_nothing_against_it(values):
    result = helm("lint", "--strict", CHART, "--namespace", NAMESPACE, "--values", values)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_golden_file_of_the_defaults_is_what_the_local_cluster_gets():
    assert manifests() == manifests({"mode": "Enforce"})


def test_no_other_version_of_kubernetes_is_said_to_be_tested():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["annotations"]["cabgate.dev/tested-kubernetes"] == KUBE_VERSION


def test_an_older_kubernetes_is_refused():
    result = helm("template", "cabgate", CHART, "-n", NAMESPACE, "--kube-version", "1.35.9")
    assert result.returncode != 0
    assert "requires kubeVersion: >=1.36.0-0" in result.stderr


def test_each_policy_that_sets_the_floor_is_named():
    """Each needs MutatingAdmissionPolicy in v1, which 1.36 brought: docs/decisions/0092."""
    page = (CHART.parents[1] / "docs" / "operations" / "supported-versions.md").read_text()
    found = [each for each in manifests() if each["kind"] == "MutatingAdmissionPolicy"]
    assert {each["apiVersion"] for each in found} == {"admissionregistration.k8s.io/v1"}
    names = {each["metadata"]["name"] for each in found}
    assert names == set(re.findall(r"`([a-z-]+\.cabgate\.dev)`", page))


def test_another_namespace_is_refused_with_the_command_that_is_right():
    result = helm("template", "cabgate", CHART, "--namespace", "default")
    assert result.returncode != 0
    assert "into the namespace cabgate-system, not default: helm install" in result.stderr
