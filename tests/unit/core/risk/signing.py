# SPDX-License-Identifier: Apache-2.0
"""Signed evidence for the tests: an honest envelope, of which a test damages what matters to it."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cabgate.api import DeploymentIntent, Evidence
from cabgate.api.evidence import Attestation
from cabgate.api.request import Provenance
from cabgate.api.signer import Section
from cabgate.risk.provenance import provenance_of
from cabgate.risk.statements import (
    PrivateKey,
    image_digest,
    sections_of,
    signed_statement,
)
from cabgate_samples.models import NOW, intent, target
from cabgate_samples.objects import GOOD

KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
P256 = generate_private_key(SECP256R1())
IMAGE = "registry.example.com/checkout@sha256:" + "a" * 64
OTHER_IMAGE = "registry.example.com/checkout@sha256:" + "b" * 64
LABELS = {"kubernetes.io/metadata.name": "shop"}
ALL = [section.value for section in Section]


def pem(key: Any) -> str:
    """The public half of a key."""
    public = key.public_key() if hasattr(key, "public_key") else key
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def signer(
    *keys: Any,
    name: str = "ci",
    speaks_for: Sequence[str] = ALL,
    namespaces: Sequence[str] = ("shop",),
    max_age: str = "24h",
    **of_keys: str,
) -> dict[str, Any]:
    """An EvidenceSigner."""
    term = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
    return {
        "apiVersion": "cabgate.dev/v1alpha1",
        "kind": "EvidenceSigner",
        "metadata": {"name": name},
        "spec": {
            "publicKeys": [
                {"key": key if isinstance(key, str) else pem(key), **of_keys}
                for key in keys or (KEY,)
            ],
            "speaksFor": list(speaks_for),
            "namespaceSelector": {"matchExpressions": [term]},
            "maxAge": max_age,
        },
    }


def unsigned(
    evidence: Mapping[str, Any] = GOOD,
    *images: str,
    name: str = "checkout",
    namespace: str = "shop",
) -> DeploymentIntent:
    """An intent whose images have digests."""
    targets = [target("checkout", *(images or (IMAGE,)))]
    return intent(dict(evidence), targets, name=name, namespace=namespace)


def envelope(
    of: DeploymentIntent,
    key: PrivateKey = KEY,
    *,
    sections: Sequence[str] | None = None,
    at: datetime = NOW,
    **people: str,
) -> Attestation:
    """What a pipeline signs of an intent."""
    images = {image for each in of.spec.targets for image in each.images}
    said = sections_of(of.spec.evidence)
    return signed_statement(
        key,
        digests={image: image_digest(image) or "" for image in images},
        namespace=of.metadata.namespace,
        intent=of.metadata.name,
        evidence=of.spec.evidence,
        sections=[each for each in said if sections is None or each.value in sections],
        now=at,
        people=people,
    )


def with_envelopes(of: DeploymentIntent, *envelopes: Attestation) -> DeploymentIntent:
    """An intent with what was signed of it, or of another."""
    evidence = of.spec.evidence.model_copy(update={"attestations": list(envelopes)})
    return of.model_copy(update={"spec": of.spec.model_copy(update={"evidence": evidence})})


def signed(
    evidence: Mapping[str, Any] = GOOD, key: PrivateKey = KEY, **kwargs: Any
) -> DeploymentIntent:
    """An intent with an honest signature."""
    made = unsigned(evidence)
    return with_envelopes(made, envelope(made, key, **kwargs))


def changed(of: DeploymentIntent, **parts: Any) -> DeploymentIntent:
    """An intent whose evidence somebody edited after it was signed."""
    said = {**of.spec.evidence.to_dict(), **parts}
    evidence = Evidence.model_validate({k: v for k, v in said.items() if v is not None})
    return of.model_copy(update={"spec": of.spec.model_copy(update={"evidence": evidence})})


def payload(of: Attestation) -> dict[str, Any]:
    """What an envelope says."""
    found: dict[str, Any] = json.loads(base64.b64decode(of.payload or ""))
    return found


def resigned(
    text: bytes, key: Any = KEY, kind: str = "application/vnd.in-toto+json"
) -> Attestation:
    """An envelope with any payload, signed by a key that is trusted or is not."""
    pae = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(text), text)
    return Attestation.model_validate(
        {
            "payloadType": kind,
            "payload": base64.b64encode(text).decode(),
            "signatures": [{"sig": base64.b64encode(key.sign(pae)).decode()}],
        }
    )


HONEST = unsigned()


def seen(
    of: DeploymentIntent, *signers: dict[str, Any], labels: Any = LABELS, now: Any = NOW
) -> list[Provenance]:
    """Who speaks for each part of an intent."""
    return provenance_of(of, labels, signers or (signer(),), now)


def states(found: list[Provenance]) -> set[str]:
    """The states that there are."""
    return {each.state.value for each in found}


def doubt(of: DeploymentIntent, *signers: dict[str, Any], **kwargs: Any) -> str:
    """Why nothing of an intent is verified: all of it is declared, and each part says why."""
    found = seen(of, *signers, **kwargs)
    assert states(found) == {"Declared"}, found
    assert {each.section.value for each in found} == set(GOOD)
    assert all(each.signer is None and each.why for each in found)
    return str(found[0].why)
