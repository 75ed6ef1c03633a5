# SPDX-License-Identifier: Apache-2.0
"""Which tool applies an intent: what somebody changes in the cluster, that tool changes back."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what only lists needs no models
    from cabgate.api.intent import DeploymentIntent, IntentMeta
    from cabgate.api.request import CABRequest

FLUX, ARGO_CD, HELM = "Flux", "Argo CD", "Helm"

# Flux first: its helm-controller leaves the marks of Helm as well.
_MARKS = (
    (
        FLUX,
        {"kustomize-controller", "helm-controller"},
        {"kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"},
    ),
    (
        ARGO_CD,
        {"argocd-controller", "argocd-application-controller"},
        {"argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id"},
    ),
    (HELM, {"helm"}, {"meta.helm.sh/release-name"}),
)
"""Tools with their field managers, and the labels and annotations that they set."""


def tool_of(metadata: "IntentMeta") -> str | None:
    """The tool that applies an intent, as its labels, annotations and field managers tell; None if
    people do.

    `app.kubernetes.io/instance` tells nothing: charts set it as well, whoever applies them.
    """
    managers = {entry.manager for entry in metadata.managed_fields}
    marks = {*metadata.labels, *metadata.annotations}
    managed_by = metadata.labels.get("app.kubernetes.io/managed-by")
    for tool, own_managers, own_marks in _MARKS:
        if managers & own_managers or marks & own_marks or managed_by == tool:
            return tool
    return None


def where_to_edit(name: str, tool: str) -> str:
    """What to do in place of a command where a tool applies an intent."""
    if tool == HELM:
        return f"edit DeploymentIntent {name} in the chart or the values of its Helm release"
    return f"edit DeploymentIntent {name} in Git, from where {tool} applies it"


def with_applier(request: "CABRequest", intent: "DeploymentIntent") -> "CABRequest":
    """A request as messages tell of it, beside the intent of its name.

    One that was opened by an older release, or before a tool came to apply the intent, does not say
    which tool does.
    """
    reference = request.spec.intent_ref
    if reference is None or reference.applied_by or reference.name != intent.metadata.name:
        return request
    reference = reference.model_copy(update={"applied_by": tool_of(intent.metadata)})
    spec = request.spec.model_copy(update={"intent_ref": reference})
    return request.model_copy(update={"spec": spec})
