# SPDX-License-Identifier: Apache-2.0
"""The pipelines of the page on evidence: their YAML is valid, and their commands are taken."""

import re
import shlex
from typing import Any

import pytest
import yaml

from cabgate_cli.commands.declarations.evidence_collect import collect
from cabgate_cli.commands.declarations.evidence_sign import sign
from cabgate_cli.commands.declarations.intent import intent
from cabgate_collect.facts import Format
from unit.cli.support import ROOT

PAGE = (ROOT / "docs" / "evidence.md").read_text()
PIPELINES = dict(re.findall(r"<!-- pipeline: (\w+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))


def scripts(name: str) -> str:
    """What a pipeline runs, in its shell."""
    text = PIPELINES[name]
    if name == "jenkins":
        return "\n".join(re.findall(r"sh (?:\"\"\"|')(.*?)(?:\"\"\"|'\n)", text, re.DOTALL))
    content: Any = yaml.safe_load(text)
    if name == "github":
        return "\n".join(each.get("run", "") for each in content["jobs"]["intent"]["steps"])
    if name == "gitlab":
        return "\n".join(content["intent"]["script"])
    return "\n".join(step["script"] for step in content["spec"]["steps"])


def test_there_is_a_pipeline_of_each() -> None:
    assert set(PIPELINES) == {"github", "gitlab", "jenkins", "tekton"}


@pytest.mark.parametrize("name", ["github", "gitlab", "jenkins", "tekton"])
def test_what_a_pipeline_collects_is_taken(name: str) -> None:
    script = scripts(name).replace("\\\n", " ")
    [command] = re.findall(r"cabgate evidence collect (.*?)(?:\n|$|kubectl)", script)
    words = [re.sub(r"^\$.*", "0" * 40, word) for word in shlex.split(command)]
    with collect.make_context("collect", words) as context:
        assert context.params["intent_file"] == "intent.yaml"
        assert context.params["in_place"]
        assert any(context.params[f"of_{each.replace('-', '_')}"] for each in Format)


@pytest.mark.parametrize("name", ["github", "gitlab", "jenkins"])
def test_what_a_pipeline_collects_it_has_made_before(name: str) -> None:
    before = PIPELINES[name].partition("cabgate evidence collect")[0]
    assert 'trivy image --format json -o trivy.json "$IMAGE"' in before
    assert "--junitxml=report.xml" in before or "mvn" in before
    # else the report of the scan would be of another image than the intent
    [update] = re.findall(r"cabgate (intent [^'\n]*)", before)
    with intent.make_context("intent", shlex.split(update)[1:]) as context:
        assert (context.params["update_file"], context.params["in_place"]) == ("intent.yaml", True)


@pytest.mark.parametrize("name", ["github", "gitlab", "jenkins", "tekton"])
def test_a_pipeline_signs_what_it_collected(name: str) -> None:
    _, collected, after = PIPELINES[name].partition("cabgate evidence collect")
    assert collected
    [command] = re.findall(r"cabgate evidence sign ([^'\n#]*)", after)
    words = [
        re.sub(r"^\$[^/]*COMMIT.*|^\$GITHUB.*|^\$\(p.*", "0" * 40, w) for w in shlex.split(command)
    ]
    with sign.make_context("sign", words) as context:
        assert (context.params["intent_file"], context.params["in_place"]) == ("intent.yaml", True)


def test_the_table_has_each_format() -> None:
    assert re.findall(r"^\| `--([a-z-]+)` \|", PAGE, re.M) == list(Format)
