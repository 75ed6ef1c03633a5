# SPDX-License-Identifier: Apache-2.0
"""The verbs by which somebody decides, and those that an approval records: of its terms the ones
that its author holds at that moment."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from cabgate.api.changepolicy import APPROVE
from cabgate.api.exception import ExceptionDecision
from cabgate.api.request import PLURAL, CABRequest, RequestDecision
from cabgate.lifecycle.state.escalation import also_deciding
from cabgate.lifecycle.state.quorum import VOTES, verbs_of
from cabgate.lifecycle.state.standing import standing_of
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads


async def verbs_held(
    admission: AdmissionRequest, verdict: str, request: CABRequest, api: LiveReads
) -> list[str]:
    """Of an approval of a request, the verbs of its terms that its author holds now; none of any
    other verdict, nor where there are no terms."""
    if admission.resource != PLURAL or verdict not in VOTES:
        return []
    verbs = verbs_of(request)
    answers = await asyncio.gather(*(_held(admission, verb, api) for verb in verbs))
    return [verb for verb, held in zip(verbs, answers, strict=True) if held]


async def may_decide(
    admission: AdmissionRequest, verb: str, request: CABRequest, at: datetime, api: LiveReads
) -> bool:
    """Whether the author of a review may give it at a moment: who holds its verb, or, of a request
    that has escalated, one whose holders decide as well by then."""
    verbs = [verb]
    if verb == APPROVE and admission.resource == PLURAL:
        opened_at = standing_of(request).opened_at
        verbs += sorted(also_deciding(request.spec.terms, opened_at, at))
    return any(await asyncio.gather(*(_held(admission, each, api) for each in verbs)))


async def _held(admission: AdmissionRequest, verb: str, api: LiveReads) -> bool:
    return await api.may(
        admission.user,
        verb=verb,
        resource=admission.resource,
        namespace=admission.namespace,
        name=admission.name,
    )


def check_verbs(entry: RequestDecision | ExceptionDecision, verbs: Sequence[str]) -> None:
    """Raise `Refusal` unless a decision records the verbs that its author holds, and no others."""
    if isinstance(entry, RequestDecision) and list(entry.verbs) != list(verbs):
        raise Refusal(
            RefusalReason.WRONG_CONTENT,
            f"records the verbs that {entry.author.username} holds now, which are: "
            f"{', '.join(verbs) or 'none'}; write status.review and leave the rest to the webhook, "
            "or try again if your rights changed just now",
            "status.decisions.verbs",
        )
