# SPDX-License-Identifier: Apache-2.0
"""Forged envelopes: every one here is declared, at best, and never verified."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.evidence import MAX_PAYLOAD, Attestation, AttestationSignature
from cabgate.lifecycle.requests.assessment import assessment_of
from cabgate.text.canonical import canonical_json
from cabgate_samples.models import NOW
from cabgate_samples.objects import GOOD
from unit.core.risk.signing import (
    HONEST,
    IMAGE,
    KEY,
    OTHER,
    OTHER_IMAGE,
    P256,
    changed,
    doubt,
    envelope,
    payload,
    resigned,
    seen,
    signed,
    signer,
    states,
    unsigned,
    with_envelopes,
)

# Forgeries, each made by whoever may write the intent and has seen every envelope there is.


def about(**changes: Any) -> Attestation:
    """A statement that a trusted key signed, about something else."""
    return envelope(unsigned(GOOD, *changes.pop("images", [IMAGE]), **changes))


FORGERIES: dict[str, tuple[Attestation, str]] = {
    "of another image": (about(images=[OTHER_IMAGE]), "other images"),
    "of more images": (about(images=[IMAGE, OTHER_IMAGE]), "other images"),
    "of another namespace": (about(namespace="other"), "about intent other/checkout"),
    "of another intent": (about(name="other"), "about intent shop/other"),
    "replayed": (envelope(HONEST, at=NOW - timedelta(hours=24, seconds=1)), "older than"),
    "of the future": (envelope(HONEST, at=NOW + timedelta(minutes=6)), "in the future"),
    "by a key that nobody trusts": (envelope(HONEST, OTHER), "no key of an EvidenceSigner"),
    "with its key beside it": (
        envelope(HONEST, OTHER).model_copy(
            update={
                "signatures": [
                    AttestationSignature(
                        keyid="ci", sig=(envelope(HONEST, OTHER).signatures or [])[0].sig
                    )
                ]
            }
        ),
        "no key of an EvidenceSigner",
    ),
    "without a signature": (
        envelope(HONEST).model_copy(update={"signatures": []}),
        "has 0 signatures",
    ),
    "with two": (
        envelope(HONEST).model_copy(
            update={
                "signatures": [
                    *(envelope(HONEST, OTHER).signatures or []),
                    *(envelope(HONEST).signatures or []),
                ]
            }
        ),
        "has 2 signatures",
    ),
    "without its envelope": (Attestation(sha256="0" * 64), "holds no envelope"),
    "of another payloadType": (
        resigned(canonical_json(payload(envelope(HONEST))), kind="application/json"),
        "payloadType",
    ),
    "oversized": (
        envelope(HONEST).model_copy(update={"payload": "A" * (MAX_PAYLOAD + 4)}),
        "longer than",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_declared_and_says_why(name: str) -> None:
    forged, why = FORGERIES[name]
    assert why in doubt(with_envelopes(HONEST, forged))


def payload_of(change: Callable[[dict[str, Any]], Any]) -> bytes:
    said = payload(envelope(HONEST))
    change(said)
    return canonical_json(said)


def said(**changes: Any) -> bytes:
    return payload_of(lambda s: s["predicate"].update(changes))


HONEST_TEXT = canonical_json(payload(envelope(HONEST)))
ODD: dict[str, tuple[bytes, str]] = {
    "a key twice": (
        HONEST_TEXT.replace(b'"failed":0', b'"failed":7,"failed":0'),
        "'failed' twice",
    ),
    "two predicates": (HONEST_TEXT[:-1] + b',"predicate":{}}', "'predicate' twice"),
    "UTF-16": (HONEST_TEXT.decode().encode("utf-16"), "one way alone"),
    "a byte order mark": (b"\xef\xbb\xbf" + HONEST_TEXT, "one way alone"),
    "NaN": (HONEST_TEXT.replace(b"95", b"NaN"), "number NaN"),
    "too large a number": (HONEST_TEXT.replace(b"95", b"1e999"), "coveragePercent"),
    "no object": (b"[]", "no JSON object"),
    "nothing": (b"{}", "Field required"),
    "depths": (b"[" * 20_000, "one way alone"),
    "long digits": (b'{"a":' + b"1" * 20_000 + b"}", "one way alone"),
    "half a character": (HONEST_TEXT.replace(b'"checkout"', b'"\\ud800"'), ""),
    "another predicate type": (
        payload_of(lambda s: s.update(predicateType="https://slsa.dev/provenance/v1")),
        "predicateType",
    ),
    "another statement": (payload_of(lambda s: s.update(_type="x")), "_type"),
    "no subject": (payload_of(lambda s: s.update(subject=[])), "subject"),
    "a subject without sha256": (
        payload_of(lambda s: s.update(subject=[{"name": IMAGE, "digest": {"sha1": "a" * 40}}])),
        "no digest sha256",
    ),
    "a subject in capitals": (
        payload_of(lambda s: s["subject"][0]["digest"].update(sha256="A" * 64)),
        "no digest sha256",
    ),
    "more than is known": (payload_of(lambda s: s["predicate"].update(more=1)), "more"),
    "evidence that is not known": (said(evidence={"testResults": {"other": 1}}), "not known"),
    "an empty part": (said(evidence={"testResults": {}}), "empty"),
    "false for zero": (said(evidence={"testResults": {"failed": False}}), "another type"),
    "text for a number": (said(evidence={"testResults": {"failed": "0"}}), "another type"),
    "no namespace": (said(namespace=""), "namespace"),
    "no time": (payload_of(lambda s: s["predicate"].pop("createdAt")), "createdAt"),
    "a time as a number": (said(createdAt=NOW.timestamp()), "createdAt"),
    "a time as digits": (said(createdAt=str(int(NOW.timestamp()))), "createdAt"),
    "another spelling of a field": (
        payload_of(lambda s: s["predicate"].update(created_at=s["predicate"].pop("createdAt"))),
        "created",
    ),
    "a commit that cannot be shown": (said(commit="\x1b[31m"), "commit"),
    "a time without a zone": (said(createdAt="2026-03-01T12:00:00"), "createdAt"),
}


def test_a_reason_is_short_and_can_be_stored_whatever_is_signed() -> None:
    """A key that is trusted for one namespace is no key to the operator of all."""
    for odd in ("\\ud800", "x" * 10_000, "\\u0000"):
        for text in (
            HONEST_TEXT[:-1] + b',"%b":1}' % odd.encode(),
            HONEST_TEXT.replace(b'"intent":"', b'"intent":"%b' % odd.encode()),
        ):
            found = seen(with_envelopes(HONEST, *[resigned(text)] * 8))
            stored = json.dumps([each.to_dict() for each in found], ensure_ascii=False).encode()
            assert len(stored) < 8 * 1024
    many = {f"artifact {n}": n for n in range(100)}
    odd_names = [{"name": f"{name}{'y' * 200}", "images": [IMAGE]} for name in many]
    worse = changed(signed(), artifacts=odd_names, **{k: None for k in GOOD if k != "artifacts"})
    assessed = assessment_of(worse.spec, provenance=seen(worse, signer(name="c" * 253)))
    assert len(assessed.floors[0].explanation) <= 4096


def test_nobody_writes_into_a_request_what_cannot_be_shown() -> None:
    """Of a NUL in one request, `kubectl get cabrequests -o yaml` fails for everybody. Who writes
    this needs no key: what cannot be read is not asked whose it is."""
    for odd in ("\x00", "\x1b[31m", "\x7f", "\x85", "\u202e", "\n  state: Verified", "\u200b"):
        text = json.dumps({**payload(envelope(HONEST)), odd: 1}).encode()
        for of in (HONEST, changed(HONEST, scope={"affectedComponents": 1})):
            found = seen(with_envelopes(of, resigned(text, OTHER)))
            assert all(str(each.why).isprintable() for each in found), odd
    uri = f"https://example.com/{chr(0)}"
    of = unsigned({**GOOD, "rollbackPlan": {"uri": uri, "validated": True}})
    [found] = [
        each for each in seen(with_envelopes(HONEST, envelope(of))) if each.state == "Contradicted"
    ]
    assert str(found.why).isprintable()


@pytest.mark.parametrize("name", ODD)
def test_what_can_be_read_in_two_ways_is_not_read_though_a_trusted_key_signed_it(name: str) -> None:
    text, why = ODD[name]
    assert why in doubt(with_envelopes(HONEST, resigned(text)))


def test_any_way_to_write_the_statement_is_as_good_as_ours() -> None:
    """Another tool signs the same statement with its own blanks and order of keys."""
    text = json.dumps(dict(reversed(payload(envelope(HONEST)).items())), indent=1).encode()
    assert states(seen(with_envelopes(HONEST, resigned(text)))) == {"Verified"}


@pytest.mark.parametrize("field", ["payload", "sig"])
def test_one_document_has_one_base64(field: str) -> None:
    """Other bits that decode to the same bytes are another envelope with the same signature."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    def loose(text: str) -> str:
        end = text.rstrip("=")
        twin = end[:-1] + alphabet[alphabet.index(end[-1]) ^ 1] + "=" * (len(text) - len(end))
        assert base64.b64decode(twin) == base64.b64decode(text)
        return twin

    for length in range(3):
        made = unsigned({**GOOD, "summary": "x"})
        honest = envelope(made, builder="x" * (length + 1))
        if field == "payload" and (honest.payload or "").endswith("="):
            forged = honest.model_copy(update={"payload": loose(honest.payload or "")})
        else:
            [signature] = honest.signatures or []
            forged = honest.model_copy(
                update={"signatures": [AttestationSignature(sig=loose(signature.sig))]}
            )
        assert "not base64" in doubt(with_envelopes(made, forged))


def test_a_signature_is_checked_as_its_key_says_and_never_as_the_envelope_does() -> None:
    for of, other in ((KEY, P256), (P256, KEY)):
        assert "no key" in doubt(signed(key=of), signer(other))
    rsa = rsa_key(65537, 2048)
    for odd in (rsa, generate_private_key(SECP256K1())):
        assert "no key" in doubt(signed(), signer(odd))
    assert states(seen(signed(), signer(rsa, KEY))) == {"Verified"}


def test_an_empty_signature_and_one_of_zeros_are_none() -> None:
    for zeros in (64, 70):
        sig = base64.b64encode(bytes(zeros)).decode()
        forged = envelope(HONEST).model_copy(update={"signatures": [AttestationSignature(sig=sig)]})
        for key in (KEY, P256):
            assert "no key" in doubt(with_envelopes(HONEST, forged), signer(key))


def test_an_image_without_a_digest_is_nothing_that_a_signature_can_be_about() -> None:
    tagged = unsigned(GOOD, "registry.example.com/checkout:1")
    for name in (
        "registry.example.com/checkout:1",
        IMAGE + "\n",
        IMAGE.replace("sha256", "sha512"),
    ):
        of = with_envelopes(unsigned(GOOD, name), envelope(HONEST))
        assert "named by no digest" in doubt(of), name
    assert "named by no digest" in doubt(with_envelopes(tagged, envelope(HONEST)))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_of_an_envelope_can_be_changed(place: int, bit: int) -> None:
    honest = envelope(HONEST)
    text = bytearray(base64.b64decode(honest.payload or ""))
    text[place % len(text)] ^= bit
    forged = honest.model_copy(update={"payload": base64.b64encode(bytes(text)).decode()})
    assert states(seen(with_envelopes(HONEST, forged))) == {"Declared"}
