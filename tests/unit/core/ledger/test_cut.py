# SPDX-License-Identifier: Apache-2.0
"""What a record says of what was cut: nothing of what was left out because it is empty."""

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cabgate.ledger.records import submitted
from cabgate.ledger.shortening import MAX_RECORD, shortened
from cabgate.text.canonical import canonical_json
from cabgate_samples.models import exception, request

VALUES = st.recursive(
    st.sampled_from(["", "x", 0, 7, False, None]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_empty_parts_are_left_out_and_not_told_as_cut() -> None:
    content = {
        "intent": {"name": "web", "uid": "", "labels": {}},
        "factors": [{"name": "f", "observed": "", "missing": []}, {"name": "g"}],
    }
    found = shortened(content, content, MAX_RECORD)
    assert found.cut == []
    assert found.fields == {
        "intent": {"name": "web"},
        "factors": [{"name": "f"}, {"name": "g"}],
    }


def test_what_is_cut_beside_an_empty_part_is_told() -> None:
    content = {"intent": {"name": "web", "uid": "", "why": "x" * 600}}
    [seen] = shortened(content, content, MAX_RECORD).cut
    assert seen["field"] == "intent"


@given(st.dictionaries(st.sampled_from(["one", "two"]), VALUES))
def test_what_fits_is_never_told_as_cut(content: dict[str, Any]) -> None:
    assert shortened(content, content, MAX_RECORD).cut == []


def test_an_exception_without_constraints_is_cut_as_it_was_before_there_were_any() -> None:
    """Or what an older release recorded would not verify any more."""
    of = request("ExceptionRequired")
    of = of.model_copy(update={"metadata": of.metadata.model_copy(update={"uid": "r"})})
    asked = exception(of)
    long = asked.spec.model_copy(update={"reason": "x" * 4096})
    meta = asked.metadata.model_copy(update={"uid": "e"})
    asked = asked.model_copy(update={"spec": long, "metadata": meta})
    [seen] = [each for each in submitted(asked, of, "o")["cut"] if each["field"] == "exception"]
    content = {
        "requestName": of.metadata.name,
        "reason": "x" * 4096,
        "compensatingControls": ["watched"],
        "durationDays": 30,
        "submittedBy": [],
    }
    assert seen["sha256"] == hashlib.sha256(canonical_json(content)).hexdigest()
