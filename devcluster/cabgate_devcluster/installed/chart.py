# SPDX-License-Identifier: Apache-2.0
"""The chart's manifests: rendered by Helm, or where nothing is set, from the golden file."""

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.programs.binaries import locate_program

Document = dict[str, Any]

_ROOT = Path(__file__).resolve().parents[3]
_CHARTS = _ROOT / "charts"

CHART = _CHARTS / "cabgate"
"""The chart."""

GOLDEN = _CHARTS / "golden"
"""Sets of values, and what Helm makes of each, without what `without_schemas` takes out. A test
holds them current."""

NAMESPACE = "cabgate-system"
"""Where the chart installs."""

KUBE_VERSION = "1.36.3"
"""Version of Kubernetes that it is rendered for, here."""


def manifests(values: Mapping[str, Any] | None = None) -> list[Document]:
    """The objects that the chart makes of some values, in the order that Helm writes them.

    Without values that is the golden file, so that the demo needs no Helm. Raises
    `DevClusterError` with Helm's words for values that the chart refuses.
    """
    text = _rendered(json.dumps(values, sort_keys=True)) if values else _default()
    return [document for document in yaml.load_all(text, _LOADER) if document]


def arguments(values: Mapping[str, Any] | None, component: str) -> list[str]:
    """The command line, without the program, that the chart gives operator or webhook."""
    return list(_arguments(json.dumps(values or {}, sort_keys=True), component))


@functools.cache  # each process that is started asks, and to read the YAML takes 0.1 s of CPU time
def _arguments(values: str, component: str) -> tuple[str, ...]:
    name = f"cabgate-{component}"
    for document in manifests(json.loads(values)):
        if document["kind"] == "Deployment" and document["metadata"]["name"] == name:
            container = document["spec"]["template"]["spec"]["containers"][0]
            return tuple(str(argument) for argument in container["args"])
    raise DevClusterError(f"the chart has no Deployment {name}")


def without_schemas(text: str) -> str:
    """What Helm made, without the spec of each definition: it is that of crds/, and ten times as
    long as all the rest."""
    return _BETWEEN.join(
        each.partition(_SPEC)[0].rstrip("\n") if _DEFINITION in each else each
        for each in text.split(_BETWEEN)
    )


def golden(path: Path) -> str:
    """A golden file as Helm made it: each definition with its spec again."""
    return _BETWEEN.join(map(_with_schema, path.read_text().split(_BETWEEN)))


def _with_schema(document: str) -> str:
    if _DEFINITION not in document:
        return document
    name = yaml.safe_load(document)["metadata"]["name"]
    spec = (_ROOT / "crds" / f"{name}.yaml").read_text().partition(_SPEC)[2]
    return f"{document}{_SPEC}{spec.rstrip()}"


_BETWEEN = "\n---\n"
_SPEC = "\nspec:"
_DEFINITION = "\nkind: CustomResourceDefinition\n"


def _default() -> str:
    return golden(GOLDEN / "default.yaml")


@functools.cache
def _rendered(values: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(values)
        file.flush()
        command = [str(locate_program("helm")), "template", "cabgate", str(CHART)]
        command += ["--namespace", NAMESPACE, "--kube-version", KUBE_VERSION]
        result = subprocess.run(
            [*command, "--values", file.name],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "GOGC": "off"},  # a quarter of its CPU time, as for kubectl
        )
    if result.returncode != 0:
        raise DevClusterError(f"helm template: {result.stderr.strip()}")
    return result.stdout


# Several times faster than the other, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
