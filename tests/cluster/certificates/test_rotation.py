# SPDX-License-Identifier: Apache-2.0
"""Certificates change, replicas come and go, and no admission fails of it: two real webhooks behind
a balancer, an operator that manages their certificates, a steady load."""

import itertools
import json
import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509

from cabgate.ledger.signatures import SigningKeys
from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.installation import NAMESPACE
from cabgate_kube.tls.rotate import read_certificates
from cabgate_samples.objects import GOOD, MIDDLING, workload
from support.load import Load
from support.replicas import TIMES, read_secret, running

SHORT = {**TIMES, "leaf": 60, "authority": 120, "backdate": 0}
"""Seconds: of a CA two certificates can be had, the second of which ends with it."""

CONFIGURATIONS = ("validatingwebhookconfiguration", "mutatingwebhookconfiguration")


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running_cluster:
        yield running_cluster


@pytest.fixture(scope="module")
def gate(cluster):
    with running(cluster, operators=2) as installed:
        yield installed


@pytest.fixture
def load(request, gate, namespace):
    """Admissions without end, of a rollout that is approved: fifteen a second, or as the test
    says."""
    gate.open(namespace, GOOD, "AutoApproved")
    pause = getattr(request, "param", 0.1)
    with Load(gate.user("requester"), workload(namespace), pause=pause) as running_load:
        wait_until(lambda: running_load.count > 20, "the load runs")
        assert running_load.failures == []
        yield running_load


def bundles(cluster):
    """The certificates that each entry of each configuration trusts."""
    found = []
    for kind in CONFIGURATIONS:
        for webhook in cluster.api.get(kind, "cabgate")["webhooks"]:
            pem = ssl_text(webhook["clientConfig"].get("caBundle", ""))
            found.append({each.pem for each in read_certificates(pem)})
    return found


def ssl_text(encoded):
    import base64

    return base64.b64decode(encoded).decode()


def served(port):
    """The certificate that a webhook shows to new connections, PEM."""
    der = ssl.get_server_certificate(("127.0.0.1", port), timeout=60)
    return der.strip()


def serves(gate, secret):
    """Whether every webhook serves what a Secret holds."""
    wanted = secret["tls.crt"].decode().strip()
    return all(served(port) == wanted for port, _ in gate.installation.backends)


def test_an_installation_makes_its_keys_and_never_replaces_them(gate, cluster, namespace):
    private = read_secret(cluster, "cabgate-signing-key")["key.pem"].decode()
    proof = read_secret(cluster, "cabgate-admission-proof")["token"]
    key_id = SigningKeys(private).key_id
    found = cluster.kubectl(
        *("get", "configmap", "cabgate-signing-keys", "-n", NAMESPACE, "-o", "json")
    )
    assert list(json.loads(found.stdout)["data"]) == [f"{key_id}.pem"]
    name = gate.open(namespace, MIDDLING, "Submitted")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    entry = gate.get("cabrequest", name, namespace)["status"]["decisions"][-1]
    assert entry["signature"]["keyID"] == key_id
    gate.installation.stop_managing()
    gate.installation.start_managing()
    gate.open(namespace, GOOD, "AutoApproved", name="other")  # it works again
    assert read_secret(cluster, "cabgate-signing-key")["key.pem"].decode() == private
    assert read_secret(cluster, "cabgate-admission-proof")["token"] == proof
    data = cluster.kubectl(
        *("get", "configmap", "cabgate-signing-keys", "-n", NAMESPACE, "-o", "json")
    )
    assert list(json.loads(data.stdout)["data"]) == [f"{key_id}.pem"]


def test_the_operator_cannot_read_the_signing_key(gate, cluster):
    operator = f"system:serviceaccount:{NAMESPACE}:cabgate-operator"
    secrets = ("cabgate-signing-key", "cabgate-admission-proof")
    for verb, name in itertools.product(("get", "update", "delete"), secrets):
        refused = gate.kubectl(
            *(operator, "auth", "can-i", verb, f"secret/{name}", "-n", NAMESPACE), check=False
        )
        assert refused.stdout.strip() == "no", (verb, name)
    listed = gate.kubectl(operator, "get", "secrets", "-n", NAMESPACE, check=False)
    assert "Forbidden" in listed.stderr


def test_the_certificate_is_for_the_name_that_the_api_server_calls(cluster):
    leaf = read_secret(cluster, "cabgate-webhook-tls")
    found = x509.load_pem_x509_certificate(leaf["tls.crt"])
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_lost_certificate_is_signed_again_and_no_admission_fails(gate, cluster, load):
    before = read_secret(cluster, "cabgate-webhook-tls")
    trusted = bundles(cluster)
    cluster.kubectl("delete", "secret", "cabgate-webhook-tls", "-n", NAMESPACE)
    after = wait_until(lambda: read_secret(cluster, "cabgate-webhook-tls"), "it is back")
    assert after["tls.crt"] != before["tls.crt"]
    assert after["ca.crt"] == before["ca.crt"]
    wait_until(lambda: serves(gate, after), "both webhooks serve it")
    renew_connections(gate)
    assert bundles(cluster) == trusted
    assert load.failures == []


def test_a_new_ca_takes_over_and_no_admission_fails(gate, cluster, load):
    before = read_secret(cluster, "cabgate-webhook-tls")
    old = before["ca.crt"].decode()
    cluster.kubectl("delete", "secret", "cabgate-webhook-ca", "-n", NAMESPACE)
    new = wait_until(lambda: read_secret(cluster, "cabgate-webhook-ca"), "it is made anew")[
        "ca.crt"
    ].decode()
    assert new != old
    wait_until(lambda: all(each == {old, new} for each in bundles(cluster)), "both trusted")
    after = wait_until(
        lambda: (
            (found := read_secret(cluster, "cabgate-webhook-tls"))["ca.crt"].decode() == new
            and found
        ),
        "the new one has signed",
    )
    assert all(each == {old, new} for each in bundles(cluster)), "the old one is still served"
    wait_until(lambda: serves(gate, after), "both webhooks serve it")
    renew_connections(gate)
    wait_until(lambda: all(each == {new} for each in bundles(cluster)), "the old one is gone")
    renew_connections(gate)
    assert load.failures == []


def test_a_ca_bundle_that_somebody_emptied_is_written_again(gate, cluster, namespace):
    before = bundles(cluster)
    for kind in CONFIGURATIONS:
        patch = [{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]
        cluster.kubectl("patch", kind, "cabgate", "--type=json", "-p", json.dumps(patch))
    wait_until(lambda: bundles(cluster) == before, "it is written again")


def test_a_rolling_restart_under_load_fails_no_admission(gate, load):
    for _ in range(2):
        renew_connections(gate)
        goes_on(load)
    assert load.failures == []


@pytest.fixture
def short_lived(gate, cluster):
    """A CA and a certificate of a minute or two, in service; the Secret of the certificate."""
    installation = gate.installation
    installation.stop_managing()
    for name in ("cabgate-webhook-ca", "cabgate-webhook-tls"):
        cluster.kubectl("delete", "secret", name, "-n", NAMESPACE)
    installation.times = SHORT
    installation.start_managing()
    made = wait_until(lambda: read_secret(cluster, "cabgate-webhook-tls"), "it is signed")
    wait_until(lambda: serves(gate, made), "both webhooks serve it")
    yield made
    installation.stop_managing()
    installation.times = TIMES
    installation.start_managing()


# For two minutes, and what ends with a certificate stays so: a few a second find it.
@pytest.mark.parametrize("load", [0.5], indirect=True)
def test_they_are_renewed_before_they_end_and_no_admission_fails(gate, cluster, load, short_lived):
    installation = gate.installation
    over = end_of(short_lived["ca.crt"])
    generations, killed = [short_lived], None
    # Past the end of the first CA, and connecting anew all the time.
    while datetime.now(UTC) < over or len(generations) < 3:
        renew_connections(gate)
        found = read_secret(cluster, "cabgate-webhook-tls")
        if found != generations[-1]:
            assert begin_of(found["tls.crt"]) < end_of(generations[-1]["tls.crt"])
            generations.append(found)
        if len(generations) == 2 and killed is None:
            killed = wait_until(installation.leading, timeout=60.0, what="one of them leads")
            installation.operators[killed].kill()
        assert load.failures == []
        goes_on(load, 15)  # the other tests have the processor meanwhile
    first, second, third = generations[:3]
    assert end_of(first["tls.crt"]) < over
    assert first["ca.crt"] == second["ca.crt"] != third["ca.crt"], "first the one, then both"
    leader = wait_until(installation.leading, "one of them leads")
    assert leader != killed, "the other one renewed"
    old = short_lived["ca.crt"].decode()
    wait_until(lambda: all(old not in each for each in bundles(cluster)), "the old CA is gone")
    renew_connections(gate)
    assert load.failures == []


def begin_of(pem):
    """When a certificate begins."""
    return x509.load_pem_x509_certificate(pem).not_valid_before_utc


def end_of(pem):
    """When a certificate ends."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def goes_on(load, more=30):
    """Wait for some more admissions."""
    before = load.count
    wait_until(lambda: load.count > before + more, "the load goes on")


def renew_connections(gate):
    """Restart the webhooks one by one, so that the API server connects anew."""
    for backend in gate.installation.backends:
        assert gate.installation.stop_replica(backend) == 0
        gate.installation.start_replica(backend)
