# SPDX-License-Identifier: Apache-2.0
"""What reviewers see of the command that changes: what is of the digest, as inert text."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cabgate.api import CABRequest
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, template_of_forms, template_of_text
from cabgate.views.compare import Comparison, Kept, ValueChange, compare
from cabgate_cli.output.views import comparison_text
from cabgate_samples.models import NOW, by_person, intent, request, target
from cabgate_samples.objects import MIDDLING
from unit.core.views.builders import whole


def template(**fields: Any) -> Template:
    return template_of_forms([{"containers": {"app": fields}}])


def made(name: str, of: Template | None, *decisions: dict[str, Any]) -> CABRequest:
    said: dict[str, Any] = (
        {} if of is None else {"template": of.digest, "templateFields": of.fields}
    )
    return request(
        "ManualReview", *decisions, of=intent(MIDDLING, [target("web", **said)]), name=name
    )


def kept(of: Template | None) -> dict[Workload, Template]:
    return {} if of is None else {Workload("apps", "Deployment", "web"): of}


def compared(was: Template | None, now: Template, *, written: bool = True) -> Comparison:
    old, new = made("old", was, by_person("Approved", NOW)), made("new", now)
    found = Kept(kept(now), kept(was)) if written else Kept({}, {})
    return compare(whole(new)[0], whole(old)[0], kept=found)


ENV = [{"name": "A", "value": "a" * 64}, {"name": "B", "value": "b" * 64}, {"name": "C"}]


def test_the_command_is_told_before_and_now() -> None:
    found = compared(template(command=["serve"]), template(command=["sh", "-c", "x"]))
    [change] = found.containers
    [command] = change.values
    assert command == ValueChange("containers[app].command", '["serve"]', '["sh","-c","x"]')
    assert (
        '    ~ containers[app].command\n      - ["serve"]\n      + ["sh","-c","x"]\n'
    ) in comparison_text(found)


def test_of_variables_those_that_change_are_told_by_the_beginning_of_a_digest() -> None:
    other = [ENV[0], {"name": "B", "value": "c" * 64}, {"name": "D"}]
    [change] = compared(template(env=ENV), template(env=other)).containers
    [value] = change.values
    assert value.before == '[{"name":"B","value":"sha256:bbbbbbbb..."},{"name":"C"}]'
    assert value.now == '[{"name":"B","value":"sha256:cccccccc..."},{"name":"D"}]'


def test_the_order_alone_is_a_change_that_is_shown() -> None:
    [change] = compared(template(envFrom=ENV), template(envFrom=ENV[::-1])).containers
    [value] = change.values
    assert value.before != value.now != ""


def variable(name: str, digit: str) -> dict[str, str]:
    return {"name": name, "value": digit * 64}


def secret(name: str) -> dict[str, Any]:
    return {"secretRef": {"name": name}}


@pytest.mark.parametrize(
    ("field", "was", "now"),
    [
        (
            "env",
            [variable("VERIFY", "0"), variable("LOG", "a"), variable("VERIFY", "1")],
            [variable("VERIFY", "1"), variable("LOG", "b"), variable("VERIFY", "0")],
        ),
        ("env", [ENV[0], ENV[1], ENV[2]], [ENV[1], ENV[0], {"name": "D"}]),
        ("env", [ENV[0], variable("A", "1")], [ENV[0]]),
        (
            "envFrom",
            [secret("dev"), secret("prod"), secret("a")],
            [secret("prod"), secret("dev"), secret("b")],
        ),
    ],
    ids=["flip of duplicates", "flip of two", "duplicate gone", "sources"],
)
def test_where_the_order_counts_all_of_it_is_shown(
    field: str, was: list[dict[str, Any]], now: list[dict[str, Any]]
) -> None:
    [change] = compared(template(**{field: was}), template(**{field: now})).containers
    [value] = change.values
    for shown, listed in ((value.before, was), (value.now, now)):
        assert [each.get("name") for each in json.loads(shown)] == [
            each.get("name") for each in listed
        ]


def test_what_is_added_alone_replaces_nothing() -> None:
    [change] = compared(template(env=ENV[:2]), template(env=ENV)).containers
    assert change.values == (ValueChange("containers[app].env", "", '[{"name":"C"}]'),)
    [change] = compared(template(env=ENV), template(env=ENV[:2])).containers
    assert change.values == (ValueChange("containers[app].env", '[{"name":"C"}]', ""),)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("if ok():\n    check()\n    deploy()", "if ok():\n    check()\ndeploy()"),
        ("for x:\n    if ok:\n        a\n        b", "for x:\n    if ok:\n        a\n    b"),
        ("rm -rf /tmp/  x", "rm -rf /tmp/ x"),
        ("rm -rf /tmp/\u00a0x", "rm -rf /tmp/ x"),
        ("rm -rf /tmp/ \u3000x", "rm -rf /tmp/ x"),
    ],
    ids=["indented", "indented deeper", "two blanks", "U+00A0", "U+3000"],
)
def test_two_commands_that_differ_in_blanks_are_shown_as_two(was: str, now: str) -> None:
    [change] = compared(template(command=["x", was]), template(command=["x", now])).containers
    [value] = change.values
    assert value.before != value.now
    assert json.loads(value.before) == ["x", was]
    assert json.loads(value.now) == ["x", now]


def test_what_was_not_written_out_before_does_not_hide_what_is_now() -> None:
    was, now = template(command=["serve"]), template(command=["sh", "-c", "evil"], args=["x"])
    for declared in (was.fields, ["workingDir=00000000"]):
        old = made("old", was, by_person("Approved", NOW))
        said = {"template": now.digest, "templateFields": declared}
        new = request("ManualReview", of=intent(MIDDLING, [target("web", **said)]), name="new")
        found = compare(whole(new)[0], whole(old)[0], kept=Kept(kept(now), {}))
        [change] = found.containers
        assert change.fields == ("containers[app].args", "containers[app].command")
        shown = comparison_text(found)
        assert '+ ["sh","-c","evil"]' in shown
        assert '+ ["x"]' in shown
        assert "workingDir" not in shown


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
KEYS = st.sampled_from(
    ["containers", "initContainers", "volumes", "env", "envFrom", "name", "value", "app", "x.env"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
CONTAINERS = st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=2), max_size=2)
FORMS = st.dictionaries(KEYS, VALUES, max_size=2) | st.builds(
    lambda containers, more: {**more, "containers": containers},
    CONTAINERS,
    st.dictionaries(KEYS, VALUES, max_size=1),
)


def written(value: Any) -> Template:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return template_of_text(f"t1:sha256:{digest}", text)


@given(was=FORMS, now=FORMS | st.lists(FORMS, min_size=1, max_size=2))
def test_whatever_is_taken_for_a_form_is_shown(was: Any, now: Any) -> None:
    try:
        new = written(now)
    except PodTemplateError:
        assume(False)
    comparison_text(compare(whole(made("new", new))[0], None, kept=Kept(kept(new), {})))
    try:
        old = written(was)
    except PodTemplateError:
        return
    comparison_text(compared(old, new))


def test_where_it_is_not_written_out_the_fields_are_named() -> None:
    found = compared(template(command=["a"]), template(command=["b"]), written=False)
    [change] = found.containers
    assert (change.fields, change.values) == (("containers[app].command",), ())
    assert "    ~ containers[app].command\n" in comparison_text(found)


def test_a_first_one_and_one_after_images_alone_are_told_whole() -> None:
    now = template(command=["serve"], securityContext={"privileged": True})
    first = compare(whole(made("new", now))[0], None, kept=Kept(kept(now), {}))
    for found in (first, compared(None, now)):
        [change] = found.containers
        assert [each.field for each in change.values] == [
            "containers[app].command",
            "containers[app].securityContext",
        ]
        assert all(each.before == "" for each in change.values)
        assert '      + {"privileged":true}\n' in comparison_text(found)
    assert "what its containers are to do" in comparison_text(first)


def test_the_fields_that_a_team_declares_do_not_hide_what_is_proved() -> None:
    """They decide nothing, so they may say anything."""
    was, now = template(command=["serve"]), template(command=["sh"])
    liar = Template(now.digest, ({"containers": {"app": {"args": ["harmless"]}}},))
    old, new = made("old", was, by_person("Approved", NOW)), made("new", liar)
    assert new.spec.targets[0].template == now.digest
    shown = comparison_text(compare(whole(new)[0], whole(old)[0], kept=Kept(kept(now), kept(was))))
    assert '+ ["sh"]' in shown
    assert "args" not in shown


def test_a_terminal_is_told_nothing_by_a_command() -> None:
    found = compared(template(command=["a"]), template(command=["\x1b[2J\u202eevil"]))
    assert not any(each in comparison_text(found) for each in "\x1b\u202e")
