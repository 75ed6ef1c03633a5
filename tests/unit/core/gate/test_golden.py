# SPDX-License-Identifier: Apache-2.0
"""The texts of denials are what tests/golden/denials holds; `make golden` writes them anew."""

import re
from pathlib import Path

import pytest

from cabgate.gate.checks import ADMITTING, RECORDS
from cabgate.gate.composing import MAX_BYTES
from cabgate.text.refusal import RefusalReason
from unit.core.denials import rendered, texts

FOLDER = Path(__file__).resolve().parents[3] / "golden" / "denials"
REASONS = sorted({*(set(RECORDS) - ADMITTING), *RefusalReason})


def test_there_is_a_file_for_each_reason_and_no_other() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(f"{r}.txt" for r in REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_a_text_changes_only_on_purpose(reason: str) -> None:
    assert rendered()[f"{reason}.txt"] == (FOLDER / f"{reason}.txt").read_text(), "make golden"


@pytest.mark.parametrize("reason", REASONS)
def test_every_text_has_its_reason_first_and_at_most_one_command_last(reason: str) -> None:
    for text in texts()[reason]:
        assert text.startswith(f"{reason}: ")
        assert len(text.encode()) <= MAX_BYTES
        assert text.isprintable()
        commands = re.findall(r"(?:^|[:;] )(?:kubectl|cabgate) .*", text)
        assert len(commands) <= 1
        # NoRequest offers one for several workloads before it.
        alone = text.replace("cabgate intent -n shop -f MANIFEST.yaml writes one.", "")
        # Whoever has the plugin needs less to type; the one that runs everywhere stays last.
        alone = re.sub(r"kubectl cab [^,]+, or without the plugin: ", "", alone)
        # What is read is written again as it is, in one line.
        alone = alone.replace(" -o yaml | kubectl replace --force -f -", "")
        assert alone.count("kubectl ") + alone.count("cabgate ") - alone.count("cabgate's") <= 1
