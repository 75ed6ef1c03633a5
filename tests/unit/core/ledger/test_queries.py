# SPDX-License-Identifier: Apache-2.0
"""What records that were cut may say to a question: whoever asks is told that nobody knows."""

import copy
from typing import Any

import pytest

from cabgate.ledger.queries import Query, answers
from unit.core.ledger.histories import fresh

CUT = {"sha256": "a" * 64, "size": 900}


def records(*fields: str) -> list[dict[str, Any]]:
    """Records of which the first was cut where `fields` say."""
    found = copy.deepcopy(fresh().records)
    found[0]["spec"]["cut"] = [{"field": name, **CUT} for name in fields]
    if "targets" in fields:
        found[0]["spec"].pop("targets", None)
    return found


@pytest.mark.parametrize(
    ("query", "fields", "cut"),
    [
        (Query(image="gone:1"), ["targets"], 1),
        (Query(image="gone:1"), ["images"], 1),
        (Query(image="gone:1"), ["summary", "factors"], 0),
        (Query(submitter="gone"), ["checked"], 1),
        (Query(submitter="gone"), ["submittedBy", "requestedBy"], 1),
        (Query(author="gone"), ["author"], 1),
        (Query(author="gone"), ["submittedBy"], 0),
        (Query(submitter="gone", author="gone"), ["submittedBy"], 0),
        (Query(submitter="gone", author="gone"), ["submittedBy", "author"], 1),
        # What is never cut decides.
        (Query(image="gone:1", verdict="NoSuch"), ["targets"], 0),
        (Query(image="gone:1", namespace="other"), ["targets"], 0),
    ],
)
def test_a_record_that_was_cut_where_it_might_say_so_is_counted(
    query: Query, fields: list[str], cut: int
) -> None:
    found = answers(records(*fields), query)
    assert (found.found, found.cut) == ([], cut)


def test_what_fits_is_found_and_not_counted() -> None:
    made = records("submittedBy", "summary")
    namespace = made[0]["spec"]["subject"]["namespace"]
    found = answers(made, Query(namespace=namespace))
    assert (len(found.found), found.cut) == (len(made), 0)
