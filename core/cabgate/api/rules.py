# SPDX-License-Identifier: Apache-2.0
"""The kinds by which admins of a cluster say how changes are judged: the one list of them.

A write of one is a privileged action to a SIEM, and an event store keeps each content of theirs.
"""

from dataclasses import dataclass

from cabgate.api import changefreeze, changepolicy, riskmodel, signer


@dataclass(frozen=True)
class RuleKind:
    """A kind of the cluster."""

    kind: str
    plural: str
    """Plural name, as in URLs."""
    code: str
    """What an event is called by that tells of a write."""


RULES = (
    RuleKind(riskmodel.KIND, riskmodel.PLURAL, "risk-model-changed"),
    RuleKind(changefreeze.KIND, changefreeze.PLURAL, "freeze-changed"),
    RuleKind(changepolicy.KIND, changepolicy.PLURAL, "change-policy-changed"),
    RuleKind(signer.KIND, signer.PLURAL, "signer-changed"),
)
"""All of them. What ranges over it beside code: the rights of the relay (its role in the chart, and
examples/relay/roles.yaml) and examples/siem/audit-policy.yaml; tests name what is lacking."""
