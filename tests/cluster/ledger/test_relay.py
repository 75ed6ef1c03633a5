# SPDX-License-Identifier: Apache-2.0
"""The real relay beside a real API server, as the service account that its page gives it: the store
has what the ledger has, whatever is killed, and the gate waits for neither."""

import contextlib

import pytest
import yaml

from cabgate_samples.objects import GOOD
from cluster.ledger.storing import Relays, decided, new_file, verify
from support.cli import cabgate
from support.namespaces import create_namespace
from support.postgres import running
from support.relays import ACCOUNT, CLUSTER, ROLES, free_lease
from support.stores import change, prepared


@pytest.fixture(params=["sqlite", "postgresql"])
def relays(request, own, tmp_path):
    """The relays of a new store."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            made = Relays(own, new_file(tmp_path))
        else:
            server = stack.enter_context(running())
            made = Relays(own, prepared(server), server)
        yield made
        made.end()


def test_the_store_has_every_record_whatever_is_killed(own, auditor, relays, tmp_path):
    kind = relays.place.kind
    first = relays.start()
    leader = relays.another_leads("")
    decided(own, auditor, f"{kind}-quiet")
    relays.has_all()

    second = relays.start()
    first.kill()
    decided(own, auditor, f"{kind}-takeover")
    leader = relays.another_leads(leader)
    relays.has_all()

    if relays.server is not None:
        relays.server.kill()
    decided(own, auditor, f"{kind}-away")
    second.kill()
    free_lease(own.cluster)
    third = relays.start()
    relays.another_leads(leader)
    decided(own, auditor, f"{kind}-still-away")
    if relays.server is not None:
        assert relays.stored() is None
        relays.server.start()
    relays.has_all()

    create_namespace(own.cluster, f"{kind}-killed")
    leader = ""
    for number in range(3):
        leader = relays.another_leads(leader)
        own.open(f"{kind}-killed", GOOD, "AutoApproved", name=f"app-{number}")
        third.kill()
        free_lease(own.cluster)
        third = relays.start()
    auditor.recorded(f"{kind}-killed", 3)
    relays.has_all()

    for name in ("quiet", "takeover", "away", "still-away", "killed"):
        auditor.published(f"{kind}-{name}")
    verified = verify(own, relays, tmp_path, code=0)
    assert verified["clean"]
    assert verified["findings"] == []

    stored_in = f"--stored-in '{relays.place.read}' --cluster {CLUSTER}"
    assert "--stored-in" in tried_to_prune(own, tmp_path, code=2).stderr
    assert f"chain of {kind}-away: 3 records" in tried_to_prune(own, tmp_path, stored_in).stdout

    third.stop()
    change(
        relays.place,
        "UPDATE records SET content = replace(content, 'reviewer', 'mallory') "
        "WHERE chain = ? AND sequence = 3",
        f"{kind}-away",
    )
    [*found] = verify(own, relays, tmp_path, code=1)["findings"]
    assert "ChangedRecord" in {each["code"] for each in found}
    assert all(f"{kind}-away" in each["where"] + each["message"] for each in found)
    lacking = tried_to_prune(own, tmp_path, stored_in, code=1).stdout
    assert lacking == f"{kind}-away.00000003: the event store has another record there\n"


def tried_to_prune(own, folder, options="", code=0):
    """What `cabgate ledger prune` would do, as the keeper of the ledger."""
    command = f"ledger prune --older-than 0 --dry-run --out {folder}/pruned.jsonl {options}"
    return cabgate(own, "keeper", command, code)


def test_its_service_account_may_do_nothing_else(own):
    """It reads the ledger and what that rests on, and writes nothing but its Lease and the
    positions of its sinks."""
    rules = [
        rule for each in yaml.safe_load_all(ROLES.read_text()) for rule in each.get("rules", ())
    ]
    writes = {
        (verb, resource, name)
        for rule in rules
        for verb in rule["verbs"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", ["*"])
        if verb not in ("get", "list", "watch")
    }
    assert writes == {
        ("create", "leases", "*"),
        ("update", "leases", "cabgate-relay"),
        ("update", "configmaps", "cabgate-relay-cursors"),
    }
    for question in (
        "get secrets -A",
        "list cabexceptions -A",
        "update cabrequests -A",
        "delete cabdecisions",
        "update configmaps/cabgate-ledger-checkpoints -n cabgate-system",
        "update leases/cabgate-operator -n cabgate-system",
    ):
        asked = own.kubectl(ACCOUNT, "auth", "can-i", *question.split(), check=False)
        assert asked.stdout.strip() == "no", question
