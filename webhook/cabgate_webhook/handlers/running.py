# SPDX-License-Identifier: Apache-2.0
"""What workloads run now, by which outcomes are judged."""

from cabgate.outcomes.running import RunningWorkload, outcome_kind, running_workload
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import reference_of
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_webhook.client.apiserver import LiveReads


async def running_now(api: LiveReads, namespace: str, workload: Workload) -> RunningWorkload | None:
    """A workload as it is now; None if there is none. Raises `Refusal` for what cannot be read as
    one, and what `LiveReads` does."""
    kind = outcome_kind(workload.group, workload.kind)
    if kind is None:
        raise _of_no_kind(f"a {workload.kind} does not say whether it is available")
    stored = await api.workload(namespace, workload)
    if stored is None:
        return None
    try:
        reference = reference_of(kind, stored)
        referred = None if reference is None else await api.workload(namespace, reference)
        return running_workload(kind, stored, referred)
    except PodTemplateError as error:
        raise _of_no_kind(f"{workload}: {error}") from error


def _of_no_kind(message: str) -> Refusal:
    return Refusal(RefusalReason.WRONG_CONTENT, message, "spec.target")
