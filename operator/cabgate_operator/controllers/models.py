# SPDX-License-Identifier: Apache-2.0
"""Risk models and change policies: which ones hold for a namespace, and the built-in models where
they are absent."""

import contextlib
import logging
from collections.abc import Mapping, Sequence

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.request import CABRequest
from cabgate.api.riskmodel import RiskModel
from cabgate.api.selectable import NoneHolds
from cabgate.lifecycle.requests.terms import choose_policy
from cabgate.risk.builtin_model import BUILT_IN, DEFAULT_NAME
from cabgate.risk.model_choice import choose_model, recorded_model
from cabgate_kube.errors import AlreadyExistsError, ApiError
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import CHANGE_POLICIES, RISK_MODELS, Object, Resource
from cabgate_operator.work.context import Context
from cabgate_operator.work.controller import Controller, Watch
from cabgate_operator.work.keys import Key, Subject

log = logging.getLogger(__name__)


async def chosen_model(context: Context, labels: Mapping[str, str]) -> RiskModel | NoneHolds:
    """The model that holds now for a namespace with these labels."""
    return choose_model(labels, await _all(context, RISK_MODELS))


async def chosen_policy(
    context: Context, labels: Mapping[str, str]
) -> ChangePolicy | NoneHolds | None:
    """The change policy that holds now for a namespace with these labels, if there is one."""
    return choose_policy(labels, await _all(context, CHANGE_POLICIES))


async def model_behind(context: Context, request: CABRequest) -> RiskModel | None:
    """The model that a request was scored with, if it is still there as it was."""
    models = await _all(context, RISK_MODELS)
    return recorded_model(request.spec.assessment.risk_model, models)


async def _all(context: Context, resource: Resource) -> list[Object]:
    """All of them, as they were listed since the last change of one: the webhook lists them itself
    before it believes a score."""

    async def read() -> list[Object]:
        return await context.api.list(resource, "")

    return await context.remembered.still(resource, "", read)


async def reconcile_models(context: Context, key: Key) -> None:
    """Create the built-in models if the key names one and they are absent; then look again at the
    intents that had no valid model.

    The key does at the start of the operator alone: who deletes one later wants it gone.
    """
    if key.name:
        await _ensure_built_in(context)
    waiting = sorted(context.without_model)
    context.without_model.clear()
    for intent in waiting:
        context.queue.add(intent)


class Models(Controller):
    """Risk models and change policies, without which no request is opened."""

    subjects = (Subject.MODELS,)
    watches = (Watch(RISK_MODELS, swept=False), Watch(CHANGE_POLICIES, swept=False))
    reconcile = staticmethod(reconcile_models)

    def keys(self, resource: Resource, body: Object) -> Sequence[Key]:
        """All of them at once."""
        return (Key(Subject.MODELS, "", ""),)

    async def start(self, context: Context) -> None:
        """Have a risk model before the first intent is looked at; if that fails, soon after."""
        key = Key(Subject.MODELS, "", DEFAULT_NAME)
        try:
            await reconcile_models(context, key)
        except ApiError as error:
            log.warning("%s: %s, retrying soon", key, error)
            context.queue.add(key)


async def _ensure_built_in(context: Context) -> None:
    existing = await context.api.list(RISK_MODELS, "")
    names = {item["metadata"]["name"] for item in existing}
    for model in BUILT_IN.values():
        if model.name in names:
            continue
        with contextlib.suppress(AlreadyExistsError):
            await context.api.create(RISK_MODELS, "", _body(model, existing))
            about = fields(kind="riskmodel", object=model.name, reason="Created")
            log.info("risk model %s: created", model.name, extra=about)


def _body(model: RiskModel, existing: list[Object]) -> Object:
    """A built-in model as JSON: the first is the default, unless another one is marked so."""
    label = RiskModel.default_label
    taken = any(label in (item["metadata"].get("labels") or {}) for item in existing)
    labels = {} if taken else dict(model.metadata.labels)
    return {
        "apiVersion": RISK_MODELS.api_version,
        "kind": RISK_MODELS.kind,
        "metadata": {"name": model.name, "labels": labels},
        "spec": model.spec.to_dict(),
    }
