# SPDX-License-Identifier: Apache-2.0
"""What people read: one message under 1 KiB, the reason first, the next command last."""

import json
from datetime import datetime

from cabgate.api.stored import Declared
from cabgate.gate.checks import RECORDS
from cabgate.gate.composing import compose, shortened
from cabgate.gate.record import Situation
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
    found = Situation(tried(rollout, ring, reason), rollout, basis, now, machines)
    return compose(*record.message(found)), record.warnings(found)


def controller_message(
    rollout: Rollout, ring: int, maker: Workload, request: Declared, username: str
) -> str:
    """The message of `NoRequest` for what a controller made of a workload that is approved, and
    that nobody named to this installation."""
    return compose(
        f"{tried(rollout, ring, Reason.NO_REQUEST)} has no CABRequest, but {maker}, which it says "
        f"it was made from, is approved by {request.metadata.name}.",
        ["Whoever can act as a user named there is past the gate."],
        f"{shortened(username, 200)} asked. If that is the controller of {maker.kind}s, a cluster "
        f"admin names it in the chart's values: controllers: {json.dumps([username])}",
    )


def tried(rollout: Rollout, ring: int, reason: Reason) -> str:
    """How a denial begins: with its reason, and what was tried."""
    return f"{reason}: {rollout.workload} in namespace {rollout.namespace} (ring {ring})"
