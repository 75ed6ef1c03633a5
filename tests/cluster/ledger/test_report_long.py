# SPDX-License-Identifier: Apache-2.0
"""A report over many records and outcomes out of an event store, beside an oracle, and what it
takes (`make test-relay`)."""

import contextlib
import csv
import io
import os
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from cabgate.api.base import rfc3339
from cabgate.ledger.chain import Head, append, record_object
from cabgate.ledger.kept import Kept, kept
from cabgate_store.opening import open_to_append
from unit.cli.support import run

pytestmark = pytest.mark.long

RECORDS = int(os.environ.get("REPORT_RECORDS", "100000"))
BEGIN = datetime(2026, 7, 1, tzinfo=UTC)
DAY = 86400
DAYS = 92
SYSTEM = "system:serviceaccount:cabgate-system:cabgate-operator"
VERDICTS = ("Approved", "AutoApproved", "Rejected", "Revoked")
DIGEST = "0" * 64


def outcome(number: int, step: tuple[int, str, str, int], failed: bool) -> Kept:
    """What became of a request in the moment in which it was approved."""
    moment = rfc3339(BEGIN + timedelta(seconds=step[0]))
    raw = {
        "metadata": {
            "name": f"app-{number}",
            "namespace": step[1],
            "uid": f"o-{number}",
            "creationTimestamp": moment,
        },
        "spec": {
            "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"app-{number}"},
            "images": ["app:1"],
            "ring": 2,
            "intentName": f"app-{number}",
            "requestName": f"app-{number}",
        },
        "status": {"result": "Failed", "endedAt": moment} if failed else {},
    }
    return kept("RolloutOutcome", raw)


def test_a_report_over_many_records_is_what_an_oracle_counts(tmp_path, capsys):
    chance = random.Random(7)  # noqa: S311 - no secret
    url = f"sqlite:///{tmp_path}/events.db"
    steps = sorted(
        (
            chance.randrange(-20 * DAY, 110 * DAY),
            f"team-{chance.randrange(50)}",
            chance.choice(VERDICTS),
            chance.randrange(5 * DAY),
        )
        for _ in range(RECORDS)
    )
    heads, records = {}, []
    for number, (second, chain, verdict, waited) in enumerate(steps):
        people = verdict != "AutoApproved"
        content = {
            "format": 2,
            "subject": {
                "kind": "CABRequest",
                "namespace": chain,
                "name": f"app-{number}",
                "uid": f"u-{number}",
            },
            "evidenceDigest": f"v1:sha256:{DIGEST}",
            "verdict": verdict,
            "author": {
                "type": "Person" if people else "System",
                "username": f"rita-{number % 20}" if people else SYSTEM,
            },
            "opened": rfc3339(BEGIN + timedelta(seconds=second - waited)),
            "at": rfc3339(BEGIN + timedelta(seconds=second)),
            "entry": 1,
        }
        record = append(heads.get(chain), content)
        heads[chain] = Head.of(record)
        records.append(record_object(record))
    with contextlib.closing(open_to_append(url, BEGIN)) as store:
        assert store.append("prod", records, {}, BEGIN).anomalies == []
        rolled_out = {
            number: chance.random() < 0.2
            for number, (_, _, verdict, _) in enumerate(steps)
            if verdict == "Approved" and chance.random() < 0.4
        }
        store.keep("prod", [outcome(n, steps[n], rolled_out[n]) for n in rolled_out], BEGIN)
    del records, heads

    began = time.process_time()
    until = rfc3339(BEGIN + timedelta(days=DAYS))
    times = ("--since", rfc3339(BEGIN), "--until", until)
    result = run("report", "--from", url, *times, "--by", "namespace", "-o", "csv")
    seconds = time.process_time() - began
    found = {
        (row["group"], row["figure"]): row["value"]
        for row in csv.DictReader(io.StringIO(result.stdout))
    }
    chains = {chain for _, chain, _, _ in steps}
    for group in ("all", *chains):
        own = {
            number: step
            for number, step in enumerate(steps)
            if 0 <= step[0] < DAYS * DAY and group in ("all", step[1])
        }
        numbers = Counter(verdict for _, _, verdict, _ in own.values())
        approvals = numbers["Approved"] + numbers["AutoApproved"]
        assert int(found[group, "approvals"]) == approvals
        assert int(found[group, "rejections"]) == numbers["Rejected"]
        assert int(found[group, "decisions"]) == approvals + numbers["Rejected"]
        assert int(found[group, "revocations"]) == numbers["Revoked"]
        by_people = [each for each in own.values() if each[2] in ("Approved", "Rejected")]
        waits = sorted(waited for _, _, _, waited in by_people)
        assert int(found[group, "openedToDecidedMax"]) == waits[-1]
        assert int(found[group, "openedToDecidedP50"]) == waits[(len(waits) + 1) // 2 - 1]
        people = {number % 20 for number, each in own.items() if each[2] == "Approved"}
        assert int(found[group, "approvers"]) == len(people)
        ran = [rolled_out[number] for number in own if number in rolled_out]
        assert (int(found[group, "rolledOut"]), int(found[group, "changesFailed"])) == (
            len(ran),
            sum(ran),
        )
    with capsys.disabled():
        sys.stdout.write(
            f"\nreport over {RECORDS} records in {len(chains)} chains and {len(rolled_out)} "
            f"outcomes: {seconds:.1f} s\n"
        )
    assert seconds <= 10
