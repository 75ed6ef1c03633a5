# SPDX-License-Identifier: Apache-2.0
"""The API group cabgate.dev/v1alpha1: one module for each kind, the only source of the CRDs.

Each model is imported when it is asked for: to import all of them takes longer than what needs none
takes otherwise.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cabgate.api.cabevidence import CABEvidence
    from cabgate.api.changefreeze import ChangeFreeze
    from cabgate.api.changepolicy import ChangePolicy
    from cabgate.api.decision import CABDecision
    from cabgate.api.evidence import Evidence
    from cabgate.api.exception import CABException
    from cabgate.api.intent import DeploymentIntent
    from cabgate.api.outcome import RolloutOutcome
    from cabgate.api.request import CABRequest
    from cabgate.api.riskmodel import RiskModel
    from cabgate.api.signer import EvidenceSigner
    from cabgate.api.types import Target

__all__ = [
    "CABDecision",
    "CABEvidence",
    "CABException",
    "CABRequest",
    "ChangeFreeze",
    "ChangePolicy",
    "DeploymentIntent",
    "Evidence",
    "EvidenceSigner",
    "RiskModel",
    "RolloutOutcome",
    "Target",
]

_MODULES = {
    "CABDecision": "decision",
    "CABEvidence": "cabevidence",
    "CABException": "exception",
    "CABRequest": "request",
    "ChangeFreeze": "changefreeze",
    "ChangePolicy": "changepolicy",
    "DeploymentIntent": "intent",
    "Evidence": "evidence",
    "EvidenceSigner": "signer",
    "RiskModel": "riskmodel",
    "RolloutOutcome": "outcome",
    "Target": "types",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found
