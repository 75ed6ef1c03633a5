# SPDX-License-Identifier: Apache-2.0
"""Requests for the very same content, which is decided once: what holds where two people decide it
at the same moment, one each way, and neither can have seen the other."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from cabgate.api.request import RequestVerdict
from cabgate.api.stored import StoredEntry
from cabgate.api.types import ALL_IMAGES
from cabgate.lifecycle.state.standing import RequestStanding


def of_content(digest: str, requests: Iterable[RequestStanding]) -> list[RequestStanding]:
    """Those of some requests that hold one content, by its digest."""
    return [request for request in requests if request.spec.evidence_digest == digest]


def by_content(requests: Iterable[RequestStanding]) -> Mapping[str, list[RequestStanding]]:
    """Requests by the digest of their content: to ask of each for the others of its content is
    work times its square without that."""
    found: dict[str, list[RequestStanding]] = defaultdict(list)
    for request in requests:
        found[request.spec.evidence_digest].append(request)
    return found


def overruled_by(
    request: RequestStanding, others: Iterable[RequestStanding]
) -> RequestStanding | None:
    """The other request for the very same content by which an approval counts for nothing, if there
    is one: it was rejected, or revoked as a whole, when the content was not approved as yet.

    Of two decisions of the same second nobody can tell which came first, and a doubt is a denial.
    An approval that came before stands: no rejection takes one away, and what a revocation denies
    is told image by image.
    """
    twins = of_content(request.spec.evidence_digest, others)
    twins = [each for each in twins if each.metadata.name != request.metadata.name]
    approval = request.verdict if twins else None
    if approval is None or not request.is_approved:
        return None
    found = [
        each
        for each in twins
        if (entry := _refusal_of_all(each)) is not None and entry.at <= approval.at
    ]
    return min(found, key=lambda each: each.metadata.name, default=None)


def _refusal_of_all(request: RequestStanding) -> StoredEntry | None:
    """The entry that refused a request as a whole, if one did."""
    entry = request.verdict if request.is_refused else None
    if entry is None or entry.verdict is not RequestVerdict.REVOKED:
        return entry
    named = set(entry.images)
    images = {image for target in request.spec.targets for image in target.images}
    whole = not named or ALL_IMAGES in named or images <= named
    return entry if whole else None
