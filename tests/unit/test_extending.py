# SPDX-License-Identifier: Apache-2.0
"""The walks of docs/extending lead where they say, through no more files than they may.

Each walk is done in a copy of the tree, by the files that the page names and no other; that of a
reason is in tests/unit/core/gate/test_new_reason.py.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import untraced

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/extending/README.md"

MOST = {"reason": 3, "factor": 8, "gated kind": 4, "command": 3, "field": 6}
"""How many files each walk may name, tests and generated files apart."""


def section_of(title: str) -> str:
    return PAGE.read_text().split(f"\n## A {title}\n", 1)[1].split("\n## ", 1)[0]


def walk(title: str) -> list[str]:
    """The files that a walk names, in its order."""
    section = section_of(title)
    steps = re.findall(r"^\d+\. .*(?:\n   .*)*", section, re.M)
    return [target for step in steps for target in re.findall(r"\]\(([^)#]+)\)", step)[:1]]


@pytest.mark.parametrize(("title", "most"), MOST.items())
def test_a_walk_names_no_more_files_than_it_may(title: str, most: int) -> None:
    numbers = [int(each) for each in re.findall(r"^(\d+)\. ", section_of(title), re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert 1 <= len(numbers) <= most


@pytest.mark.parametrize("title", MOST)
def test_what_a_walk_names_is_there(title: str) -> None:
    assert [each for each in walk(title) if not (PAGE.parent / each).exists()] == []


def edited(path: Path, after: str, lines: str) -> None:
    """Put lines behind some text, which stands once in a file."""
    text = path.read_text()
    assert text.count(after) == 1, f"{after!r} stands {text.count(after)} times in {path}"
    path.write_text(text.replace(after, after + lines))


def copied(folder: Path, *names: str) -> None:
    for name in names:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def answered(folder: Path, program: str) -> Any:
    """What a program prints as JSON that imports from a copy of the tree."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=untraced.environment(folder / "core", folder / "cli", folder / "tools"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


COMMAND = '''\
# SPDX-License-Identifier: Apache-2.0
"""`cabgate greet`: a greeting."""

import click

from cabgate_cli.exit_codes import of_command


@click.command(epilog=of_command(cluster=False))
def greet() -> None:
    """Greet whoever asks."""
    click.echo("hello")
'''

ASK_COMMAND = """\
import json
from click.testing import CliRunner
from cabgate_cli.main import main
import commands
run = lambda *words: CliRunner().invoke(main, words).output
print(json.dumps([run("greet"), run("--help"), commands.rendered()]))
"""


def test_a_command_takes_its_module_and_a_line(tmp_path: Path) -> None:
    copied(tmp_path, "cli", "tools")
    (tmp_path / "cli/cabgate_cli/commands/reviews/greet.py").write_text(COMMAND)
    edited(tmp_path / "cli/cabgate_cli/main.py", "_COMMANDS = (\n", '    "reviews.greet",\n')
    greeting, summary, page = answered(tmp_path, ASK_COMMAND)
    assert greeting == "hello\n"
    assert "Greet whoever asks." in summary
    assert "| `cabgate greet` | Greet whoever asks. |" in page


ASK_KIND = """\
import json
import chart
from cabgate.rollout.workloads import kind_of, named_kind
train = kind_of("batch.example.com/v1", "Train")
print(json.dumps([chart.kinds(), train.resource, named_kind("tr").kind]))
"""


def test_a_gated_kind_takes_its_row(tmp_path: Path) -> None:
    copied(tmp_path, "core", "tools", "charts")
    row = '    GatedKind("batch.example.com/v1", "Train", "trains", "tr"),\n'
    edited(tmp_path / "core/cabgate/api/kinds.py", "BUILT_IN = (\n", row)
    of_chart, resource, meant = answered(tmp_path, ASK_KIND)
    assert "kind: Train" in of_chart
    assert "resource: trains" in of_chart
    assert (resource, meant) == ("trains", "Train")


ASK_FIELD = """\
import json
from cabgate.api.crds import definitions
from cabgate.api.evidence import Evidence
from cabgate.text.canonical import canonical_json
intents = next(
    each for each in definitions() if each["spec"]["names"]["kind"] == "DeploymentIntent"
)
schema = intents["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
scope = schema["properties"]["evidence"]["properties"]["scope"]["properties"]
stored = Evidence.model_validate({"scope": {"affectedRegions": 3}})
print(json.dumps([scope["affectedRegions"], stored.to_dict()]))
"""

FIELD = '''
    affected_regions: Count | None = None
    """Number of regions that the change touches."""
'''


def with_a_field(folder: Path) -> None:
    edited(
        folder / "core/cabgate/api/evidence.py",
        '    """Number of components that the change touches."""\n',
        FIELD,
    )


def test_a_field_of_evidence_is_made_by_its_model(tmp_path: Path) -> None:
    copied(tmp_path, "core")
    with_a_field(tmp_path)
    schema, stored = answered(tmp_path, ASK_FIELD)
    assert schema["description"] == "Number of regions that the change touches."
    assert schema["maximum"] > 0
    assert stored == {"scope": {"affectedRegions": 3}}


FACT = '''
def regions(evidence: Evidence) -> Fact:
    """Number of regions that the change touches."""
    count = evidence.scope.affected_regions if evidence.scope else None
    if count is None:
        return _missing("scope.affectedRegions")
    return Fact(Decimal(count), f"{count} regions")


'''

ASK_FACTOR = """\
import json
from cabgate.api.evidence import Evidence
from cabgate.api.riskmodel import RiskModelSpec
from cabgate.risk.facts import FACTOR_FACTS
from cabgate.api.crds import definitions
known = json.dumps([each for each in definitions() if "RiskModel" in json.dumps(each["spec"])])
facts = [FACTOR_FACTS["regions"](Evidence.model_validate(each))
         for each in ({"scope": {"affectedRegions": 3}}, {})]
print(json.dumps([
    '"regions"' in known, facts[0].observed, list(facts[1].missing),
]))
"""


def test_a_factor_takes_its_name_and_its_fact(tmp_path: Path) -> None:
    copied(tmp_path, "core")
    with_a_field(tmp_path)
    edited(
        tmp_path / "core/cabgate/api/riskmodel.py",
        "class FactorName(StrEnum):\n",
        '    REGIONS = "regions"\n',
    )
    facts = tmp_path / "core/cabgate/risk/facts.py"
    text = facts.read_text()
    facts.write_text(text.replace("\nFACTOR_FACTS:", f"{FACT}\nFACTOR_FACTS:"))
    edited(facts, "FACTOR_FACTS: dict[str, Callable[[Evidence], Fact]] = {\n",
           '    "regions": regions,\n')  # fmt: skip
    known, observed, missing = answered(tmp_path, ASK_FACTOR)
    assert known
    assert observed == "3 regions"
    assert missing == ["scope.affectedRegions"]
