# SPDX-License-Identifier: Apache-2.0
"""A report over many records out of an event store, beside an oracle, and what it takes
(`make test-relay`)."""

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


def test_a_report_over_many_records_is_what_an_oracle_counts(tmp_path, capsys):
    chance = random.Random(7)  # noqa: S311 - no secret
    url = f"sqlite:///{tmp_path}/events.db"
    steps = sorted(
        (
            chance.randrange(-20 * DAY, 110 * DAY),
            f"team-{chance.randrange(50)}",
            chance.choice(VERDICTS),
        )
        for _ in range(RECORDS)
    )
    heads, records = {}, []
    for number, (second, chain, verdict) in enumerate(steps):
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
            "opened": rfc3339(BEGIN + timedelta(seconds=second - DAY)),
            "at": rfc3339(BEGIN + timedelta(seconds=second)),
            "entry": 1,
        }
        record = append(heads.get(chain), content)
        heads[chain] = Head.of(record)
        records.append(record_object(record))
    with contextlib.closing(open_to_append(url, BEGIN)) as store:
        assert store.append("prod", records, {}, BEGIN).anomalies == []
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
    inside = [step for step in steps if 0 <= step[0] < DAYS * DAY]
    chains = {chain for _, chain, _ in steps}
    for group in ("all", *chains):
        own = [verdict for _, chain, verdict in inside if group in ("all", chain)]
        numbers = Counter(own)
        approvals = numbers["Approved"] + numbers["AutoApproved"]
        assert int(found[group, "approvals"]) == approvals
        assert int(found[group, "rejections"]) == numbers["Rejected"]
        assert int(found[group, "decisions"]) == approvals + numbers["Rejected"]
        assert int(found[group, "revocations"]) == numbers["Revoked"]
    with capsys.disabled():
        sys.stdout.write(
            f"\nreport over {RECORDS} records in {len(chains)} chains: {seconds:.1f} s\n"
        )
    assert seconds <= 10
