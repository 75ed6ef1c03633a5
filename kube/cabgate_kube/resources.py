# SPDX-License-Identifier: Apache-2.0
"""The resources of the API server that cabgate's processes read and write."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cabgate import API_VERSION
from cabgate.api import (
    cabevidence,
    changefreeze,
    changepolicy,
    decision,
    exception,
    intent,
    outcome,
    request,
    riskmodel,
    signer,
)

Object = dict[str, Any]
"""A Kubernetes object as JSON."""


@dataclass(frozen=True)
class Resource:
    """A resource of the API server."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of the collection, of an object or of its subresource."""
        root = "apis" if "/" in self.api_version else "api"
        parts = [root, self.api_version]
        if namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(parts)


INTENTS = Resource(API_VERSION, intent.KIND, intent.PLURAL)
REQUESTS = Resource(API_VERSION, request.KIND, request.PLURAL)
EVIDENCES = Resource(API_VERSION, cabevidence.KIND, cabevidence.PLURAL)
OUTCOMES = Resource(API_VERSION, outcome.KIND, outcome.PLURAL)
EXCEPTIONS = Resource(API_VERSION, exception.KIND, exception.PLURAL)
DECISIONS = Resource(API_VERSION, decision.KIND, decision.PLURAL)
RISK_MODELS = Resource(API_VERSION, riskmodel.KIND, riskmodel.PLURAL)
CHANGE_POLICIES = Resource(API_VERSION, changepolicy.KIND, changepolicy.PLURAL)
CHANGE_FREEZES = Resource(API_VERSION, changefreeze.KIND, changefreeze.PLURAL)
SIGNERS = Resource(API_VERSION, signer.KIND, signer.PLURAL)
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
NAMESPACES = Resource("v1", "Namespace", "namespaces")
EVENTS = Resource("v1", "Event", "events")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
SECRETS = Resource("v1", "Secret", "secrets")
_ADMISSION = "admissionregistration.k8s.io/v1"
VALIDATING = Resource(
    _ADMISSION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"
)
MUTATING = Resource(_ADMISSION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
SELF_REVIEWS = Resource("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews")
