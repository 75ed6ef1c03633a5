# SPDX-License-Identifier: Apache-2.0
"""The verbs that an approval records: those of the terms that its author holds at that moment."""

import asyncio
from collections.abc import Sequence

from cabgate.api.exception import ExceptionDecision
from cabgate.api.request import PLURAL, CABRequest, RequestDecision
from cabgate.lifecycle.state.quorum import VOTES, verbs_of
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
    answers = await asyncio.gather(
        *(
            api.may(
                admission.user,
                verb=verb,
                resource=PLURAL,
                namespace=admission.namespace,
                name=admission.name,
            )
            for verb in verbs
        )
    )
    return [verb for verb, held in zip(verbs, answers, strict=True) if held]


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
