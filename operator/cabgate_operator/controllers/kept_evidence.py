# SPDX-License-Identifier: Apache-2.0
"""Keeps what a request is opened with beside it, and removes it when the request is gone.

Nothing but the opening of the request waits for it. What has no request goes: at once where its
request was deleted, and by a sweep where an operator was killed between the two writes.
"""

import contextlib
from collections.abc import Sequence

from cabgate import API_VERSION
from cabgate.api.cabevidence import KIND, CABEvidence
from cabgate.api.intent import DeploymentIntent
from cabgate.lifecycle.requests.kept_evidence import ABANDONED, evidence_for
from cabgate_kube.errors import AlreadyExistsError, ApiError, ConflictError
from cabgate_kube.resources import EVIDENCES, REQUESTS, Object
from cabgate_operator.work.context import Context, parsed
from cabgate_operator.work.controller import Controller, Watch, WatchEvent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.reports import note_act


async def keep_evidence(context: Context, intent: DeploymentIntent) -> Object | None:
    """Have the `CABEvidence` for the request that an intent asks for, which is not there yet; None
    where there is nothing to keep. Raises `ApiError`."""
    wanted = evidence_for(intent)
    if wanted is None:
        return None
    namespace, name = wanted.metadata.namespace, wanted.metadata.name
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": wanted.spec.to_dict(),
    }
    try:
        return await context.api.create(EVIDENCES, namespace, body)
    except AlreadyExistsError:
        found = await context.api.get(EVIDENCES, namespace, name)
    if found is None:
        raise ConflictError(409, "Conflict", f"CABEvidence {name} went meanwhile")
    if parsed(CABEvidence, found).spec == wanted.spec and not _is_abandoned(context, found, 2):
        return found
    # Left by one that was killed: of that age the sweep may remove it at any moment.
    if await context.api.get(REQUESTS, namespace, name) is not None:
        return found
    await context.api.delete(EVIDENCES, found)
    return await context.api.create(EVIDENCES, namespace, body)


async def discard(context: Context, kept: Object | None) -> None:
    """Remove a `CABEvidence` whose request was refused; a sweep does, where that fails. Another
    operator may have opened the request meanwhile: then it stays."""
    if kept is not None:
        with contextlib.suppress(ApiError):
            await _remove_without_request(context, kept)


def _is_abandoned(context: Context, raw: Object, part: int = 1) -> bool:
    """Whether one is older than a part of the time after which it has no request any more."""
    created = parsed(CABEvidence, {**raw, "spec": _NONE}).metadata.creation_timestamp
    return created is None or context.clock() - created > ABANDONED / part


_NONE = {"evidenceDigest": f"v1:sha256:{'0' * 64}"}
"""The spec of one of which the metadata alone is read."""


class KeptEvidence(Controller):
    """What is kept beside requests: it goes with them. Requests alone are watched, so that no other
    work waits for this kind; a sweep reads its metadata."""

    subjects = (Subject.EVIDENCE,)
    watches = (Watch(REQUESTS),)

    def __init__(self) -> None:
        self._requests: set[tuple[str, str]] = set()

    async def begin_sweep(self, context: Context) -> None:
        """Count anew."""
        self._requests = set()

    def saw(self, event: WatchEvent) -> Sequence[Key]:
        """Note the requests that a sweep brings; of a deleted one, what was kept goes."""
        meta = event.body["metadata"]
        if event.swept:
            self._requests.add((meta["namespace"], meta["name"]))
        elif event.deleted:
            return [Key(Subject.EVIDENCE, meta["namespace"], meta["name"])]
        return ()

    def end_sweep(self) -> Sequence[Key]:
        """All that is kept, to be compared with the requests that there are."""
        return [Key(Subject.EVIDENCE, "", "")]

    async def reconcile(self, context: Context, key: Key) -> None:
        """Remove what is kept for a request that is gone, or all of that. Raises the first
        `ApiError`, after all others were looked at: who has one kept holds up no other."""
        if key.name:
            found = await context.api.get(EVIDENCES, key.namespace, key.name)
            if found is not None:
                await _remove_without_request(context, found)
            return
        known = self._requests
        errors: list[ApiError] = []
        async for page in context.api.pages(EVIDENCES, metadata=True):
            for raw in page.items:
                meta = raw["metadata"]
                if (meta["namespace"], meta["name"]) in known:
                    continue
                if _is_abandoned(context, raw):
                    try:
                        await _remove_without_request(context, raw)
                    except ApiError as error:
                        errors.append(error)
        if errors:
            raise errors[0]


async def _remove_without_request(context: Context, raw: Object) -> None:
    namespace, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
    if await context.api.get(REQUESTS, namespace, name) is None:
        await context.api.delete(EVIDENCES, raw)
        note_act(f"evidence {name}", "Removed")
