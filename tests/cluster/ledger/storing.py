# SPDX-License-Identifier: Apache-2.0
"""Relays that keep the ledger of a gated cluster in a store, and what tests ask of them."""

import contextlib
import json

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.models import NOW
from cabgate_samples.objects import workload
from cabgate_store import schema
from cabgate_store.opening import database_of
from support.cli import cabgate
from support.gate import install
from support.ledger import HEADS, decide
from support.namespaces import create_namespace
from support.relays import ACCOUNT, CLUSTER, ROLES, free_lease, start_relay, stored
from support.stores import Place

LEASE = ("lease", "cabgate-relay", "cabgate-system")


@contextlib.contextmanager
def gated():
    """A gated cluster with the rights of a relay, and somebody who prunes."""
    with DevCluster() as cluster:
        gate = install(cluster)
        cluster.kubectl("apply", "-f", "-", stdin=ROLES.read_text())
        keeper = ("keeper", "--clusterrole=cabgate-ledger-keeper", "--user=keeper")
        cluster.kubectl("create", "clusterrolebinding", *keeper)
        yield gate


class Relays:
    """Processes of the relay that append to one store; `server` is that of its database."""

    def __init__(self, gate, place, server=None):
        self.gate, self.place, self.server = gate, place, server
        self._processes = []

    def start(self):
        """A further replica; it may lead or wait."""
        options, account = ("--sweep-seconds", "5"), self.gate.user(ACCOUNT)
        cluster, store = self.gate.cluster, self.place.append
        process = start_relay(cluster, account, *options, store=store)
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

    def ledger(self):
        """The records that the API server has, by name."""
        items = self.gate.cluster.api.items("cabdecision")
        return {each["metadata"]["name"]: each["spec"] for each in items}

    def has_all(self):
        """Wait until the store has the ledger, record for record."""
        wait_until(lambda: self.stored() == self.ledger(), "the store has the ledger", timeout=60)

    def stored(self):
        """The records of the store by name; None while it does not answer."""
        found = stored(self.place)
        if found is None:
            return None
        return {each["metadata"]["name"]: each["spec"] for each in found}

    def end(self):
        for process in self._processes:
            process.kill()
        free_lease(self.gate.cluster)


def new_file(folder):
    """A new store in SQLite."""
    url = f"sqlite:///{folder}/events.db"
    database = database_of(url, write=True)
    schema.prepare(database, NOW)
    database.close()
    return Place("sqlite", url, url, url)


def decided(own, auditor, name):
    """Decisions of real users in a new namespace, all of them recorded, and a rollout."""
    create_namespace(own.cluster, name)
    decide(own, name)
    auditor.recorded(name, 4)
    own.apply("requester", workload(name))


def verify(own, relays, folder, code):
    """What `cabgate ledger verify` says of the store, by copies of keys and heads."""
    keys = ("get", "configmap", "cabgate-signing-keys", "-n", "cabgate-system", "-o", "yaml")
    (folder / "keys.yaml").write_text(own.kubectl("auditor", *keys).stdout)
    (folder / "heads.json").write_text(own.kubectl("auditor", *HEADS).stdout)
    options = f"--keys {folder}/keys.yaml --heads {folder}/heads.json -o json"
    command = f"ledger verify --from '{relays.place.read}' --cluster {CLUSTER} {options}"
    return json.loads(cabgate(own, "auditor", command, code).stdout)
