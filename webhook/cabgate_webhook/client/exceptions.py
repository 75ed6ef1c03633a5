# SPDX-License-Identifier: Apache-2.0
"""Reads of exceptions, of which a namespace may have many, and large ones."""

import asyncio
import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

from cabgate import GROUP, VERSION
from cabgate.api import CABException, exception
from cabgate_webhook.client.answers import parsed, raw_items
from cabgate_webhook.client.lookups import BudgetUsedUp, LookupFailed
from cabgate_webhook.client.named import naming, sizes
from cabgate_webhook.client.turns import BoundedTurns, TooManyWaitError

READS_AT_ONCE = 8
"""Admission requests of one namespace that read its exceptions at a time, at most 1 MiB each: each
may wait for the API server's cache, and what comes in a burst is not to wait so often."""

MAX_WAITING = 32
"""Admission requests of one namespace that wait to read its exceptions, in memory meanwhile; not
revocations: those wait however many there are."""

MAX_SELECTED = 2
"""Requests whose exceptions are asked for one by one: an admission request reads four
times at most."""


class ExceptionReads(ABC):
    """What is read of exceptions, by any reads."""

    def __init__(self) -> None:
        self._decoding = asyncio.Lock()
        self._turns = BoundedTurns(READS_AT_ONCE, MAX_WAITING)
        self._large_turns = BoundedTurns(1, MAX_WAITING)

    @abstractmethod
    async def _read(
        self, path: str, query: Mapping[str, str] | None = None, *, large: bool = True
    ) -> bytes | None:
        """The answer of one GET as it came; None if there is no such object. Raises `BudgetUsedUp`
        for one that is too large, which without `large` is one of more than 1 MiB."""

    async def listed_exceptions(self, namespace: str) -> bytes | None:
        """All exceptions of a namespace as they came, for `exceptions_for`; None where they come to
        more than 1 MiB. Raises `LookupFailed`."""
        try:
            async with _taken(self._turns, namespace):
                return await self._read(_path(namespace), large=False)
        except BudgetUsedUp:
            return None

    async def exceptions_for(
        self,
        namespace: str,
        request_names: Sequence[str],
        *,
        however_many: bool = False,
        listed: bytes | None = None,
    ) -> list[CABException]:
        """The exceptions of a namespace that name one of some requests. `however_many`: where those
        for others are too many to read, they are left out, by a read for each request. `listed` is
        what `listed_exceptions` gave for the same admission request: then nothing is read.

        One that cannot be read opens no gate, and is passed over.
        """
        names = sorted(set(request_names))
        path = _path(namespace)
        if listed is not None:
            return await self._decoded_exceptions(naming(raw_items(path, listed), names))
        with contextlib.suppress(BudgetUsedUp):
            async with _taken(self._turns, namespace, anyhow=however_many):
                return await self._exceptions_for(path, names, large=False)
        async with _taken(self._large_turns, namespace, anyhow=however_many):
            try:
                return await self._exceptions_for(path, names, large=True)
            except BudgetUsedUp:
                if not however_many or len(names) <= MAX_SELECTED:
                    raise
            # One after the other: what is in memory is what one of them comes to.
            return [item for name in names for item in await self._exceptions(path, [name])]

    async def _exceptions_for(
        self, path: str, names: Sequence[str], *, large: bool
    ) -> list[CABException]:
        if len(names) > MAX_SELECTED:
            return await self._exceptions(path, names, large=large)
        reads = (self._exceptions(path, [name], large=large) for name in names)
        return [item for items in await asyncio.gather(*reads) for item in items]

    async def _exceptions(
        self, path: str, names: Sequence[str], *, large: bool = True
    ) -> list[CABException]:
        """The exceptions for some requests: of one by its name, of several out of all."""
        query = {"fieldSelector": f"spec.requestRef.name={names[0]}"} if len(names) == 1 else {}
        data = await self._read(path, query, large=large)
        return await self._decoded_exceptions(naming(raw_items(path, data), names))

    async def _decoded_exceptions(self, raws: Iterable[bytes]) -> list[CABException]:
        """Exceptions as they came, decoded, without those that cannot be read."""
        found = []
        for raw in raws:
            async with self._decoding:  # one at a time, and those of others go on in between
                with contextlib.suppress(LookupFailed, ValueError):
                    found.append(parsed(CABException, json.loads(raw)))
                await asyncio.sleep(0)
        return found

    async def weighed_exceptions(
        self, namespace: str, request_names: Collection[str]
    ) -> tuple[list[CABException], Mapping[str, int]]:
        """The exceptions for some requests, and the bytes that each of the namespace takes in a
        list, by name."""
        with contextlib.suppress(BudgetUsedUp):
            async with _taken(self._turns, namespace, anyhow=True):
                return await self._weighed(namespace, request_names, large=False)
        async with _taken(self._large_turns, namespace, anyhow=True):
            return await self._weighed(namespace, request_names, large=True)

    async def _weighed(
        self, namespace: str, request_names: Collection[str], *, large: bool
    ) -> tuple[list[CABException], Mapping[str, int]]:
        path = _path(namespace)
        found = raw_items(path, await self._read(path, large=large))
        return await self._decoded_exceptions(naming(found, request_names)), sizes(found)


@contextlib.asynccontextmanager
async def _taken(
    turns: BoundedTurns, namespace: str, *, anyhow: bool = False
) -> AsyncIterator[None]:
    """Held while the exceptions of a namespace are in memory: few admission requests of that
    namespace have them at a time, and those of others do not wait."""
    try:
        async with turns.taken(namespace, anyhow=anyhow):
            yield
    except TooManyWaitError:
        raise LookupFailed(
            f"{MAX_WAITING} admission requests of namespace {namespace} wait for its exceptions"
        ) from None


def _path(namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{exception.PLURAL}"
