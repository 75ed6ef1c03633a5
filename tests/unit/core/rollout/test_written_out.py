# SPDX-License-Identifier: Apache-2.0
"""Templates written out for people: of their digest or not at all, and what of them is not the
same."""

import hashlib

import pytest

from cabgate.rollout.normal_form import VERSION, normal_form
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.templates import (
    Template,
    changed_values,
    form_text,
    template_of_forms,
    template_of_text,
)
from unit.core.rollout.templates import COUNTS, TEMPLATE, with_change

PLAIN = template_of_forms([normal_form(TEMPLATE)])


def of(*templates):
    return template_of_forms([normal_form(each) for each in templates])


@pytest.mark.parametrize("template", [PLAIN, of(TEMPLATE, TEMPLATE)], ids=["one", "two"])
def test_what_is_written_out_is_read_as_it_was(template):
    found = template_of_text(template.digest, form_text(template))
    assert found.forms == template.forms
    assert found.fields == template.fields


@pytest.mark.parametrize("path", COUNTS)
def test_another_template_is_none_of_the_digest_and_differs_where_it_does(path):
    other = of(with_change(COUNTS[path]))
    with pytest.raises(PodTemplateError, match="other than its digest says"):
        template_of_text(PLAIN.digest, form_text(other))
    found = changed_values(PLAIN, other)
    assert path in [each for each, _, _ in found]
    assert all(was != will for _, was, will in found)
    assert changed_values(other, PLAIN) == [(p, will, was) for p, was, will in found]


def test_the_values_are_told_before_and_now():
    other = of({"spec": {"containers": [{"name": "app", "command": ["sh"]}, {"name": "more"}]}})
    small = of({"spec": {"containers": [{"name": "app", "command": ["serve"]}]}})
    assert changed_values(small, other) == [
        ("containers[app].command", ["serve"], ["sh"]),
        ("containers[more]", None, {}),
    ]
    # Beside nothing, each part for itself.
    assert ("containers[app].command", None, ["serve"]) in changed_values(Template(""), small)
    assert changed_values(small, small) == []


ODD = [
    "null",
    "[]",
    "[1]",
    '"x"',
    "{",
    '{"containers":["app"]}',
    '{"containers":{"app":1}}',
    '{"initContainers":{"a":{}}}',
    '{"initContainers":[{}]}',
    '{"initContainers":[{"name":"a"},{"name":"a"}]}',
    '{"volumes":[]}',
    "[" * 30_000,
    '{"containers":{"app":{"env":5}}}',
    '{"containers":{"app":{"env":["value"]}}}',
    '{"containers":{"app":{"env":[{"name":"A","value":5}]}}}',
    '{"initContainers":[{"env":5,"name":"a"}]}',
    '{"a":NaN}',
    '{"a":1e999}',
    '{"a":9007199254740993}',
    '{"a":"\\ud800"}',
    '{"a": 1}',
    '{"b":1,"a":1}',
    '{"a":1,"a":1}',
    '{"a":' + "[" * 300 + "]" * 300 + "}",
]


@pytest.mark.parametrize("text", ODD, ids=lambda text: text[:30])
def test_what_is_no_normal_form_is_none_whatever_its_digest_says(text):
    """Anybody can declare the digest of any text."""
    digest = f"{VERSION}:sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    with pytest.raises(PodTemplateError, match="is no"):
        template_of_text(digest, text)
