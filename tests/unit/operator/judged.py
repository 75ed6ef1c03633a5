# SPDX-License-Identifier: Apache-2.0
"""An API server in memory that takes of the operator only what cabgate's webhook would take."""

from collections.abc import Mapping
from typing import Any

from cabgate.api import CABException, CABRequest, DeploymentIntent
from cabgate.api.riskmodel import RiskModel
from cabgate.lifecycle.requests.opening import is_wanted
from cabgate.review.identity import User
from cabgate.review.submitters import is_decided
from cabgate.risk.model_choice import choose_model, recorded_model
from cabgate.text.refusal import Refusal
from cabgate.writes.system import check_exception_status, check_intent_status
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import (
    EXCEPTIONS,
    INTENTS,
    NAMESPACES,
    REQUESTS,
    RISK_MODELS,
    Object,
    Resource,
)
from unit.core.standings import check_created, check_request_status
from unit.operator.support import ME, MemoryApi

OPERATOR = User(ME)


class JudgedApi(MemoryApi):
    """`MemoryApi`, whose writes the rules of the webhook judge, as it calls them. Every refusal is
    kept: nothing changes between what the operator reads and what it writes here, so that whatever
    is refused once is refused for ever."""

    refusals: list[str]

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        if resource is REQUESTS:
            self._judge(lambda: self._judge_created(namespace, body))
        return await super().create(resource, namespace, body)

    async def replace_status(self, resource: Resource, body: Object) -> Object:
        old = self.objects.get((resource.plural, body["metadata"]["namespace"],
                                body["metadata"]["name"]))  # fmt: skip
        if old is not None:
            new = {**old, "status": body["status"]}
            judge = {
                REQUESTS: self._judge_request,
                EXCEPTIONS: self._judge_exception,
                INTENTS: self._judge_intent,
            }[resource]
            self._judge(lambda: judge(old, new))
        return await super().replace_status(resource, body)

    def _judge(self, check: Any) -> None:
        try:
            check()
        except Refusal as refusal:
            self.refusals = [*getattr(self, "refusals", []), str(refusal)]
            causes = [cause.reason for cause in refusal.causes]
            raise ApiError(403, "Forbidden", str(refusal), causes=causes) from None

    def intent(self, namespace: str, name: str) -> DeploymentIntent | None:
        """A live intent."""
        raw = self.objects.get((INTENTS.plural, namespace, name))
        return None if raw is None else DeploymentIntent.model_validate(raw)

    def naming(self, request: CABRequest) -> list[CABRequest]:
        """The requests that name one of the workloads of a request, or are of the same intent."""
        intent = request.spec.intent_ref
        return [
            other
            for other in map(CABRequest.model_validate, self.all(REQUESTS))
            if set(other.metadata.labels) & set(request.metadata.labels)
            or (intent and other.spec.intent_ref and other.spec.intent_ref.name == intent.name)
        ]

    def _asked_for(self, request: CABRequest) -> DeploymentIntent | None:
        reference = request.spec.intent_ref
        assert reference is not None
        return self.intent(request.metadata.namespace, reference.name)

    def _judge_created(self, namespace: str, body: Object) -> None:
        request = CABRequest.model_validate(body)
        labels = self.objects[(NAMESPACES.plural, "", namespace)]["metadata"].get("labels", {})
        model = choose_model(labels, self.all(RISK_MODELS))
        check_created(request, self._asked_for(request), self.naming(request), model)

    def _judge_request(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        request, written = CABRequest.model_validate(old), CABRequest.model_validate(new)
        intent = self._asked_for(request)
        model: RiskModel | None = recorded_model(
            request.spec.assessment.risk_model, self.all(RISK_MODELS)
        )
        check_request_status(
            request,
            written,
            OPERATOR,
            current=is_wanted(request, intent),
            model=model,
            now=self._clock(),
            intent=intent,
            others=self.naming(request),
        )

    def _judge_exception(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        before, after = CABException.model_validate(old), CABException.model_validate(new)
        place = (REQUESTS.plural, before.metadata.namespace, before.spec.request_ref.name)
        raw = self.objects.get(place)
        request = None if raw is None else CABRequest.model_validate(raw)
        intent = None if request is None else self._asked_for(request)
        check_exception_status(before, after, OPERATOR, self._clock(), request, intent)

    def _judge_intent(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        intent = DeploymentIntent.model_validate(new)
        name = intent.status.request_name
        raw = self.objects.get((REQUESTS.plural, intent.metadata.namespace, str(name)))
        found = None if raw is None else CABRequest.model_validate(raw)
        check_intent_status(intent, found if is_decided(intent) else None)
