# SPDX-License-Identifier: Apache-2.0
"""Running the command line in the test's own process."""

import copy
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from cabgate_cli.main import main

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"


def run(*args: str, stdin: str | bytes | None = None, code: int = 0) -> Result:
    """Run the command line; its exit code has to be the one given, and no exception left over."""
    result = CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result


def example(name: str = "auto-approve") -> dict[str, Any]:
    """The object of an example."""
    content: dict[str, Any] = yaml.safe_load((EXAMPLES / name / "intent.yaml").read_text())
    return content


def changed(value: Any, *path: str | int, name: str = "auto-approve") -> str:
    """An example with one value changed, as YAML; the value ... removes it."""
    content = copy.deepcopy(example(name))
    here: Any = content
    for part in path[:-1]:
        here = here[part]
    if value is ...:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return yaml.safe_dump(content)


def manifest(kind: str = "Deployment", name: str = "web", image: Any = "web:1", **meta: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": name, **meta},
            "spec": {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}},
        }
    )


def printed(*args: str, stdin: str | None = None) -> dict[str, Any]:
    """The intent that `cabgate intent` prints."""
    found: dict[str, Any] = yaml.safe_load(run("intent", *args, stdin=stdin).stdout)
    return found
