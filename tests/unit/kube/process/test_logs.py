# SPDX-License-Identifier: Apache-2.0
"""A log line is one line, whatever is in it, and says what its event is about."""

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate_kube.process.logs import (
    JsonFormatter,
    PlainError,
    TextFormatter,
    explained,
    fields,
    reason_of,
)


def record(message, *args, error=None, **values):
    made = logging.LogRecord("cabgate", logging.INFO, "f.py", 1, message, args, error)
    made.__dict__.update(fields(**values) if values else {})
    made.created = 1795000000.1234
    return made


def test_an_event_is_one_object_with_its_fields():
    said = json.loads(JsonFormatter().format(record("took %s", "it", uid="u", reason="R", user="")))
    assert said == {
        "time": "2026-11-18T11:06:40.123Z",
        "level": "info",
        "logger": "cabgate",
        "message": "took it",
        "uid": "u",
        "reason": "R",
    }


def test_a_field_never_overwrites_what_every_line_has():
    said = json.loads(JsonFormatter().format(record("m", time="then", level="none")))
    assert (said["time"], said["level"]) == ("2026-11-18T11:06:40.123Z", "info")


def test_a_fault_keeps_the_end_of_its_traceback():
    try:
        raise ValueError("a" * 10_000 + "the end")
    except ValueError:
        said = json.loads(JsonFormatter().format(record("m", error=sys.exc_info())))
    assert said["error"].endswith("the end")
    assert len(said["error"]) == 4000


def test_an_error_is_told_by_its_type_and_place_and_not_in_words_that_may_quote():
    with pytest.raises(ValueError, match="s3cret") as caught:
        int("s3cret")
    assert reason_of(caught.value) == "ValueError"
    assert explained(caught.value).startswith("ValueError < test_logs.py:")
    assert "s3cret" not in explained(caught.value)
    assert explained(PlainError("the Lease is gone")) == "the Lease is gone"
    assert explained(ValueError("s3cret")) == "ValueError"


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text() | st.integers()))
def test_whatever_is_said_stays_one_line_of_json(message, values):
    line = JsonFormatter().format(record("%s", message, x=1))
    assert "\n" not in line
    assert json.loads(line)["message"] == message
    assert "\n" not in JsonFormatter().format(record("m", fields=values))


@given(st.text())
def test_a_line_for_people_cannot_be_made_to_look_like_two(message):
    line = TextFormatter().format(record("%s", message, object=message))
    assert "\n" not in line
    assert "\r" not in line


def test_a_line_for_people_has_its_fields_behind_the_message():
    assert TextFormatter().format(record("m", uid="u")).endswith('INFO cabgate: m uid="u"')
