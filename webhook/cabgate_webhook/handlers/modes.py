# SPDX-License-Identifier: Apache-2.0
"""What becomes of a denial of the gate in a dry run, and where the cluster does not enforce."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from cabgate import GROUP
from cabgate.gate.composing import DRY_RUN, NOT_ENFORCED, warning_lines
from cabgate.rollout.modes import Mode, dry_run_mode, effective_mode
from cabgate_kube.process.logs import fields
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import LookupFailed

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 0.5
"""Time to read the mode of a namespace: what an admission request that took its whole time
leaves of the 5 s that the API server waits."""


async def by_mode(
    answer: AdmissionAnswer,
    admission: AdmissionRequest,
    api: LiveReads,
    cluster: Mode,
    at_least: Mode,
    *,
    seconds: float = LOOKUP_SECONDS,
) -> AdmissionAnswer:
    """The answer as the mode of the namespace has it.

    `cluster` is the cluster's mode. `at_least` is what the API server knows of the namespace's,
    by the entry of the webhook configuration that it called through: it counts if the namespace
    cannot be read within `seconds`. Writes to cabgate's own objects have no mode, and where the
    cluster enforces no namespace is looser, but for dry runs.
    """
    if answer.allowed or admission.group == GROUP:
        return answer
    if cluster is Mode.ENFORCE and not admission.dry_run:
        return answer
    labels = await _labels(admission, api, seconds)
    of_rollouts = effective_mode(cluster, labels, at_least=at_least)
    mode = dry_run_mode(of_rollouts, labels) if admission.dry_run else of_rollouts
    if mode is Mode.ENFORCE:
        return answer
    heading = DRY_RUN if of_rollouts is Mode.ENFORCE else NOT_ENFORCED
    warnings = warning_lines(answer.message, heading) if mode is Mode.WARN else ()
    return replace(answer, allowed=True, mode=mode, warnings=warnings)


async def _labels(
    admission: AdmissionRequest, api: LiveReads, seconds: float
) -> Mapping[str, str] | None:
    """Labels of the namespace of an admission request; None if they cannot be read in time."""
    namespace = admission.namespace
    try:
        async with asyncio.timeout(seconds):
            return await api.namespace_labels(namespace)
    except (LookupFailed, TimeoutError) as error:
        why = error.brief if isinstance(error, LookupFailed) else f"none within {seconds} s"
        about = fields(uid=admission.uid, namespace=namespace, reason="ModeNotKnown")
        log.warning("the mode of namespace %s is not known: %s", namespace, why, extra=about)
        return None
