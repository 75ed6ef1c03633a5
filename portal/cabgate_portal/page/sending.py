# SPDX-License-Identifier: Apache-2.0
"""Sending a decision: once, with the digest and the object that were shown."""

from dataclasses import dataclass

from cabgate.api import CABException, CABRequest
from cabgate.gate.commands import review_of
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.views.compare import Comparison, compare
from cabgate.views.show import RequestView
from cabgate_kube.resources import EXCEPTIONS, REQUESTS
from cabgate_portal.names import Id
from cabgate_portal.page.forms import Typed, review_of_form
from cabgate_portal.problems import Problem
from cabgate_portal.reading import Notes, Reader, Seen, parsed_written, readable

RECORDED = frozenset(
    {"Approved", "ConditionallyApproved", "Rejected", "UnderReview", "Attested", "Revoked"}
)
"""What the page can say that was recorded."""


@dataclass(frozen=True)
class Changed:
    """That what is decided on is no longer what somebody looked at."""

    problem: Problem
    comparison: Comparison | None
    """What is other; None where nobody knows any more what they looked at."""


class Sender:
    """Sends decisions as whoever the reader reads for."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def changed(
        self, which: Id, seen: Seen, typed: Typed, *, of_exception: bool
    ) -> Changed | None:
        """What has changed since somebody looked; None for nothing. Raises `Problem`."""
        digest, uid = typed.one("digest"), typed.one("uid")
        view = seen.view
        if digest == view.evidence_digest and uid == uid_of(view, of_exception=of_exception):
            return None
        what = "evidence" if digest != view.evidence_digest else "object"
        problem = Problem(
            409,
            "LookAgain",
            f"The {what} is another than the one that you looked at. Nothing was sent: what is "
            "shown now is what you would decide on.",
        )
        return Changed(problem, await self._since(which, seen, digest))

    async def _since(self, which: Id, seen: Seen, digest: str) -> Comparison | None:
        if digest == seen.view.evidence_digest:
            return None
        items = await self._reader.api.all(REQUESTS, which.namespace)
        requests = {each.metadata.name: each for each in readable(CABRequest, items, Notes())}
        now = requests.get(seen.view.name)
        before = [each for each in requests.values() if each.spec.evidence_digest == digest]
        if now is None or not before:
            return None
        return compare(WholeRequest.of(now), WholeRequest.of(before[0]))

    async def send(self, which: Id, seen: Seen, typed: Typed, *, of_exception: bool) -> str:
        """Write the review, and return its verdict. Raises `Problem`; nothing is sent twice."""
        review = review_of_form(typed, of_exception=of_exception)
        patch = review_of(review, uid_of(seen.view, of_exception=of_exception))
        resource = EXCEPTIONS if of_exception else REQUESTS
        written = await self._reader.api.patch_status(
            resource, which.namespace, which.name, patch, dry_run=False
        )
        model = CABException if of_exception else CABRequest
        parsed_written(model, written, dry_run=False)
        return str(review["verdict"])


def uid_of(view: RequestView, *, of_exception: bool) -> str:
    """The uid of the object that is decided on."""
    return view.exceptions[0].uid if of_exception else view.uid
