# SPDX-License-Identifier: Apache-2.0
"""`cabgate ledger prune` where a relay sends the ledger to sinks: what one of them has not
acknowledged stays."""

from pathlib import Path

import pytest
from kubernetes.client.exceptions import ApiException

from unit.cli.commands.records.test_ledger import config_map, serve
from unit.cli.commands.records.test_prune import RECORDS, Writable
from unit.cli.commands.records.test_prune_stored import nothing_happened, pruned
from unit.cli.commands.records.test_prune_stored import out as out


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Writable:
    """One that has the Lease of a relay."""
    found = Writable()
    found.lease = None
    serve(monkeypatch, found)
    return found


def acknowledged(cluster: Writable, **sinks: str) -> None:
    cluster.maps["cabgate-relay-cursors"] = config_map("cabgate-relay-cursors", dict(sinks))


def test_what_all_sinks_have_acknowledged_is_pruned(cluster: Writable, out: Path) -> None:
    acknowledged(cluster, siem="other 1\nshop 7\n", log="shop 6\n")
    assert "pruned: 6 records" in pruned(out, "--no-store").stdout
    assert len(cluster.lists["cabdecisions"]) == 1


@pytest.mark.parametrize(
    "text", ["shop 5\n", "", "other 9\n", "shop nine\n"], ids=["behind", "new", "other", "garbage"]
)
def test_what_one_of_them_has_not_acknowledged_stays(
    cluster: Writable, out: Path, text: str
) -> None:
    acknowledged(cluster, log="shop 7\n", siem=text)
    for words in ((), ("--dry-run",)):
        result = pruned(out, "--no-store", *words, code=1)
        assert result.stdout == "chain of shop: sink siem has not acknowledged record 6\n"
        assert "cabgate-relay-cursors" in result.stderr
        nothing_happened(cluster, out)


def test_that_there_is_no_store_has_to_be_said(cluster: Writable, out: Path) -> None:
    acknowledged(cluster, siem="shop 7\n")
    assert "--no-store" in pruned(out, code=2).stderr
    nothing_happened(cluster, out)
    assert "--no-store" in pruned(out, "--no-store", "--stored-in", "sqlite:////x", code=2).stderr
    nothing_happened(cluster, out)


def test_without_a_lease_sinks_are_asked_for_all_the_same(cluster: Writable, out: Path) -> None:
    cluster.lease = ApiException(status=404)
    acknowledged(cluster, siem="shop 2\n")
    pruned(out, code=1)
    nothing_happened(cluster, out)
    assert len(RECORDS) == 7
