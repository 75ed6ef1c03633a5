# SPDX-License-Identifier: Apache-2.0
"""What the queue is made of, read beside whatever else the program does. Imports no model."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from cabgate.views.selectors import LIVE_EXCEPTIONS, WAITING_REQUESTS
from cabgate_cli.input.kubectl.process import Kubectl, Object


@dataclass(frozen=True)
class Waiting:
    """What may wait, as it is stored, and who looks."""

    namespace: str | None
    """Where it was looked for; None for everywhere."""
    requests: list[Object]
    exceptions: list[Object]
    viewer: Object | None
    """As the API server authenticates them; None where it does not say."""


class Reading:
    """A reading that is on its way: of a namespace, that of the context if None, or of all of them;
    of the requests those that a label selector and a further field selector select."""

    def __init__(
        self,
        kubectl: Kubectl,
        namespace: str | None,
        *,
        everywhere: bool,
        labels: str = "",
        fields: str = "",
    ) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._everywhere = everywhere
        self._labels = labels
        self._fields = f"{WAITING_REQUESTS},{fields}" if fields else WAITING_REQUESTS
        self._pool = ThreadPoolExecutor(max_workers=3)
        self._read: Future[Waiting] = self._pool.submit(self._all)

    def again(self) -> Self:
        """Begin to read anew."""
        self._read = self._pool.submit(self._all)
        return self

    def result(self) -> Waiting:
        """What was read. Raises `Unavailable`."""
        return self._read.result()

    def _all(self) -> Waiting:
        place = None
        if not self._everywhere:
            place = self._kubectl.namespace(self._namespace)
        # A plugin that signs in gets the terminal, and is asked once: for the requests, alone.
        if self._kubectl.may_sign_in():
            requests = self._requests(place)
            beside = self._beside(place)
        else:
            beside = self._beside(place)
            requests = self._requests(place)
        exceptions, viewer = beside
        return Waiting(place, requests, exceptions.result(), viewer.result())

    def _requests(self, place: str | None) -> list[Object]:
        return self._list(place, "cabrequests", self._fields, labels=self._labels, quiet=False)

    def _beside(self, place: str | None) -> tuple[Future[list[Object]], Future[Object | None]]:
        exceptions = self._pool.submit(self._list, place, "cabexceptions", LIVE_EXCEPTIONS)
        return exceptions, self._pool.submit(self._kubectl.whoami)

    def _list(
        self,
        place: str | None,
        plural: str,
        selector: str,
        *,
        labels: str = "",
        quiet: bool = True,
    ) -> list[Object]:
        found = self._kubectl.list(place, plural, quiet=quiet, selector=selector, labels=labels)
        return list(found)
