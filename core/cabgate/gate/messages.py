# SPDX-License-Identifier: Apache-2.0
"""What people read: one message under 1 KiB, the reason first, the next command last."""

import json
from datetime import datetime

from cabgate.api.stored import Declared
from cabgate.gate.checks import RECORDS
from cabgate.gate.commands import show_intent
from cabgate.gate.composing import compose, sentence, shortened
from cabgate.gate.record import Situation
from cabgate.gate.unjudged import Unopened
from cabgate.gate.verdict import Basis, Reason
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload


def texts_of(
    rollout: Rollout,
    ring: int,
    reason: Reason,
    basis: Basis,
    now: datetime,
    machines: Machines = SERVICE_ACCOUNTS,
) -> tuple[str, tuple[str, ...]]:
    """The message of a decision (reason code, what was tried, why, what to do next), and what to
    warn of where it admits."""
    record = RECORDS[reason]
    found = Situation(_tried(rollout, ring, reason), rollout, basis, now, machines)
    return compose(*record.message(found)), record.warnings(found)


def controller_message(
    rollout: Rollout, ring: int, maker: Workload, request: Declared, username: str
) -> str:
    """The message of `NoRequest` for what a controller made of a workload that is approved, and
    that nobody named to this installation."""
    return compose(
        f"{_tried(rollout, ring, Reason.NO_REQUEST)} has no CABRequest, but {maker}, which it says "
        f"it was made from, is approved by {request.metadata.name}.",
        ["Whoever can act as a user named there is past the gate."],
        f"{shortened(username, 200)} asked. If that is the controller of {maker.kind}s, a cluster "
        f"admin names it in the chart's values: controllers: {json.dumps([username])}",
    )


def unopened_message(rollout: Rollout, ring: int, reason: Reason, intent: Unopened) -> str:
    """The message of a denial of what an intent declares, and the operator opened no request
    for."""
    namespace = rollout.namespace
    return compose(
        f"{_tried(rollout, ring, reason)} has no CABRequest for its images. DeploymentIntent "
        f"{intent.name} declares them, and none is opened for it: {shortened(intent.reason, 100)}.",
        [sentence(shortened(intent.message, 500))],
        f"Once that is mended it is opened. See: {show_intent(namespace, intent.name)}",
    )


def _tried(rollout: Rollout, ring: int, reason: Reason) -> str:
    return f"{reason}: {rollout.workload} in namespace {rollout.namespace} (ring {ring})"
