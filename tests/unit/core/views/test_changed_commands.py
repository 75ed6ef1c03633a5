# SPDX-License-Identifier: Apache-2.0
"""What reviewers see of the command that changes: what is of the digest, as inert text."""

from typing import Any

from cabgate.api import CABRequest
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, template_of_forms
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
