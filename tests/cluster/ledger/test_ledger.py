# SPDX-License-Identifier: Apache-2.0
"""The ledger on the real API server: whole after every accident, and honest after every attack.

It has a cluster of its own, in which the second half of the tests removes webhooks and policies.
"""

import copy
import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from cabgate.ledger.chain import record_digest, record_name
from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent
from support.cli import CABGATE
from support.clients import client_of
from support.gate import install, paused
from support.ledger import HEADS, Etcd, auditing, decide
from support.namespaces import create_namespace
from support.operators import ENTRY_ARGV, may_lead_by
from support.reviews import OPERATOR

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def own():
    with DevCluster() as cluster:
        yield install(cluster)


@pytest.fixture(scope="module")
def auditor(own):
    with auditing(own, "auditor") as made:
        yield made


@pytest.fixture
def shop(own, request):
    """A namespace of ring 2."""
    return make_namespace(own, request.node.name.partition("[")[0].replace("_", "-")[5:50])


def make_namespace(gate, name):
    create_namespace(gate.cluster, name)
    return name


def test_the_heads_are_published(own, auditor, shop):
    decide(own, shop)
    auditor.recorded(shop, 4)
    wanted = auditor.published(shop)
    log = own.installation.operator.log
    line = f"ledger head of {shop}: {wanted}"
    wait_until(lambda: line in log.read_text(), "the log has the head")
    result = own.shell("auditor", "cabgate ledger verify", CABGATE)
    assert result.returncode == 0, result.stdout
    assert result.stdout.startswith("nothing is wrong: ")


def metric(gate, name):
    """The value of one of the operator's metrics without labels."""
    text = httpx.get(gate.installation.operator_url("/metrics"), timeout=60).text
    return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])


def at_rest(gate):
    """Return once an operator that was started anew has looked at all that there is."""

    def swept():
        return metric(gate, "cabgate_last_sweep_timestamp_seconds") > 0

    wait_until(swept, "it leads and has swept")
    # What its watches bring comes after that; this one is the last.
    marker = make_namespace(gate, f"marker-{next(_numbers)}")
    gate.open(marker, MIDDLING, "Submitted")
    wait_until(lambda: metric(gate, "cabgate_queue_depth") == 0, "nothing is left to do")


def heads_of_others_than_markers(gate):
    data = json.loads(gate.kubectl("auditor", *HEADS).stdout)["data"]
    return {name: head for name, head in data.items() if not name.startswith("marker-")}


def test_at_rest_nothing_is_written(own, auditor, shop):
    decide(own, shop)
    auditor.recorded(shop, 4)
    auditor.published(shop)
    before = heads_of_others_than_markers(own), auditor.records(shop)
    own.installation.operator.stop()
    own.installation.start_operator()
    at_rest(own)
    assert (heads_of_others_than_markers(own), auditor.records(shop)) == before


def test_nobody_but_the_operator_writes_the_ledger(own, auditor, shop):
    decide(own, shop)
    record = auditor.recorded(shop, 4)[1]
    name = record["metadata"]["name"]
    forged = copy.deepcopy(record)
    forged["metadata"] = {"name": record_name(shop, 5)}
    forged["spec"]["sequence"] = 5
    forged["spec"]["previousDigest"] = forged["spec"]["digest"]
    changed = copy.deepcopy(record)
    changed["spec"]["rationale"] = "other"
    patch = ("patch", "cabdecision", name, "--type=merge", "-p")
    for args, stdin in (
        (("create", "-f", "-"), forged),
        (("replace", "-f", "-"), changed),
        ((*patch, '{"spec":{"rationale":"other"}}'), None),
        ((*patch, '{"metadata":{"labels":{"a":"b"}}}'), None),
        ((*patch, '{"metadata":{"finalizers":["example.com/a"]}}'), None),
        (("annotate", "cabdecision", name, "a=b"), None),
        (("delete", "cabdecision", name), None),
        (("delete", "cabdecisions", "--all"), None),
        (("delete", "--raw", "/apis/cabgate.dev/v1alpha1/cabdecisions"), None),
    ):
        message = own.refused("admin", *args, stdin=json.dumps(stdin) if stdin else None)
        assert "a CABDecision is a record of the ledger" in message or "never changes" in message
    own.kubectl("admin", *patch, "{}")  # a write that changes nothing
    misnamed = {**forged, "metadata": {"name": f"{shop}.5"}}
    message = own.refused(OPERATOR, "create", "-f", "-", stdin=json.dumps(misnamed))
    assert "is named after its place in the chain" in message
    unlinked = copy.deepcopy(forged)
    del unlinked["spec"]["previousDigest"]
    message = own.refused(OPERATOR, "create", "-f", "-", stdin=json.dumps(unlinked))
    assert "names the digest of the one before it" in message
    assert len(auditor.records(shop)) == 4
    assert auditor.verify()["clean"]


def free_lease(gate):
    """Give back the Lease of an operator that was killed: the next need not wait until it ends."""
    body = {"spec": {"holderIdentity": ""}}
    gate.patch("admin", "lease", "cabgate-operator", "cabgate-system", body)


def test_killed_at_any_moment_it_neither_loses_nor_doubles(own, auditor, shop):
    account = own.cluster.service_account("cabgate-system", "cabgate-operator")
    own.installation.operator.kill()
    free_lease(own)
    names = []
    for life, writes in enumerate((1, 4, 2, 7, 5, 3)):
        for number in range(2):
            name = f"app-{life}-{number}"
            own.apply("requester", intent(shop, name=name, evidence=[GOOD, MIDDLING][number]))
            names.append(name)
        argv = [*ENTRY_ARGV, "--die-after", str(writes)]
        process = own.cluster.spawn(f"life-{life}", argv, env={"KUBECONFIG": str(account)})
        assert process.wait(120), process.tail(20)
        free_lease(own)
    own.installation.start_operator()
    for name in names:
        own.request_of(shop, name)
    own.review("reviewer", "cabrequest", own.request_of(shop, "app-0-1")["metadata"]["name"], shop,
               "Rejected")  # fmt: skip
    auditor.wait_complete(shop)
    assert len(auditor.decisions(shop)) == 7
    assert auditor.codes(shop) == set()


def test_two_writers_cannot_fork_a_chain(own, auditor, shop):
    """Two that both lead, which no Lease allows: a place is taken once, and who comes second reads
    the chain anew."""
    account, port = may_lead_by(own, "second"), own.cluster.free_port()
    argv = [*ENTRY_ARGV, "--lease", "second"]
    first = own.installation.operator
    second = own.installation.start_operator_replica("second-operator", port, argv, account)
    try:
        for number in range(6):
            own.apply("requester", intent(shop, name=f"app-{number}"))
        for number in range(6):
            own.request_of(shop, f"app-{number}", "AutoApproved")
        auditor.recorded(shop, 6)
        # Each goes on where the other one wrote last.
        for count, (stopped, name) in enumerate([(first, "by-second"), (second, "by-first")], 7):
            with paused(stopped):
                own.open(shop, GOOD, "AutoApproved", name=name)
                auditor.recorded(shop, count)
        auditor.wait_complete(shop)
    finally:
        second.kill()
    assert auditor.codes(shop) == set()


def test_rotated_keys_keep_old_signatures_good(own, auditor, shop):
    name = own.open(shop, MIDDLING, "Submitted")
    auditor.submission(shop, name)
    own.review("reviewer", "cabrequest", name, shop, "UnderReview")
    own.installation.add_signing_key()
    own.installation.webhook.stop()
    own.installation.start_webhook()
    own.review("reviewer", "cabrequest", name, shop, "Approved")
    records = auditor.recorded(shop, 3)[1:]
    assert len({record["spec"]["signature"]["keyID"] for record in records}) == 2
    report = auditor.verify()
    assert report["clean"]
    assert {record["spec"]["signature"]["keyID"] for record in records} <= set(report["keys"])


def test_a_chain_outlives_its_namespace_and_goes_on(own, auditor, shop):
    decide(own, shop)
    before = auditor.recorded(shop, 4)
    own.cluster.kubectl("delete", "namespace", shop, "--timeout=60s")
    assert auditor.records(shop) == before
    assert auditor.codes(shop) == set()
    make_namespace(own, shop)
    own.open(shop, GOOD, "AutoApproved")
    after = auditor.recorded(shop, 5)
    assert after[4]["spec"]["previousDigest"] == before[3]["spec"]["digest"]
    assert auditor.codes(shop) == set()


def test_what_was_decided_is_recorded_although_the_object_is_gone(own, auditor, shop):
    """An exception that its team deletes at once: what the watch saw last is recorded."""
    bad = own.open(shop, BAD, "ExceptionRequired")
    own.create("requester", exception(shop, bad))
    own.wait_state("cabexception", "leave", shop, "Pending")
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/{shop}/cabexceptions/leave"
    review = {"status": {"review": {"verdict": "Approved", "rationale": "now"}}}
    patch = {"headers": {"Content-Type": "application/merge-patch+json"}}
    with client_of(own.user("security")) as security, client_of(own.user("requester")) as team:
        for each in (security, team):
            each.get(path).raise_for_status()  # connections that are there already
        # In less time than its Lease holds: it is its watch that goes on.
        with paused(own.installation.operator):
            security.patch(f"{path}/status", content=json.dumps(review), **patch).raise_for_status()
            team.delete(path).raise_for_status()
    wait_until(lambda: auditor.decisions(shop), "the decision is recorded")
    assert [each["spec"]["verdict"] for each in auditor.decisions(shop)] == ["Approved"]


# With webhooks and policies gone


VICTIMS = ("edited", "rebuilt", "swapped", "forged", "changed", "keys", "cut", "shrunk")


@pytest.fixture(scope="module")
def bare(own, auditor):
    """The cluster after an admin has removed webhooks and policies, with a ledger to attack."""
    for user in ("requester", "reviewer"):
        own.user(user)  # the threads would make them all at once
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: decide(own, make_namespace(own, name)), VICTIMS))
    for name in VICTIMS:
        auditor.recorded(name, 4)
    make_namespace(own, "ending")
    bad = own.open("ending", BAD, "ExceptionRequired")
    auditor.submission("ending", bad)
    own.create("requester", exception("ending", bad, durationDays=1))
    auditor.submission("ending", "leave")
    own.review("security", "cabexception", "leave", "ending", "Approved")
    auditor.recorded("ending", 3)
    for name in (*VICTIMS, "ending"):
        auditor.published(name)
    assert auditor.verify()["clean"]
    (own.cluster.directory / "heads.json").write_text(own.kubectl("auditor", *HEADS).stdout)
    own.installation.remove_admission()
    own.kubectl("admin", "delete", "validatingadmissionpolicybindings", "--all")
    probe = ("annotate", "cabdecision", record_name("edited", 1), "a=b", "--dry-run=server")
    wait_until(lambda: own.kubectl("admin", *probe), "the policies are gone")
    return own


def recreate(gate, *records):
    """Delete records and create others of the same name, as an admin."""
    for record in records:
        gate.kubectl("admin", "delete", "cabdecision", record["metadata"]["name"])
    for record in records:
        body = {**record, "metadata": {"name": record["metadata"]["name"]}}
        gate.kubectl("admin", "create", "-f", "-", stdin=json.dumps(body))


def test_an_edited_record_is_found(bare, auditor):
    records = auditor.records("edited")
    records[1]["spec"]["author"]["username"] = "somebody-else"
    recreate(bare, records[1])
    found = auditor.codes("edited")
    assert {"ChangedRecord", "WrongSignature", "SubjectDiffers"} <= found


def test_an_edited_record_with_the_chain_rebuilt_behind_it_is_found(bare, auditor):
    records = auditor.records("rebuilt")
    records[1]["spec"]["rationale"] = "looked at twice"
    previous = records[0]["spec"]["digest"]
    for record in records[1:]:
        record["spec"]["previousDigest"] = previous
        previous = record["spec"]["digest"] = record_digest(record["spec"])
    recreate(bare, *records[1:])
    assert auditor.codes("rebuilt") == {"WrongSignature", "SubjectDiffers", "HeadGone"}


def test_swapped_records_are_found(bare, auditor):
    _, first, second, _ = auditor.records("swapped")
    first["spec"], second["spec"] = second["spec"], first["spec"]
    recreate(bare, first, second)
    assert {"Misnamed"} <= auditor.codes("swapped")


def test_an_approval_past_the_webhook_is_recorded_and_found(bare, auditor):
    name = bare.request_of("forged")["metadata"]["name"]
    entries = bare.get("cabrequest", name, "forged")["status"]["decisions"]
    entry = {**entries[-1], "sequence": 3, "verdict": "Revoked"}
    del entry["signature"]
    body = {"status": {"decisions": [*entries, entry], "state": "Revoked"}}
    bare.patch_status("admin", "cabrequest", name, "forged", body, check=True)
    auditor.recorded("forged", 5)
    assert auditor.codes("forged") == {"Unsigned"}


def test_a_changed_request_is_found(bare, auditor):
    """The schema holds a request's past; whoever may change the schema can change that too."""
    name = bare.request_of("changed")["metadata"]["name"]
    found = bare.get("cabrequest", name, "changed")
    bare.installation.operator.pause()
    bare.kubectl("admin", "delete", "cabrequest", name, "-n", "changed")
    body = {k: v for k, v in found.items() if k != "status"}
    body["metadata"] = {k: found["metadata"][k] for k in ("name", "namespace", "labels")}
    body["spec"] = copy.deepcopy(found["spec"])
    body["spec"]["targets"][0]["images"] = ["evil:1"]
    bare.kubectl("admin", "create", "-f", "-", stdin=json.dumps(body))
    bare.patch_status(
        "admin", "cabrequest", name, "changed", {"status": found["status"]}, check=True
    )
    bare.installation.operator.resume()
    assert "WrongAssessment" in auditor.codes("changed")
    # Its signatures are of another object: the uid is another.
    wait_until(lambda: "WrongSignature" in auditor.codes("changed"), "they are recorded")


@pytest.mark.etcd
def test_records_changed_in_etcd_are_found(bare, auditor):
    etcd = Etcd(bare.cluster)
    key = b"/registry/cabgate.dev/cabdecisions/keys.%08d"
    record = etcd.read(key % 2)
    record["spec"]["rationale"] = "changed in etcd"
    etcd.call("put", key=key % 2, value=json.dumps(record).encode())
    wait_until(lambda: "ChangedRecord" in auditor.codes("keys"), "the changed record is found")
    etcd.call("deleterange", key=key % 1)
    wait_until(lambda: "MissingRecord" in auditor.codes("keys"), "the missing one is found")
    # One that cannot be read stops nothing: the chain goes on behind it.
    record = etcd.read(key % 4)
    for field in ("sequence", "digest", "author"):
        del record["spec"][field]
    etcd.call("put", key=key % 4, value=json.dumps(record).encode())
    wait_until(lambda: "Unreadable" in auditor.codes("keys"), "the unreadable one is found")
    bare.installation.operator.stop()
    bare.installation.start_operator()
    bare.open("keys", GOOD, "AutoApproved", name="later", images=("web:7",))
    wait_until(
        lambda: record_name("keys", 6) in {r["metadata"]["name"] for r in auditor.named("keys")},
        "the chain goes on, and what was in it is recorded anew",
    )


def test_a_cut_is_found_by_a_copy_of_the_heads(bare, auditor):
    """The last record deleted and the published head made to fit: only a copy can tell."""
    records = auditor.records("cut")
    own = records[3]["spec"]["subject"]
    bare.kubectl("admin", "delete", "cabdecision", records[3]["metadata"]["name"])
    assert "HeadGone" in auditor.codes("cut")
    bare.kubectl("admin", "delete", "deploymentintent", "other", "-n", "cut")
    bare.kubectl("admin", "delete", "cabrequest", own["name"], "-n", "cut")
    last = records[2]["spec"]
    patch = {"data": {"cut": f"{last['sequence']} {last['digest']}"}}
    bare.patch("admin", "configmap", "cabgate-ledger-heads", "cabgate-system", patch)
    assert auditor.codes("cut") == set()
    copied = bare.cluster.directory / "heads.json"
    assert auditor.codes("cut", "--heads", copied) == {"HeadGone"}


def test_the_operator_does_not_close_the_gap_of_a_cut(bare, auditor):
    bare.kubectl("admin", "delete", "cabdecision", record_name("shrunk", 4))
    bare.installation.operator.stop()
    bare.installation.start_operator()
    again = auditor.recorded("shrunk", 4)[-1]
    assert again["metadata"]["name"] == record_name("shrunk", 5)
    assert again["spec"]["verdict"] == "AutoApproved"
    assert "MissingRecord" in auditor.codes("shrunk")


def test_the_end_of_an_exception_is_recorded(bare, auditor):
    bare.installation.operator.stop()
    bare.cluster.spawn(
        "later-operator",
        [*ENTRY_ARGV, "--clock-shift", str(2 * 86400)],
        env={"KUBECONFIG": str(bare.cluster.service_account("cabgate-system", "cabgate-operator"))},
    )
    records = auditor.recorded("ending", 4)
    seen = [record["spec"]["verdict"] for record in records]
    assert seen == ["Opened", "Asked", "Approved", "Expired"]
    assert auditor.codes("ending") == set()
