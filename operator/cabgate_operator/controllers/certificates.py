# SPDX-License-Identifier: Apache-2.0
"""Self-managed certificates: makes a CA and the webhook's serving certificate, keeps both in
Secrets, and tells the API server whom to trust. What to do is decided by
`cabgate_kube.tls.rotate`."""

import base64
import binascii
import logging
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cabgate.ledger.signatures import SigningKeys
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.errors import AlreadyExistsError
from cabgate_kube.installation import (
    AUTHORITY_SECRET,
    LEAF_SECRET,
    PROOF_SECRET,
    SIGNING_KEYS,
    SIGNING_SECRET,
    WEBHOOK_CONFIGURATION,
)
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import CONFIG_MAPS, MUTATING, SECRETS, VALIDATING, Object, Resource
from cabgate_kube.tls.issue import make_authority, make_signing_key, sign_leaf
from cabgate_kube.tls.rotate import (
    Act,
    Bundle,
    Certificate,
    Present,
    Step,
    Times,
    next_step,
    read_authority,
    read_certificates,
    read_leaf,
)
from cabgate_operator.work.context import Context
from cabgate_operator.work.controller import Controller
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.reports import note_act

log = logging.getLogger(__name__)

WRITTEN = "cabgate.dev/ca-bundle-written"
"""Annotation of a webhook configuration: when its caBundle was last written here."""

LOOK_AGAIN = timedelta(seconds=60)
"""Longest time between two looks: whoever empties a caBundle stops admission."""

LOOK_SOON = timedelta(seconds=3)
"""The same, as long as there is no webhook configuration."""

TIMES = Times()
"""How long what is made here holds."""

_REASONS = {
    Act.MAKE_AUTHORITY: "AuthorityMade",
    Act.SIGN_LEAF: "CertificateSigned",
    Act.WRITE_BUNDLE: "BundleWritten",
}

MAX_STEPS = 12
"""Steps of one look; more would mean that they undo each other."""

CERTIFICATES = Key(Subject.CERTIFICATES, SYSTEM_NAMESPACE, "")
"""The certificates, as work."""


@dataclass(frozen=True)
class _Found:
    """What was read, and what it was read from."""

    present: Present
    authority: tuple[str, str]
    """Certificate and key, PEM."""
    secrets: Mapping[str, Object | None]
    configurations: Mapping[str, tuple[Resource, Object]]


class Certificates(Controller):
    """Keeps the webhook's certificates; for the leader alone. Each write goes over the version that
    was read, so that of two who think that they lead one meets a conflict."""

    subjects = (Subject.CERTIFICATES,)

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._has_signing_key = False

    async def start(self, context: Context) -> None:
        """Look at them at once."""
        context.queue.add(CERTIFICATES)

    async def reconcile(self, context: Context, key: Key) -> None:
        """Do what there is to do now, and look again when there may be more."""
        context.queue.add_at(key, await self.renew(context))

    async def renew(self, context: Context) -> datetime:
        """Do what there is to do now; when to look again.

        Raises `ApiError`, and `ConflictError` where write conflict.
        """
        if not self._has_signing_key:
            await ensure_signing_key(context)
            await ensure_proof(context)
            self._has_signing_key = True
        for _ in range(MAX_STEPS):
            found = await self._read(context)
            now = context.clock()
            step = next_step(found.present, self._names, now, TIMES)
            if step.act is Act.WAIT:
                return self._again(found, step, now)
            log.info(
                *("certificates: %s %s %s", step.act.value, step.bundle, step.why),
                extra=fields(
                    kind="certificates",
                    namespace=SYSTEM_NAMESPACE,
                    object=_written(step),
                    reason=_REASONS[step.act],
                ),
            )
            await self._take(context, found, step, now)
            note_act(_written(step), _REASONS[step.act])
        raise RuntimeError("certificates: no end of what is to be done")

    def _again(self, found: _Found, step: Step, now: datetime) -> datetime:
        latest = now + (LOOK_AGAIN if len(found.configurations) == 2 else LOOK_SOON)
        return latest if step.until is None else min(latest, step.until)

    async def _read(self, context: Context) -> _Found:
        now = context.clock()
        secrets = {
            name: await context.api.get(SECRETS, SYSTEM_NAMESPACE, name)
            for name in (AUTHORITY_SECRET, LEAF_SECRET)
        }
        authority, leaf = _data(secrets[AUTHORITY_SECRET]), _data(secrets[LEAF_SECRET])
        pair = authority.get("ca.crt", ""), authority.get("ca.key", "")
        configurations = {}
        for resource in (VALIDATING, MUTATING):
            found = await context.api.get(resource, "", WEBHOOK_CONFIGURATION)
            if found is not None:
                configurations[resource.kind] = (resource, found)
        present = Present(
            read_authority(*pair, now),
            read_leaf(leaf.get("tls.crt", ""), leaf.get("tls.key", ""), leaf.get("ca.crt", "")),
            [_bundle(kind, found) for kind, (_, found) in configurations.items()],
        )
        return _Found(present, pair, secrets, configurations)

    async def _take(self, context: Context, found: _Found, step: Step, now: datetime) -> None:
        if step.act is Act.MAKE_AUTHORITY:
            certificate, key = make_authority(now, TIMES.authority)
            await _store(context, found, AUTHORITY_SECRET, {"ca.crt": certificate, "ca.key": key})
        elif step.act is Act.SIGN_LEAF:
            issuer, issuer_key = found.authority
            certificate, key = sign_leaf(issuer, issuer_key, self._names, now, TIMES.leaf)
            content = {"tls.crt": certificate, "tls.key": key, "ca.crt": issuer}
            await _store(context, found, LEAF_SECRET, content, kind="kubernetes.io/tls")
        else:
            resource, configuration = found.configurations[step.bundle]
            await context.api.replace(resource, _with_bundle(configuration, step.trusted, now))


def _written(step: Step) -> str:
    """The object that a step writes."""
    secrets = {Act.MAKE_AUTHORITY: AUTHORITY_SECRET, Act.SIGN_LEAF: LEAF_SECRET}
    return secrets.get(step.act) or f"{step.bundle} {WEBHOOK_CONFIGURATION}"


async def _store(
    context: Context, found: _Found, name: str, content: Mapping[str, str], kind: str = "Opaque"
) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    existing = found.secrets[name]
    if existing is not None:
        await context.api.replace(SECRETS, {**existing, "data": data})
        return
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE},
        "type": kind,
        "data": data,
    }
    await context.api.create(SECRETS, SYSTEM_NAMESPACE, body)


def _data(secret: Object | None) -> dict[str, str]:
    data = (secret or {}).get("data") or {}
    return {key: _decoded(value) for key, value in data.items()}


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError, TypeError):
        return ""


def _bundle(kind: str, configuration: Object) -> Bundle:
    texts = {
        _decoded((webhook.get("clientConfig") or {}).get("caBundle") or "")
        for webhook in configuration.get("webhooks") or []
    }
    trusted = {each.pem: each for text in sorted(texts) for each in read_certificates(text)}
    annotations = configuration["metadata"].get("annotations") or {}
    written = _moment(annotations.get(WRITTEN)) if len(texts) <= 1 else None
    return Bundle(kind, tuple(trusted.values()), written)


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return None if found.tzinfo is None else found


def _with_bundle(configuration: Object, trusted: Collection[Certificate], now: datetime) -> Object:
    bundle = base64.b64encode("".join(each.pem for each in trusted).encode()).decode()
    webhooks = [
        {**webhook, "clientConfig": {**webhook["clientConfig"], "caBundle": bundle}}
        for webhook in configuration.get("webhooks") or []
    ]
    metadata = configuration["metadata"]
    annotations = {**(metadata.get("annotations") or {}), WRITTEN: now.isoformat()}
    return {
        **configuration,
        "metadata": {**metadata, "annotations": annotations},
        "webhooks": webhooks,
    }


async def ensure_signing_key(context: Context) -> None:
    """Have a key that the webhook signs decisions with; one that is there is never replaced.

    It is not read either: whether it is there is asked by a dry run. The public half is published
    first: a public key without a private one is harmless, the other way round signatures could not
    be verified.
    """
    private, public = make_signing_key()
    secret = _opaque(SIGNING_SECRET, "key.pem", private)
    if not await context.api.is_free(SECRETS, SYSTEM_NAMESPACE, secret):
        return
    name = f"{SigningKeys(private).key_id}.pem"
    published = await context.api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, SIGNING_KEYS)
    if published is None:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": SIGNING_KEYS, "namespace": SYSTEM_NAMESPACE},
            "data": {name: public},
        }
        await context.api.create(CONFIG_MAPS, SYSTEM_NAMESPACE, body)
    else:
        data = {**(published.get("data") or {}), name: public}
        await context.api.replace(CONFIG_MAPS, {**published, "data": data})
    if await _make(context, secret):
        about = fields(namespace=SYSTEM_NAMESPACE, object=SIGNING_SECRET, reason="Made")
        log.info("made the key that decisions are signed with, %s", name, extra=about)


async def ensure_proof(context: Context) -> None:
    """Have the value by which the webhook knows the API server; one that is there is never
    replaced, and not read either."""
    secret = _opaque(PROOF_SECRET, "token", secrets.token_hex(32))
    if await context.api.is_free(SECRETS, SYSTEM_NAMESPACE, secret):
        await _make(context, secret)


def _opaque(name: str, key: str, value: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE},
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode()},
    }


async def _make(context: Context, secret: Object) -> bool:
    """Create a Secret; False if somebody else did meanwhile."""
    try:
        await context.api.create(SECRETS, SYSTEM_NAMESPACE, secret)
    except AlreadyExistsError:
        return False
    note_act(secret["metadata"]["name"], "Made")
    return True
