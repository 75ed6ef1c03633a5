# SPDX-License-Identifier: Apache-2.0
"""Status writes on requests and exceptions: reviews by people, records by the operator."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cabgate.api import CABException, CABRequest, DeploymentIntent
from cabgate.api.types import Submitter
from cabgate.breakglass import RESOURCE, VERB
from cabgate.history import decided_elsewhere
from cabgate.identity import User, service_account_of
from cabgate.lifecycle import state_of
from cabgate.refusal import Refusal, RefusalReason
from cabgate.requests import is_wanted
from cabgate.review import (
    EXCEPTION_REVIEW,
    REQUEST_REVIEW,
    ReviewKind,
    check_person_write,
    moment_after,
    recorded,
    requested_review,
    stamped_status,
)
from cabgate.reviewers import ReviewFacts, check_reviewer, check_service_account, verb_for
from cabgate.signatures import SigningKeys, check_signature
from cabgate.systemwrites import approves_by_score, check_exception_status, check_request_status
from cabgate.targets import Workload
from cabgate_webhook.admission import Answer, Review, metadata_of
from cabgate_webhook.apiserver import ApiServer
from cabgate_webhook.models import model_behind

KINDS: dict[str, ReviewKind] = {kind.plural: kind for kind in (REQUEST_REVIEW, EXCEPTION_REVIEW)}
"""The kinds whose status carries reviews, by resource."""


@dataclass(frozen=True)
class _Matter:
    """What a status write is about."""

    request: CABRequest
    intent: DeploymentIntent | None
    exception: CABException | None

    @property
    def current(self) -> bool:
        return is_wanted(self.request, self.intent)

    @property
    def submitters(self) -> Sequence[Submitter]:
        people = list(self.request.spec.submitted_by)
        if self.intent is not None:
            people += self.intent.spec.submitted_by
        if self.exception is not None:
            people += self.exception.spec.submitted_by
        return list(dict.fromkeys(people))

    @property
    def requesters(self) -> frozenset[str]:
        live = self.intent.spec.requester if self.intent is not None else None
        return frozenset(name for name in (self.request.spec.requester, live) if name)


async def stamp_review(review: Review, api: ApiServer, keys: SigningKeys, now: datetime) -> Answer:
    """The patch that turns a person's review into a signed decision. Raises `Refusal`."""
    kind = KINDS[review.resource]
    if requested_review(kind, review.old_object, review.object) is None:
        return Answer(allowed=True, reason="NoReview")
    check_service_account(review.user)
    request = await _request_of(review, api)
    status = stamped_status(
        kind,
        review.old_object,
        review.object,
        request.spec.evidence_digest,
        review.user,
        await _moment(request, api, now),
    )
    if status is not None:
        added = status["decisions"][-1]
        signature = keys.sign(kind.kind, _uid(review), kind.parse_entry(added))
        added["signature"] = signature.to_dict()
    patch = [{"op": "add", "path": "/status", "value": status}]
    return Answer(allowed=True, reason="ReviewStamped", patch=patch)


async def judge_status(
    review: Review, api: ApiServer, operator: str, keys: SigningKeys, now: datetime
) -> Answer:
    """The answer to a status write on a request or an exception. Raises `Refusal`."""
    if review.user.username == operator:
        await _judge_operator(review, api, now)
        return Answer(allowed=True, reason="SystemWrite")
    kind = KINDS[review.resource]
    if review.old_object.get("status") == review.object.get("status"):
        return Answer(allowed=True, reason="Unchanged")
    check_service_account(review.user)
    matter = await _matter(review, api)
    entry = check_person_write(
        kind,
        review.old_object,
        review.object,
        matter.request.spec.evidence_digest,
        review.user,
        now,
        keys.public,
    )
    if entry is None:
        return Answer(allowed=True, reason="Unchanged")
    check_signature(keys, kind.kind, _uid(review), entry)
    verb = verb_for(entry.verdict)
    holds_verb, impersonates, may_have_broken, elsewhere = await asyncio.gather(
        api.may(
            review.user,
            verb=verb,
            resource=kind.plural,
            namespace=review.namespace,
            name=review.name,
        ),
        _impersonates(review.user, matter.submitters, api),
        _may_have_broken(review.user, matter.request, api),
        _decided_elsewhere(review, matter.request, api),
    )
    facts = ReviewFacts(
        submitters=matter.submitters,
        requesters=matter.requesters,
        holds_verb=holds_verb,
        impersonates=impersonates,
        current=matter.current,
        glass=matter.request.spec.break_glass is not None,
        may_have_broken=may_have_broken,
        decided_elsewhere=elsewhere,
    )
    check_reviewer(review.user, entry.verdict, kind.plural, facts)
    subject = kind.parse(review.old_object)
    return Answer(
        allowed=True, reason="DecisionRecorded", warnings=[recorded(kind, subject, entry)]
    )


async def _moment(request: CABRequest, api: ApiServer, now: datetime) -> datetime:
    """The time of a decision on a request or an exception for it: after every other one that the
    gate compares it with, those on requests for the same workloads."""
    namespace = request.metadata.namespace
    named = [Workload.of(target) for target in request.spec.targets]
    requests = await api.requests_naming(namespace, named, whole=False)
    exceptions = await api.exceptions_for(namespace, [each.metadata.name for each in requests])
    subjects: list[CABRequest | CABException] = [*requests, *exceptions]
    return moment_after(now, (entry.at for each in subjects for entry in each.status.decisions))


def _uid(review: Review) -> str:
    return str(metadata_of(review.old_object).get("uid") or "")


async def _judge_operator(review: Review, api: ApiServer, now: datetime) -> None:
    if review.resource == EXCEPTION_REVIEW.plural:
        old = CABException.model_validate(review.old_object)
        check_exception_status(old, CABException.model_validate(review.object), review.user, now)
        return
    request = CABRequest.model_validate(review.old_object)
    intent = await _intent_of(request, api)
    written = CABRequest.model_validate(review.object)
    model = await model_behind(request, api) if approves_by_score(request, written) else None
    check_request_status(
        request,
        written,
        review.user,
        current=is_wanted(request, intent),
        model=model,
        now=now,
    )


async def _request_of(review: Review, api: ApiServer) -> CABRequest:
    """The request that a review is about: itself, or the one that an exception names."""
    if review.resource == REQUEST_REVIEW.plural:
        return CABRequest.model_validate(review.old_object)
    name = CABException.model_validate(review.old_object).spec.request_ref.name
    request = await api.request(review.namespace, name)
    if request is None:
        raise Refusal(
            RefusalReason.NOT_CURRENT,
            f"there is no CABRequest {name} in namespace {review.namespace} to except from; "
            "delete the exception, or wait until its request is there",
            "spec.requestRef.name",
        )
    return request


async def _intent_of(request: CABRequest, api: ApiServer) -> DeploymentIntent | None:
    """The live intent that a request was made from, if there is one."""
    reference = request.spec.intent_ref
    if reference is None:
        return None
    return await api.intent(request.metadata.namespace, reference.name)


async def _may_have_broken(user: User, request: CABRequest, api: ApiServer) -> bool:
    """Whether nobody knows who broke the glass, and a user may."""
    broken = request.spec.break_glass
    if broken is None or broken.by:
        return False
    namespace = request.metadata.namespace
    return await api.may(user, verb=VERB, resource=RESOURCE, namespace=namespace)


async def _matter(review: Review, api: ApiServer) -> _Matter:
    request = await _request_of(review, api)
    intent = await _intent_of(request, api)
    exception = None
    if review.resource == EXCEPTION_REVIEW.plural:
        exception = CABException.model_validate(review.old_object)
    return _Matter(request, intent, exception)


async def _decided_elsewhere(review: Review, request: CABRequest, api: ApiServer) -> str:
    """Name and state of another request for the same content that is decided; empty if none is."""
    if review.resource != REQUEST_REVIEW.plural:
        return ""
    # The same content has the same targets: the requests of the first of them are enough.
    first = Workload.of(request.spec.targets[0])
    other = decided_elsewhere(request, await api.requests_for(review.namespace, first))
    return "" if other is None else f"{other.metadata.name} is {state_of(other)}"


async def _impersonates(user: User, submitters: Sequence[Submitter], api: ApiServer) -> str | None:
    """User name of a submitting service account that a user could act as, if there is one."""
    machines = [s.username for s in submitters if service_account_of(s.username) is not None]
    answers = await asyncio.gather(*(_could_act_as(user, name, api) for name in machines))
    return next((name for name, could in zip(machines, answers, strict=True) if could), None)


async def _could_act_as(user: User, username: str, api: ApiServer) -> bool:
    account = service_account_of(username)
    if account is None:
        return False
    namespace, name = account

    async def may(verb: str, group: str = "", subresource: str = "") -> bool:
        return await api.may(
            user,
            verb=verb,
            group=group,
            resource="serviceaccounts",
            subresource=subresource,
            namespace=namespace,
            name=name,
        )

    return any(
        await asyncio.gather(
            may("impersonate"),
            # Constrained impersonation, on by default from Kubernetes 1.36 on.
            may("impersonate:serviceaccount", group="authentication.k8s.io"),
            may("create", subresource="token"),
        )
    )
