# SPDX-License-Identifier: Apache-2.0
"""The API group cabgate.dev/v1alpha1: one module for each kind, the only source of the CRDs."""

from cabgate.api.decision import CABDecision
from cabgate.api.evidence import Evidence
from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest
from cabgate.api.riskmodel import RiskModel
from cabgate.api.signer import EvidenceSigner
from cabgate.api.types import Target

__all__ = [
    "CABDecision",
    "CABException",
    "CABRequest",
    "DeploymentIntent",
    "Evidence",
    "EvidenceSigner",
    "RiskModel",
    "Target",
]
