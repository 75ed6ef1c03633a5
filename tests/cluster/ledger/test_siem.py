# SPDX-License-Identifier: Apache-2.0
"""The real relay between a real API server and a SIEM that is strict, without an event store: what
the ledger has arrives, whatever is killed or cut. And what people do whom no record names, from the
API server's audit log."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.installation import ROOT
from cabgate_samples.objects import BAD, GOOD
from support.cli import cabgate
from support.gate import install
from support.ledger import auditing, decide
from support.namespaces import create_namespace
from support.policies import change_policy
from support.relays import ACCOUNT, ROLES, free_lease, sinks_file, start_relay, to_siem
from support.siem import (
    CUT,
    LOST,
    Authority,
    Background,
    Siem,
    chains,
    check_order,
    checked,
    lines_of,
)

CABGATE = Path(sys.executable).with_name("cabgate")
AUDIT = ROOT / "examples" / "siem" / "audit-policy.yaml"
CURSORS = ("configmap", "cabgate-relay-cursors", "cabgate-system")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="module")
def own(log):
    arguments = [f"--audit-policy-file={AUDIT}", f"--audit-log-path={log}"]
    with DevCluster(apiserver_args=arguments) as cluster:
        gate = install(cluster)
        cluster.kubectl("apply", "-f", "-", stdin=ROLES.read_text())
        for user, role in (("keeper", "cabgate-ledger-keeper"), ("boss", "cluster-admin")):
            binding = (user, f"--clusterrole={role}", f"--user={user}")
            cluster.kubectl("create", "clusterrolebinding", *binding)
        yield gate


@pytest.fixture(scope="module")
def auditor(own):
    with auditing(own, "auditor") as made:
        yield made


class Relays:
    """Processes of the relay, and the SIEM that they send to."""

    def __init__(self, gate, siem, folder):
        self.gate, self.siem = gate, siem
        log = {"name": "log", "type": "stdout", "format": "ocsf"}
        self._file = sinks_file(folder, to_siem(siem, folder), log)
        self._processes = []

    def start(self):
        """A further replica; it may lead or wait."""
        account = self.gate.user(ACCOUNT)
        process = start_relay(self.gate.cluster, account, "--sinks", self._file)
        self._processes.append(process)
        return process

    def kill(self, process):
        """Kill one, and give back its Lease: the next need not wait until it ends."""
        process.kill()
        free_lease(self.gate.cluster)

    def printed(self):
        """The events that all of them printed."""
        return [
            checked(event)
            for process in self._processes
            for event in lines_of(process.log.read_bytes())
            if "class_uid" in event
        ]

    def ledger(self):
        """The ids that the ledger has."""
        items = self.gate.cluster.api.items("cabdecision")
        names = (each["metadata"]["name"].rpartition(".") for each in items)
        return {f"prod/{chain}/{int(number)}" for chain, _, number in names}

    def has_all(self):
        """Wait until both sinks have what the ledger has."""
        wait_until(lambda: set(self.siem.ids) == self.ledger(), "the SIEM has all", timeout=60)
        wait_until(lambda: set(self.printed()) == self.ledger(), "all are printed", timeout=60)

    def end(self):
        for process in self._processes:
            self.kill(process)


@pytest.fixture(scope="module")
def siem(tmp_path_factory):
    folder = tmp_path_factory.mktemp("siem")
    made = Background(Siem(Authority(folder)))
    made.start()
    yield made, folder
    made.end()


@pytest.fixture(scope="module")
def relays(own, siem):
    made = Relays(own, siem[0].siem, siem[1])
    yield made
    made.end()


def test_nothing_is_lost_whatever_is_killed_or_cut(own, auditor, relays, siem):
    background, _ = siem
    create_namespace(own.cluster, "quiet")
    first = relays.start()
    decide(own, "quiet")
    own.open("quiet", BAD, "ExceptionRequired", name="hurried")
    auditor.recorded("quiet", 5)
    relays.has_all()

    create_namespace(own.cluster, "cut")
    relays.siem.faults = [CUT, LOST, 503, (429, "1"), LOST]
    decide(own, "cut")
    auditor.recorded("cut", 4)
    relays.kill(first)
    second = relays.start()
    relays.has_all()

    create_namespace(own.cluster, "away")
    background.stop()
    decide(own, "away")
    auditor.recorded("away", 4)
    relays.kill(second)
    third = relays.start()
    # What a killed one had printed and not noted down comes again.
    wait_until(lambda: len({*chains(relays.printed()).get("prod/away", ())}) == 4, "all is printed")
    background.start()
    relays.has_all()

    create_namespace(own.cluster, "killed")
    relays.siem.faults = [LOST, CUT] * 3
    for number in range(4):
        own.open("killed", GOOD, "AutoApproved", name=f"app-{number}")
        relays.kill(third)
        third = relays.start()
    auditor.recorded("killed", 4)
    relays.has_all()

    assert not relays.siem.wrong
    check_order(relays.siem.ids)
    assert len(relays.siem.ids) > len(set(relays.siem.ids)), "a lost answer is a duplicate"
    events = {each["id"]: each for each in relays.siem.events}
    assert all(events[each["id"]] == each for each in relays.siem.events), "of the same content"
    types = {each["type"].removeprefix("dev.cabgate.") for each in relays.siem.events}
    assert {"request.opened", "request.underreview", "request.approved"} < types
    assert "request.autoapproved" in types
    people = {each["data"]["spec"]["author"]["username"] for each in relays.siem.events}
    assert "reviewer" in people


def prune(own, folder, options="", code=0):
    command = f"ledger prune --older-than 0 --out {folder}/pruned.jsonl {options}"
    return cabgate(own, "keeper", command, code)


def test_what_a_sink_has_not_acknowledged_is_not_pruned(own, auditor, relays, tmp_path):
    relays.start()
    create_namespace(own.cluster, "pruned")
    decide(own, "pruned")
    auditor.recorded("pruned", 4)
    relays.has_all()
    wait_until(lambda: "pruned 4" in own.get(*CURSORS)["data"]["siem"], "the position is kept")
    wait_until(lambda: "pruned 4" in own.get(*CURSORS)["data"]["log"], "and the other's")
    assert "--no-store" in prune(own, tmp_path, "--dry-run", code=2).stderr

    own.patch("admin", *CURSORS, {"data": {"other": ""}})
    # Of two reviews in one second the later is stamped with the next.
    lacking = "chain of pruned: sink other has not acknowledged record 3"
    wait_until(lambda: lacking in prune(own, tmp_path, "--no-store", code=1).stdout, lacking)
    own.patch("admin", *CURSORS, {"data": {"other": None}})
    going = prune(own, tmp_path, "--no-store --dry-run").stdout
    assert "chain of pruned: 3 records to prune, up to record 3" in going


def test_privileged_actions_are_in_the_audit_log_as_events(own, log, tmp_path):
    create_namespace(own.cluster, "guarded", ring="3")
    admin = ("boss", "label", "namespace", "guarded", "--overwrite")
    refused = ("requester", "label", "namespace", "guarded", "--overwrite", "cabgate.dev/ring=1")
    own.bind("requester", "edit", "guarded")
    assert own.kubectl(*refused, check=False).returncode != 0
    own.kubectl(*admin, "cabgate.dev/ring=2", "--dry-run=server")
    own.kubectl(*admin, "cabgate.dev/ring=4")
    own.kubectl(*admin, "cabgate.dev/ring=1", "cabgate.dev/mode=Enforce")
    own.kubectl("boss", "annotate", "riskmodel", "default", "example.com/note=x")
    own.create("boss", change_policy("board"))
    keygen = f"cabgate evidence keygen ci --key {tmp_path}/key --speaks-in guarded"
    own.create("boss", yaml.safe_load(own.shell("boss", keygen, CABGATE).stdout))
    checkpoints = ("configmap", "cabgate-ledger-checkpoints", "-n", "cabgate-system")
    own.kubectl("boss", "annotate", *checkpoints, "example.com/note=x")
    configuration = "validatingwebhookconfiguration"
    own.kubectl("boss", "create", "configmap", "other", "-n", "guarded")
    own.kubectl("boss", "annotate", configuration, "cabgate", "example.com/note=x")

    def mapped(form):
        command = f"audit map -f {log} --cluster prod --format {form}"
        found = [json.loads(line) for line in cabgate(own, "boss", command).stdout.splitlines()]
        assert all(checked(each).startswith("prod/_audit/") for each in found)
        return found

    last = re.compile(rf"boss.*\b{configuration}s\b.*cabgate")
    wait_until(lambda: last.search(log.read_text()), "the log has the last of them")
    by_boss = [each for each in mapped("ocsf") if each["actor"]["user"]["name"] == "boss"]
    assert [each["metadata"]["event_code"] for each in by_boss] == [
        "requirements-lowered",
        "risk-model-changed",
        "change-policy-changed",
        "signer-changed",
        "ledger-pruned",
        "admission-configuration-changed",
    ]
    lowered = by_boss[0]
    assert "metadata.labels[cabgate.dev/ring] from 4 to 1" in lowered["comment"]
    assert lowered["entity"]["name"] == "guarded"
    events = {each["id"]: each for each in mapped("cloudevents")}
    assert {each["metadata"]["uid"] for each in by_boss} <= set(events)
