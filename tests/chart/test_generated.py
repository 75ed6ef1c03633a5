# SPDX-License-Identifier: Apache-2.0
"""What the chart holds of other files is current, and Helm has nothing to say against it."""

import runpy
import subprocess

import pytest
import yaml

from cabgate_devcluster import locate_helm
from cabgate_devcluster.chart import CHART, GOLDEN, KUBE_VERSION, NAMESPACE, manifests

TOOL = runpy.run_path(str(CHART.parents[1] / "tools" / "chart.py"))
SETS = sorted(GOLDEN.glob("*.values.yaml"))


def helm(*args):
    return subprocess.run(
        [str(locate_helm()), *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def ids(path):
    return path.name.removesuffix(".values.yaml")


def test_the_definitions_are_those_of_the_models():
    for path, content in TOOL["definitions"]().items():
        assert path.read_text() == content
    assert len(list((CHART / "files" / "crds").iterdir())) == len(TOOL["definitions"]())


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


def test_another_namespace_is_refused_with_the_command_that_is_right():
    result = helm("template", "cabgate", CHART, "--namespace", "default")
    assert result.returncode != 0
    assert "into the namespace cabgate-system, not default: helm install" in result.stderr
