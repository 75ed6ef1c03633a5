# SPDX-License-Identifier: Apache-2.0
"""A long export is read one object after the other, as if it were read at once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate_cli.errors import BadInput
from cabgate_cli.input.files.documents import documents_in, each_document

VALUE = st.none() | st.booleans() | st.text(max_size=5) | st.lists(st.integers(0, 9))
OBJECT = st.dictionaries(st.text(max_size=3), VALUE)


@given(st.lists(OBJECT, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_a_list_and_lines_are_what_they_are_at_once(
    items: list[dict[str, object]], indent: int | None, kind_last: bool
) -> None:
    head = {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"n": "]"}}
    if not kind_last:
        head = {"apiVersion": "v1", "kind": "RequestList", "items": items}
    text = json.dumps(head, indent=indent)
    assert list(each_document(text, "x")) == documents_in(text, "x")
    lines = "".join(f"{json.dumps(item)}\n\n" for item in [{"a": 1}, {"b": [2.0]}, *items])
    assert list(each_document(lines, "x")) == documents_in(lines, "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"items": [{}', "not valid JSON"),
        ('{"items": [{},]}', "not valid JSON"),
        ('{"items": [,{}], "kind": "List"}', "not valid JSON"),
        ('{"items": [{} {}], "kind": "List"}', "not valid JSON"),
        ('{"items": [{}], "kind": "List"', "not valid JSON"),
        ('{"items": [{}], "kind": "List"} x', "not valid JSON"),
        ('{"items": [{}, 7], "kind": "List"}', "items[1]: not a Kubernetes object"),
        ('{"items": [{"a": 1, "a": 2}], "kind": "List"}', "duplicate key 'a'"),
        ('{"items": [{}], "kind": "List", "kind": "List"}', "duplicate key 'kind'"),
        ('{"items": [{"a": NaN}], "kind": "List"}', "not valid JSON"),
        ('{"items": [{}]}', "allowed: a List"),
        ('{"items": [' + "[" * 5000 + "]" * 5000 + '], "kind": "List"}', "x"),
        ('{"a": 1}\n{"a": }', "line 2: not valid JSON"),
    ],
)
def test_what_is_no_list_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        list(each_document(text, "x"))
    assert said in refused.value.message
