# SPDX-License-Identifier: Apache-2.0
"""What nobody has to approve: what is below the rings that are gated, and what brings no image."""

from cabgate.gate.record import ArgoHealth, Parts, Record, Situation
from cabgate.gate.verdict import Reason
from cabgate.rollout.rings import GATED_FROM
from cabgate.rollout.rollout import Rollout


def check(rollout: Rollout, ring: int) -> Reason | None:
    """Why a rollout needs no approval; None if it needs one."""
    if ring < GATED_FROM:
        return Reason.RING_NOT_GATED
    return None if rollout.images else Reason.NO_NEW_IMAGE


def _of_ring(found: Situation) -> Parts:
    return f"{found.tried} needs no approval.", [], ""


def _of_images(found: Situation) -> Parts:
    return f"{found.tried} brings no image that was not admitted before.", [], ""


RECORDS = (
    Record(Reason.RING_NOT_GATED, _of_ring, admits=True, health=ArgoHealth.HEALTHY),
    Record(Reason.NO_NEW_IMAGE, _of_images, admits=True, health=ArgoHealth.HEALTHY),
)
