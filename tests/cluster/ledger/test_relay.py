# SPDX-License-Identifier: Apache-2.0
"""The real relay beside a real API server, as the service account that its page gives it: the store
has what the ledger has, whatever is killed, and the gate waits for neither."""

import contextlib
import itertools
import json
import sys
from pathlib import Path

import pytest
import yaml

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.models import NOW
from cabgate_samples.objects import GOOD, workload
from cabgate_store import schema
from cabgate_store.errors import StoreError
from cabgate_store.opening import database_of, open_to_read
from support.cli import cabgate
from support.gate import install
from support.ledger import HEADS, auditing, decide
from support.namespaces import create_namespace
from support.postgres import running
from support.stores import Place, change, prepared

ACCOUNT = "system:serviceaccount:cabgate-system:cabgate-relay"
ROLES = Path(__file__).resolve().parents[3] / "examples" / "relay" / "roles.yaml"
RELAY = Path(sys.executable).with_name("cabgate-relay")
CLUSTER = "prod"
LEASE = ("lease", "cabgate-relay", "cabgate-system")

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def own():
    with DevCluster() as cluster:
        gate = install(cluster)
        cluster.kubectl("apply", "-f", "-", stdin=ROLES.read_text())
        keeper = ("keeper", "--clusterrole=cabgate-ledger-keeper", "--user=keeper")
        cluster.kubectl("create", "clusterrolebinding", *keeper)
        yield gate


@pytest.fixture(scope="module")
def auditor(own):
    with auditing(own, "auditor") as made:
        yield made


class Relays:
    """Processes of the relay that append to one store; `server` is that of its database."""

    def __init__(self, gate, place, server=None):
        self.gate, self.place, self.server = gate, place, server
        self._processes = []

    def start(self):
        """A further replica; it may lead or wait."""
        argv = [RELAY, "--cluster", CLUSTER, "--health-port", "0", "--sweep-seconds", "5"]
        env = {"KUBECONFIG": str(self.gate.user(ACCOUNT)), "CABGATE_STORE": self.place.append}
        process = self.gate.cluster.spawn(f"relay-{next(_numbers)}", argv, env=env)
        self._processes.append(process)
        return process

    @property
    def leader(self):
        """Who holds the Lease; empty if nobody does."""
        lease = self.gate.cluster.api.get(*LEASE) or {"spec": {}}
        return lease["spec"].get("holderIdentity") or ""

    def another_leads(self, than):
        """Wait until another one leads."""
        wait_until(lambda: self.leader not in ("", than), "another relay leads", timeout=60)
        return self.leader

    def free_lease(self):
        """Give back the Lease of one that was killed: the next need not wait until it ends."""
        kind, *where = LEASE
        self.gate.patch("admin", kind, *where, {"spec": {"holderIdentity": ""}})

    def has_all(self, ledger):
        """Wait until the store has the ledger, record for record."""
        wait_until(lambda: self.stored() == ledger(), "the store has the ledger", timeout=60)

    def stored(self):
        """The records of the store by name; None while it does not answer."""
        try:
            store = open_to_read(self.place.read)
        except StoreError:
            return None
        with contextlib.closing(store):
            assert store.anomalies(CLUSTER) == []
            return {each["metadata"]["name"]: each["spec"] for each in store.records(CLUSTER)}

    def end(self):
        for process in self._processes:
            process.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def relays(request, own, tmp_path):
    """The relays of a new store."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path}/events.db"
            database = database_of(url, write=True)
            schema.prepare(database, NOW)
            database.close()
            made = Relays(own, Place("sqlite", url, url, url))
        else:
            server = stack.enter_context(running())
            made = Relays(own, prepared(server), server)
        yield made
        made.end()
        made.free_lease()


@pytest.fixture
def ledger(own):
    """Reads the records that the API server has, by name."""

    def read():
        items = own.cluster.api.items("cabdecision")
        return {each["metadata"]["name"]: each["spec"] for each in items}

    return read


def decided(own, auditor, name):
    """Decisions of real users in a new namespace, all of them recorded, and a rollout."""
    create_namespace(own.cluster, name)
    decide(own, name)
    auditor.recorded(name, 4)
    own.apply("requester", workload(name))


def test_the_store_has_every_record_whatever_is_killed(own, auditor, relays, ledger, tmp_path):
    kind = relays.place.kind
    first = relays.start()
    leader = relays.another_leads("")
    decided(own, auditor, f"{kind}-quiet")
    relays.has_all(ledger)

    second = relays.start()
    first.kill()
    decided(own, auditor, f"{kind}-takeover")
    leader = relays.another_leads(leader)
    relays.has_all(ledger)

    if relays.server is not None:
        relays.server.kill()
    decided(own, auditor, f"{kind}-away")
    second.kill()
    relays.free_lease()
    third = relays.start()
    relays.another_leads(leader)
    decided(own, auditor, f"{kind}-still-away")
    if relays.server is not None:
        assert relays.stored() is None
        relays.server.start()
    relays.has_all(ledger)

    create_namespace(own.cluster, f"{kind}-killed")
    leader = ""
    for number in range(3):
        leader = relays.another_leads(leader)
        own.open(f"{kind}-killed", GOOD, "AutoApproved", name=f"app-{number}")
        third.kill()
        relays.free_lease()
        third = relays.start()
    auditor.recorded(f"{kind}-killed", 3)
    relays.has_all(ledger)

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


def verify(own, relays, folder, code):
    """What `cabgate ledger verify` says of the store, by copies of keys and heads."""
    keys = ("get", "configmap", "cabgate-signing-keys", "-n", "cabgate-system", "-o", "yaml")
    (folder / "keys.yaml").write_text(own.kubectl("auditor", *keys).stdout)
    (folder / "heads.json").write_text(own.kubectl("auditor", *HEADS).stdout)
    options = f"--keys {folder}/keys.yaml --heads {folder}/heads.json -o json"
    command = f"ledger verify --from '{relays.place.read}' --cluster {CLUSTER} {options}"
    return json.loads(cabgate(own, "auditor", command, code).stdout)


def tried_to_prune(own, folder, options="", code=0):
    """What `cabgate ledger prune` would do, as the keeper of the ledger."""
    command = f"ledger prune --older-than 0 --dry-run --out {folder}/pruned.jsonl {options}"
    return cabgate(own, "keeper", command, code)


def test_its_service_account_may_do_nothing_else(own):
    """It reads the ledger, and writes nothing but its Lease and the positions of its sinks."""
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
        "list cabrequests -A",
        "delete cabdecisions",
        "update configmaps/cabgate-ledger-checkpoints -n cabgate-system",
        "update leases/cabgate-operator -n cabgate-system",
    ):
        asked = own.kubectl(ACCOUNT, "auth", "can-i", *question.split(), check=False)
        assert asked.stdout.strip() == "no", question
