# SPDX-License-Identifier: Apache-2.0
"""The serving certificate follows its files; what cannot be used changes nothing."""

import ssl
import warnings
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cabgate_devcluster.clients.pki import Authority
from cabgate_kube.clock import utc_now
from cabgate_kube.tls.serve import CertificateError, Files, ServingCertificate
from support.tls import handshake, turn

ONE, TWO = Authority("one"), Authority("two")


def pair(authority=ONE):
    made = authority.server("webhook")
    return {"tls.crt": made.cert_pem, "tls.key": made.key_pem}


class Mounted:
    """A mounted Secret, and what is served from it."""

    def __init__(self, folder, client_ca=None):
        self.folder = folder
        self.now = utc_now()
        self.failures = 0
        self.turn(pair(), client_ca)
        ca = None if client_ca is None else folder / "ca.crt"
        files = Files(folder / "tls.crt", folder / "tls.key", ca)
        self.serving = ServingCertificate(files, lambda: self.now, self._failed)

    def turn(self, files, client_ca=None):
        turn(self.folder, files if client_ca is None else {**files, "ca.crt": client_ca})

    def connect(self, *authorities, identity=None, versions=()):
        client = ssl.create_default_context(
            cadata="".join(a.cert_pem.decode() for a in authorities or (ONE,))
        )
        if versions:
            client.set_ciphers("DEFAULT@SECLEVEL=0")  # or it would not even ask
            client.minimum_version, client.maximum_version = versions
        if identity is not None:
            file = self.folder.parent / "identity.pem"
            file.write_bytes(identity.cert_pem + identity.key_pem)
            client.load_cert_chain(file)
        return handshake(self.serving.context, client)

    def served(self, *authorities):
        """The certificate that a new connection is shown."""
        return self.connect(*authorities).getpeercert(binary_form=True)

    def _failed(self):
        self.failures += 1


@pytest.fixture
def mounted(tmp_path):
    return Mounted(tmp_path / "tls")


def der(files):
    return x509.load_pem_x509_certificate(files["tls.crt"]).public_bytes(serialization.Encoding.DER)


def test_a_changed_pair_is_served_to_new_connections_and_old_ones_go_on(mounted):
    old = mounted.connect()
    new = pair(TWO)
    mounted.turn(new)
    assert mounted.serving.look()
    assert mounted.served(TWO) == der(new)
    with pytest.raises(ssl.SSLCertVerificationError):
        mounted.connect(ONE)
    assert old.getpeercert(binary_form=True) != der(new)
    assert mounted.failures == 0


def test_nothing_changed_is_nothing_done(mounted):
    before = mounted.served()
    assert not mounted.serving.look()
    same = {name: (mounted.folder / name).read_bytes() for name in ("tls.crt", "tls.key")}
    mounted.turn(same)
    assert not mounted.serving.look()
    assert mounted.served() == before


def encrypted():
    made = pair()
    key = serialization.load_pem_private_key(made["tls.key"], None)
    hidden = serialization.BestAvailableEncryption(b"secret")
    made["tls.key"] = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden
    )
    return made


def other_kind():
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {**pair(), "tls.key": pem}


BROKEN = {
    "the key of another": lambda: {**pair(), "tls.key": pair()["tls.key"]},
    "a key of another kind": other_kind,
    "an encrypted key": encrypted,
    "no certificate": lambda: {**pair(), "tls.crt": b""},
    "no key": lambda: {**pair(), "tls.key": b""},
    "half a certificate": lambda: {**pair(), "tls.crt": pair()["tls.crt"][:200]},
    "nonsense": lambda: {"tls.crt": b"\x00\xff", "tls.key": b"-----BEGIN PRIVATE KEY-----"},
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_pair_that_cannot_be_used_keeps_the_old_one_and_is_told_once(mounted, what, caplog):
    before = mounted.served()
    validity = mounted.serving.validity
    mounted.turn(BROKEN[what]())
    for _ in range(3):
        assert not mounted.serving.look()
        assert mounted.served() == before
    assert mounted.serving.validity == validity
    assert mounted.failures == 1
    assert caplog.text.count("the old one stays") == 1
    assert "PRIVATE KEY" not in caplog.text
    good = pair()
    mounted.turn(good)
    assert mounted.serving.look()
    assert mounted.served() == der(good)


def test_files_that_are_gone_keep_the_old_one_and_are_told_once(mounted, caplog):
    before = mounted.served()
    (mounted.folder / "..data").unlink()
    assert not mounted.serving.look()
    assert not mounted.serving.look()
    assert mounted.served() == before
    assert mounted.failures == 1
    assert "tls.crt" in caplog.text


@pytest.mark.parametrize("what", BROKEN)
def test_without_a_pair_to_begin_with_there_is_nothing_to_serve(tmp_path, what):
    turn(tmp_path / "tls", BROKEN[what]())
    files = Files(tmp_path / "tls" / "tls.crt", tmp_path / "tls" / "tls.key")
    with pytest.raises(CertificateError, match=r"tls\.crt"):
        ServingCertificate(files, utc_now)


def test_old_versions_of_tls_and_weak_ciphers_are_refused(mounted):
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(ssl.SSLError, match="PROTOCOL"),
    ):
        mounted.connect(versions=(ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1))
    both = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    cipher, version, _ = mounted.connect(versions=both).cipher()
    assert version == "TLSv1.2"
    assert cipher.startswith("ECDHE-")
    assert "GCM" in cipher or "CHACHA20" in cipher
    assert mounted.connect().version() == "TLSv1.3"
    names = [cipher["name"] for cipher in mounted.serving.context.get_ciphers()]
    assert not [name for name in names if "CBC" in name or "SHA1" in name or name.endswith("-SHA")]


def test_with_a_ca_of_clients_only_theirs_are_served(tmp_path):
    mounted = Mounted(tmp_path / "tls", client_ca=TWO.cert_pem)
    mounted.connect(identity=TWO.client("kube-apiserver"))
    with pytest.raises(ssl.SSLError):
        mounted.connect()
    with pytest.raises(ssl.SSLError):
        mounted.connect(identity=ONE.client("kube-apiserver"))


def test_a_ca_of_clients_that_went_is_trusted_no_more(tmp_path):
    mounted = Mounted(tmp_path / "tls", client_ca=TWO.cert_pem)
    for ca, good, bad in ((ONE.cert_pem, ONE, TWO), (TWO.cert_pem, TWO, ONE)):
        mounted.turn(pair(), client_ca=ca)
        assert mounted.serving.look()
        mounted.connect(identity=good.client("kube-apiserver"))
        with pytest.raises(ssl.SSLError):
            mounted.connect(identity=bad.client("kube-apiserver"))
    mounted.turn(pair(), client_ca=b"nonsense")
    assert not mounted.serving.look()
    mounted.connect(identity=TWO.client("kube-apiserver"))
    with pytest.raises(ssl.SSLError):
        mounted.connect()


def test_the_time_left_is_told_and_doubt_comes_near_the_end_alone(mounted):
    week = timedelta(days=7)
    mounted.now = mounted.serving.validity.end - week
    assert mounted.serving.seconds_left() == week.total_seconds()
    mounted.turn({"tls.crt": b"", "tls.key": b""})
    mounted.serving.look()
    assert mounted.serving.doubt() is None
    mounted.now = mounted.serving.validity.end - timedelta(minutes=6)
    assert mounted.serving.doubt() is None
    mounted.now += timedelta(minutes=2)
    assert "no newer one is there" in mounted.serving.doubt()
    mounted.now += timedelta(hours=1)
    assert mounted.serving.seconds_left() < 0
