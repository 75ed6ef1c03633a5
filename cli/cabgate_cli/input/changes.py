# SPDX-License-Identifier: Apache-2.0
"""Requests one after the other, since there are thousands of them, and what became of them."""

from collections.abc import Iterator, Sequence

import click

from cabgate.api import CABRequest
from cabgate.api.request import KIND, PLURAL
from cabgate.calibration.outcomes import Outcome, OutcomesError, other_columns, outcomes_in
from cabgate.text.foreign import quoted
from cabgate_cli.errors import BadInput, note
from cabgate_cli.input.files.documents import each_document, read_text, shown_path
from cabgate_cli.input.ledger_contents import LIMITS, collect_garbage_seldom
from cabgate_cli.input.stored import readable


def requests_from(
    files: Sequence[str], kubeconfig: str | None, context: str | None
) -> Iterator[CABRequest]:
    """The requests of exports, or else of a cluster, without those that cannot be read, which are
    told. Raises `BadInput` and `Unavailable` on the way."""
    collect_garbage_seldom()
    if files:
        yield from _in_files(files)
        return
    from cabgate_cli.input.cluster.ledger_source import LedgerSource

    yield from readable(CABRequest, LedgerSource(kubeconfig, context).each(PLURAL))


def _in_files(files: Sequence[str]) -> Iterator[CABRequest]:
    number = 0
    for path in files:
        for document in each_document(read_text(path, LIMITS), shown_path(path), LIMITS):
            if document.kind == KIND:
                number += 1
                yield from readable(CABRequest, [document.content])
    if not number:
        raise BadInput(f"{', '.join(map(shown_path, files))}: no CABRequest to look at")


def read_outcomes(path: str) -> list[Outcome]:
    """The outcomes of a CSV; a note names the columns that are not read. Raises `BadInput` with
    one line for each problem."""
    text = read_text(path)
    try:
        found = outcomes_in(text)
    except OutcomesError as error:
        raise unusable(path, error) from None
    if others := other_columns(text):
        note(f"{shown_path(path)}: columns that are not read: {', '.join(map(quoted, others))}")
    return found


def unusable(path: str, error: OutcomesError) -> BadInput:
    """What is wrong with the outcomes of a file."""
    return BadInput(*(f"{shown_path(path)}: {problem}" for problem in error.problems))


def check_one_reads_stdin(files: Sequence[str], *others: str | None) -> None:
    """Raise `click.UsageError` where more than one is to read standard input."""
    if [*files, *others].count("-") > 1:
        raise click.UsageError("standard input can be read once: give a file for one of the two")
