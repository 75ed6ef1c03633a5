# SPDX-License-Identifier: Apache-2.0
"""The real relay beside a real API server, as the service account that its page gives it: people
are notified by Slack, Teams, a program and mail, whatever is killed or away, and of each thing
once."""

import itertools
import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.chart import manifests
from cabgate_samples.objects import BAD, MIDDLING, exception, intent
from support.freezes import freeze, interval
from support.gate import install
from support.namespaces import create_namespace
from support.policies import change_policy
from support.prometheus import Course, Rules, scrape
from support.receivers import LOOPBACK, SECRET, Authority, HttpReceiver, Mailbox

ACCOUNT = "system:serviceaccount:cabgate-system:cabgate-relay"
ROLES = Path(__file__).resolve().parents[3] / "examples" / "relay"
ENTRY = Path(__file__).resolve().parents[2] / "support" / "notifying_entry.py"
LEASE = ("lease", "cabgate-relay", "cabgate-system")
SENT = ("configmap", "cabgate-notifications", "cabgate-system")
RUNBOOKS = "https://git.example.com/alerts.md"
VALUES = {
    "relay": {
        "enabled": True,
        "cluster": "prod",
        "store": {"secret": "event-store"},
        "notifications": {"secret": "channels"},
    },
    "monitoring": {"prometheusRule": {"enabled": True, "runbooks": RUNBOOKS}},
}
KILLS = int(os.environ.get("NOTIFICATION_KILLS", "4"))
ALERT = "CabgateRelayNotificationsFailing"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def own():
    with DevCluster() as cluster:
        gate = install(cluster)
        for name in ("roles.yaml", "notifications.yaml"):
            cluster.kubectl("apply", "-f", "-", stdin=(ROLES / name).read_text())
        _, name, namespace = LEASE
        made = ("create", "-f", "-")  # as the chart has it: one that is absent is waited for
        metadata = {"name": name, "namespace": namespace}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        cluster.kubectl(*made, stdin=json.dumps(lease))
        yield gate


class Relay:
    """A relay whose channels are a program, Slack, Teams and mail, one process at a time."""

    def __init__(self, gate, folder, receiver, mailbox):
        self.gate, self.folder, self.receiver, self.mailbox = gate, folder, receiver, mailbox
        self._port = gate.cluster.free_port()
        self._process = None

    def configure(self, *namespaces):
        """Write the file of channels, which are for some namespaces."""
        (self.folder / "secret").write_text(SECRET)
        (self.folder / "password").write_text(Mailbox.PASSWORD)
        (self.folder / "url").write_text(f"{self.receiver.url}/slack")
        (self.folder / "workflow").write_text(f"{self.receiver.url}/teams?sig=hush")
        smtp = {
            "host": "localhost",
            "port": self.mailbox.port,
            "username": "cabgate",
            "passwordFile": "password",
            "from": "cabgate@example.com",
            "to": ["cab@example.com"],
        }
        kinds = {
            "program": {"webhook": {"url": f"{self.receiver.url}/hook", "secretFile": "secret"}},
            "slack": {"slack": {"urlFile": "url"}},
            "teams": {"teams": {"urlFile": "workflow"}},
            "mail": {"smtp": smtp},
        }
        common = {
            "namespaces": list(namespaces),
            "allowedAddresses": LOOPBACK,
            "caFile": "ca.crt",
        }
        channels = [{"name": name, **kind, **common} for name, kind in kinds.items()]
        content = {"portal": "https://cab.example.com", "channels": channels}
        (self.folder / "channels.yaml").write_text(yaml.safe_dump(content))

    def start(self, window=0.5):
        """Start a process, and wait until it leads."""
        before = self.leader
        argv = [sys.executable, ENTRY, "--window", str(window)]
        argv += ["--health-port", str(self._port)]
        argv += ["--notifications", self.folder / "channels.yaml"]
        store = f"sqlite:///{self.folder}/events.db"
        env = {"KUBECONFIG": str(self.gate.user(ACCOUNT)), "CABGATE_STORE": store}
        name = f"relay-{next(_numbers)}"
        self._process = self.gate.cluster.spawn(name, argv, env=env)
        wait_until(lambda: self.leader not in ("", before), "it leads", timeout=60)

    @property
    def leader(self):
        """Who holds the Lease; empty if nobody does."""
        lease = self.gate.cluster.api.get(*LEASE)
        return (lease.get("spec") or {}).get("holderIdentity") or ""

    def kill(self):
        """Kill it, and give its Lease back: the next need not wait until it ends."""
        if self._process is not None:
            self._process.kill()
            kind, *where = LEASE
            self.gate.patch("admin", kind, *where, {"spec": {"holderIdentity": ""}})
        self._process = None

    def named(self):
        """What the program was sent: event and name of each."""
        sent = [notice for body in self.receiver.programs for notice in body["data"]["notices"]]
        return [(each["event"], each["name"]) for each in sent]

    def arrives(self, *expected):
        """Wait until the program was sent something."""
        wait_until(lambda: set(self.named()) >= set(expected), f"{expected} arrive", timeout=60)

    def everybody_has(self, count):
        """Wait until Slack, Teams and the mailbox were sent so many messages."""
        for what, sent in (
            ("mail", self.mailbox.mails),
            ("Slack", self.receiver.slack),
            ("Teams", self.receiver.teams),
        ):
            wait_until(lambda sent=sent: len(sent) >= count, f"{what} has {count}")

    def scrape(self):
        """What Prometheus has after it asked."""
        return scrape({"cabgate-relay-1": f"http://127.0.0.1:{self._port}"})


@pytest.fixture
def relay(own, tmp_path):
    authority = Authority(tmp_path)
    with HttpReceiver(authority) as receiver, Mailbox(authority) as mailbox:
        made = Relay(own, tmp_path, receiver, mailbox)
        yield made
        made.kill()
        assert not receiver.wrong


def test_a_request_is_told_of_when_it_is_opened_and_when_it_is_decided(own, relay):
    create_namespace(own.cluster, "told")
    create_namespace(own.cluster, "elsewhere")
    relay.configure("told")
    relay.start()
    own.open("elsewhere", MIDDLING, "Submitted")
    name = own.open("told", MIDDLING, "Submitted")
    relay.arrives(("waiting", name))
    relay.everybody_has(1)
    own.review("reviewer", "cabrequest", name, "told", "Approved")
    relay.arrives(("decided", name))
    risky = own.open("told", BAD, "ExceptionRequired", name="risky")
    relay.arrives(("waiting", risky))
    own.declare("requester", exception("told", risky, name="leave"))
    relay.arrives(("exceptionWaiting", "leave"))
    relay.everybody_has(4)
    sent = relay.mailbox.mails, relay.receiver.slack, relay.receiver.teams
    assert [len(each) for each in sent] == [4, 4, 4]
    assert set(Counter(relay.named()).values()) == {1}

    every = json.dumps([relay.receiver.slack, relay.receiver.teams, relay.receiver.programs])
    every += "".join(mail.get_content() for mail in relay.mailbox.mails)
    assert "elsewhere" not in every, "the channels are for another namespace"
    first = relay.mailbox.mails[0].get_content()
    assert f"kubectl cab show {name} -n told" in first
    assert "https://cab.example.com/" in first
    rationale = own.get("cabrequest", name, "told")["status"]["decisions"][0]["rationale"]
    assert rationale
    assert rationale not in every
    stored = own.cluster.api.get(*SENT)["data"]
    assert set(stored) == {"program", "slack", "teams", "mail"}


def test_what_a_freeze_keeps_back_is_told_of_with_its_end(own, relay):
    create_namespace(own.cluster, "frozen")
    own.create("admin", change_policy("board", {"count": 1, "verb": "approve"}))
    own.kubectl("admin", "label", "namespace", "frozen", "cabgate.dev/change-policy=board")
    held = freeze("christmas", interval(now=datetime.now(UTC)))
    own.create("admin", held)
    relay.configure("frozen")
    relay.start()
    name = own.open("frozen", MIDDLING, "Submitted")
    relay.arrives(("waiting", name))  # what is decided before a channel is there is no news to it
    own.review("reviewer", "cabrequest", name, "frozen", "Approved")
    relay.arrives(("decided", name), ("frozen", name))
    [sent] = [each for each in relay.receiver.programs if each["type"] == "cabgate.frozen"]
    end = held["spec"]["intervals"][0]["until"]
    detail = f"approved, frozen by ChangeFreeze christmas until {end}"
    assert [each["detail"] for each in sent["data"]["notices"]] == [detail]


def test_what_is_killed_loses_nothing_and_repeats_one_message_at_most(own, relay, capsys):
    create_namespace(own.cluster, "killed")
    relay.configure("killed")
    kills = KILLS
    for number in range(kills):
        relay.start(window=0.2)
        own.declare("requester", intent("killed", name=f"app-{number}", evidence=MIDDLING))
        if number % 2:
            name = own.request_of("killed", f"app-{number}", "Submitted")["metadata"]["name"]
            relay.arrives(("waiting", name))
        relay.kill()
    relay.start()
    names = {
        own.request_of("killed", f"app-{number}", "Submitted")["metadata"]["name"]
        for number in range(kills)
    }
    relay.arrives(*(("waiting", name) for name in names))
    assert {name for _, name in relay.named()} == names
    messages = len(relay.receiver.programs)
    keys = [frozenset(each["key"] for each in body["data"]["notices"])
            for body in relay.receiver.programs]  # fmt: skip
    repeated = sum(1 for n in range(messages) if any(keys[n] & other for other in keys[:n]))
    assert repeated <= kills
    if "NOTIFICATION_KILLS" in os.environ:
        with capsys.disabled():
            sys.stdout.write(f"\n{kills} kills: none lost, {repeated} messages came twice\n")


def test_many_at_once_are_a_few_messages_and_a_channel_that_is_down_is_alerted_of(
    own, relay, tmp_path
):
    create_namespace(own.cluster, "many")
    relay.configure("many")
    count = 20
    many = [intent("many", name=f"app-{n}", evidence=MIDDLING) for n in range(count)]
    own.apply("requester", {"apiVersion": "v1", "kind": "List", "items": many})
    # Before it looks: how many come within its window else depends on how fast the machine is.
    wait_until(lambda: len(own.items("cabrequests", "many")) == count, "all of them are open")
    relay.start(window=2)
    wait_until(lambda: len(set(relay.named())) == count, "all of them are sent", timeout=60)
    assert set(Counter(relay.named()).values()) == {1}
    assert len(relay.receiver.programs) <= count // 3
    failing = "cabgate_relay_notifications_failing"
    pending = "cabgate_relay_notifications_pending"

    def when(channel, value):
        def found():
            scraped = relay.scrape()
            rates = (scraped.of(failing, channel=channel), scraped.of(pending, channel=channel))
            return scraped if rates == ([float(value)], [float(value)]) else None

        return wait_until(found, f"{channel}: {value}", timeout=60)

    for channel in ("program", "mail"):
        before = when(channel, 0)
    relay.receiver.away = True
    name = own.open("many", BAD, "ExceptionRequired", name="risky")
    wait_until(lambda: len(relay.mailbox.mails) > 1, "the mail still arrives", timeout=60)
    first = last = when("program", 1)
    when("slack", 1)
    relay.receiver.away = False
    relay.arrives(("waiting", name))
    when("program", 0)
    rules = rules_of(tmp_path)
    assert "SUCCESS: 1 rules found" in rules.check()
    rules.check_course(Course(before, first, last), {14: (), 16: (ALERT,), 90: (ALERT,)})


def rules_of(folder):
    """The rule of the chart about channels, for one of them."""
    (found,) = (each["spec"] for each in manifests(VALUES) if each["kind"] == "PrometheusRule")
    (group,) = found["groups"]
    group["rules"] = [each for each in group["rules"] if each["alert"] == ALERT]
    made = folder / "rules"
    made.mkdir(exist_ok=True)
    return Rules(found, made)


def test_its_service_account_may_write_nothing_but_what_it_sent(own):
    rules = [
        rule
        for each in yaml.safe_load_all((ROLES / "notifications.yaml").read_text())
        for rule in each.get("rules", ())
    ]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch", "update"}
    for question in (
        "get secrets -A",
        "list configmaps -A",
        "update cabrequests -A",
        "update cabrequests/status -A",
        "create configmaps -n cabgate-system",
        "update configmaps/cabgate-ledger-heads -n cabgate-system",
        "delete configmaps/cabgate-notifications -n cabgate-system",
    ):
        asked = own.kubectl(ACCOUNT, "auth", "can-i", *question.split(), check=False)
        assert asked.stdout.strip() == "no", question
