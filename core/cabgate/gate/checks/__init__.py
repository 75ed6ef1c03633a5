# SPDX-License-Identifier: Apache-2.0
"""One module a check, each with a record of every reason that it finds; see docs/extending."""

from cabgate.gate.checks import (
    approved,
    attestation,
    covered,
    exception,
    frozen,
    gated,
    glass,
    promoted,
    refused,
    requirements,
    review,
    template,
    validity,
    window,
)
from cabgate.gate.record import ArgoHealth, Record
from cabgate.gate.verdict import Reason

CHECKS = (
    glass.check,
    requirements.check,
    refused.check_content,
    refused.check_images,
    template.check,
    validity.check,
    window.check,
    attestation.check,
    approved.check,
    exception.check,
    exception.check_needed,
    review.check,
    refused.check,
)
"""In this order each looks at a request that covers a rollout; what the first one finds, counts."""

MODULES = (
    gated,
    covered,
    template,
    approved,
    review,
    exception,
    window,
    validity,
    frozen,
    promoted,
    attestation,
    refused,
    glass,
    requirements,
)
"""In this order the docs tell of their reasons."""

CHECKED = tuple(record for module in MODULES for record in module.RECORDS)

RECORDS: dict[Reason, Record] = {record.reason: record for record in CHECKED}
"""All that is known of each reason."""

ADMITTING = frozenset(reason for reason, record in RECORDS.items() if record.admits)
"""The reasons for which a rollout is admitted; every other one denies."""

STALLED = frozenset(
    reason for reason, record in RECORDS.items() if record.health is ArgoHealth.DEGRADED
)
"""Reasons that waiting does not help against: somebody has to change something."""

IN_FORCE = frozenset(reason for reason, record in RECORDS.items() if record.in_force)
"""Reasons of what is approved, be it under conditions that are not met now."""
