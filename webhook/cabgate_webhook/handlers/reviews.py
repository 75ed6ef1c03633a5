# SPDX-License-Identifier: Apache-2.0
"""Status writes on requests and exceptions: reviews by people, records by the operator."""

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from cabgate.api import CABException, CABRequest, DeploymentIntent
from cabgate.api.exception import ExceptionDecision, ExceptionReview, ExceptionVerdict
from cabgate.api.request import (
    Provenance,
    RequestDecision,
    RequestReview,
    RequestReviewVerdict,
    RequestVerdict,
)
from cabgate.api.riskmodel import RiskModel
from cabgate.api.stored import StoredSubmitter
from cabgate.api.types import AuthorType, Checked
from cabgate.ledger.signatures import PublicKeys, SigningKeys, check_signature
from cabgate.lifecycle.history.precedent import decided_elsewhere
from cabgate.lifecycle.requests.break_glass import RESOURCE, VERB
from cabgate.lifecycle.requests.opening import is_wanted
from cabgate.lifecycle.state.requirements import check_known
from cabgate.lifecycle.state.standing import RequestStanding, WholeRequest, standing_of
from cabgate.lifecycle.state.states import is_retrospective, next_request_state, state_of
from cabgate.review.identity import Machines, User, service_account_of
from cabgate.review.races import check_voters_stand_apart
from cabgate.review.review import (
    EXCEPTION_REVIEW,
    REQUEST_REVIEW,
    ReviewKind,
    check_person_write,
    check_same_object,
    moment_after,
    recorded,
    requested_review,
    stamped_status,
)
from cabgate.review.reviewers import (
    ReviewFacts,
    ReviewSubject,
    check_person,
    check_reviewer,
    same_people,
    verb_for,
)
from cabgate.rollout.targets import Workload
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.exceptions import (
    check_takes_exception,
    check_within_terms,
    warnings_of_asking_again,
)
from cabgate.writes.lifting import warnings_of_approval, with_lifts
from cabgate.writes.revoking import Surroundings, images_to_revoke, warnings_of
from cabgate.writes.system import (
    approves_by_score,
    check_exception_status,
    check_request_status,
    rests_on_others,
    takes_back,
)
from cabgate.writes.votes import warnings_of_exception_votes, warnings_of_votes
from cabgate_webhook.admission.caller import STRIP
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest, metadata_of
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.handlers.models import model_behind
from cabgate_webhook.handlers.overrides import check_overrides
from cabgate_webhook.handlers.signed import provenance_now
from cabgate_webhook.handlers.surroundings import others_naming, surroundings_of
from cabgate_webhook.handlers.votes import check_verbs, may_decide, verbs_held

KINDS: dict[str, ReviewKind] = {kind.plural: kind for kind in (REQUEST_REVIEW, EXCEPTION_REVIEW)}
"""The kinds whose status carries reviews, by resource."""


async def stamp_review(
    admission: AdmissionRequest,
    api: LiveReads,
    keys: SigningKeys,
    now: datetime,
    machines: Machines,
) -> AdmissionAnswer:
    """The patch that turns a person's review into a decision, signed once everything else was
    checked; in a dry run it is not signed. Raises `Refusal`."""
    kind = KINDS[admission.resource]
    asked = requested_review(kind, admission.old_object, admission.object)
    if asked is None:
        return AdmissionAnswer(allowed=True, reason="NoReview", patch=[STRIP])
    check_same_object(kind, admission.old_object, admission.object)
    check_person(admission.user, machines)
    subject = await _subject(admission, api)
    request = subject.request
    check_known(request)
    around = await surroundings_of(request, api, now)
    verbs = await verbs_held(admission, asked.verdict.value, request, api)
    status = stamped_status(
        kind,
        admission.old_object,
        admission.object,
        request.spec.evidence_digest,
        admission.user,
        _moment(around),
        _checked(asked, subject, around),
        _revoked_images(asked, request, around),
        verbs,
    )
    if status is not None:
        stamped = dataclasses.replace(admission, object={**admission.object, "status": status})
        decision = await _checked_decision(stamped, subject, None, api, now, machines, around)
        if decision is not None and not admission.dry_run:
            signature = keys.sign(kind.kind, _uid(admission), decision.entry)
            status["decisions"][-1]["signature"] = signature.to_dict()
    patch = [{"op": "add", "path": "/status", "value": status}, STRIP]
    return AdmissionAnswer(allowed=True, reason="ReviewStamped", patch=patch)


def _checked(
    asked: RequestReview | ExceptionReview, subject: ReviewSubject, around: Surroundings
) -> Checked:
    """What a review is checked against, as it is known before it is a decision."""
    request = isinstance(asked, RequestReview)
    verdict = (RequestVerdict if request else ExceptionVerdict)(asked.verdict.value)
    votes = standing_of(subject.request).votes
    return with_lifts(subject.checked, subject.request, verdict, around.requests, votes)


def _revoked_images(
    asked: RequestReview | ExceptionReview, request: CABRequest, around: Surroundings
) -> Sequence[str]:
    """The images that a review revokes. What cannot be revoked now is refused for that, whatever
    images it names. Raises `Refusal`."""
    if not isinstance(asked, RequestReview) or asked.verdict is not RequestReviewVerdict.REVOKED:
        return ()
    revoked = RequestVerdict.REVOKED
    if next_request_state(request, state_of(request), revoked, AuthorType.PERSON) is None:
        return asked.images
    return images_to_revoke(request, asked.images, around)


async def judge_status(
    admission: AdmissionRequest,
    api: LiveReads,
    operator: str,
    keys: SigningKeys,
    now: datetime,
    machines: Machines,
) -> AdmissionAnswer:
    """The answer to a status write on a request or an exception. Raises `Refusal`."""
    if admission.user.username == operator:
        await _judge_operator(admission, api, now)
        return AdmissionAnswer(allowed=True, reason="SystemWrite")
    kind = KINDS[admission.resource]
    if admission.old_object.get("status") == admission.object.get("status"):
        return AdmissionAnswer(allowed=True, reason="Unchanged")
    check_person(admission.user, machines)
    subject = await _subject(admission, api)
    check_known(subject.request)
    public = None if admission.dry_run else keys.public
    decision = await _checked_decision(admission, subject, public, api, now, machines)
    if decision is None:
        return AdmissionAnswer(allowed=True, reason="Unchanged")
    if not admission.dry_run:
        check_signature(keys, kind.kind, _uid(admission), decision.entry)
    return AdmissionAnswer(allowed=True, reason="DecisionRecorded", warnings=decision.warnings)


@dataclass(frozen=True)
class _Decision:
    """What a person's status write adds, and what they are told of it."""

    entry: RequestDecision | ExceptionDecision
    warnings: Sequence[str]


async def _checked_decision(
    admission: AdmissionRequest,
    subject: ReviewSubject,
    keys: PublicKeys | None,
    api: LiveReads,
    now: datetime,
    machines: Machines,
    around: Surroundings | None = None,
) -> _Decision | None:
    """The decision that a person's status write adds, all of it checked but its signature; None if
    it adds none. The half that signs asks before it does, the half that validates once more: the
    caller of the first is not proved to be the API server. Raises `Refusal`."""
    kind = KINDS[admission.resource]
    entry = check_person_write(
        kind,
        admission.old_object,
        admission.object,
        subject.request.spec.evidence_digest,
        admission.user,
        now,
        keys,
    )
    if entry is None:
        return None
    verb = verb_for(entry.verdict)
    revokes = isinstance(entry, RequestDecision) and entry.verdict is RequestVerdict.REVOKED
    if around is None and revokes:
        around = await surroundings_of(subject.request, api, now)
    holds_verb, impersonates, may_have_broken, others, asked_before, verbs = await asyncio.gather(
        may_decide(admission, verb, subject.request, entry.at, api),
        _impersonates(admission.user, subject.submitters, api, machines),
        _may_have_broken(admission.user, subject.request, api),
        others_naming(subject.request, api, around),
        _asked_before(subject.exception, entry.verdict, api, around, now),
        verbs_held(admission, entry.verdict.value, subject.request, api),
    )
    check_verbs(entry, verbs)
    votes = standing_of(subject.request).votes
    expected = with_lifts(subject.checked, subject.request, entry.verdict, others, votes)
    facts = ReviewFacts(
        submitters=subject.submitters,
        requesters=subject.requesters,
        holds_verb=holds_verb,
        impersonates=impersonates,
        current=subject.current,
        glass=is_retrospective(subject.request),
        may_have_broken=may_have_broken,
        decided_elsewhere=_decided_elsewhere(admission, subject.request, others),
        machines=machines,
        changed=subject.unseen or not same_people(entry.checked, expected),
        lifts_otherwise=entry.checked != expected,
    )
    check_reviewer(admission.user, entry.verdict, kind.plural, facts)
    await check_overrides(admission, entry, subject.request, api)
    voted_on = subject.exception or WholeRequest.of(subject.request)
    check_voters_stand_apart(voted_on, subject.intent, entry.verdict)
    if subject.exception is not None and entry.verdict is ExceptionVerdict.APPROVED:
        check_takes_exception(standing_of(subject.request), others)
        check_within_terms(subject.exception, subject.request)
    warnings = [recorded(kind, kind.parse(admission.old_object), entry)]
    warnings += warnings_of_approval(subject.request, entry.verdict, others, votes)
    warnings += asked_before
    warnings += warnings_of_votes(subject.request, entry)
    if subject.exception is not None:
        warnings += warnings_of_exception_votes(subject.exception, entry)
    if isinstance(entry, RequestDecision) and revokes and around is not None:
        images = images_to_revoke(subject.request, entry.images, around)
        warnings += warnings_of(subject.request, images, around)
    return _Decision(entry, warnings)


async def _asked_before(
    exception: CABException | None,
    verdict: RequestVerdict | ExceptionVerdict,
    api: LiveReads,
    around: Surroundings | None,
    now: datetime,
) -> list[str]:
    """What whoever approves an exception is told of others for the same request."""
    if exception is None or verdict is not ExceptionVerdict.APPROVED:
        return []
    namespace, name = exception.metadata.namespace, exception.spec.request_ref.name
    found = await api.exceptions_for(namespace, [name]) if around is None else around.exceptions
    return warnings_of_asking_again(exception, found, now)


def _moment(around: Surroundings) -> datetime:
    """The time of a decision on a request or an exception for it: after every other one that the
    gate compares it with."""
    requests = (each.decided_until for each in around.requests)
    times = [moment for moment in requests if moment is not None]
    times += [entry.at for each in around.exceptions for entry in each.status.decisions]
    return moment_after(around.now, times)


def _uid(admission: AdmissionRequest) -> str:
    return str(metadata_of(admission.old_object).get("uid") or "")


async def _judge_operator(admission: AdmissionRequest, api: LiveReads, now: datetime) -> None:
    if admission.resource == EXCEPTION_REVIEW.plural:
        old = CABException.model_validate(admission.old_object)
        new = CABException.model_validate(admission.object)
        asked = intent = None
        if takes_back(old, new):
            asked = await api.request(admission.namespace, old.spec.request_ref.name)
            intent = None if asked is None else await _intent_of(asked, api)
        check_exception_status(old, new, admission.user, now, asked, intent)
        return
    request = CABRequest.model_validate(admission.old_object)
    intent = await _intent_of(request, api)
    written = CABRequest.model_validate(admission.object)
    model: RiskModel | None = None
    others: list[RequestStanding] = []
    signed: Sequence[Provenance] = ()
    if rests_on_others(request, written):
        named = [Workload.of(target) for target in request.spec.targets]
        of = request.spec.intent_ref
        reading = api.requests_naming(admission.namespace, named, None if of is None else of.name)
        if approves_by_score(request, written):
            others, model, signed = await asyncio.gather(
                reading, model_behind(request, api), provenance_now(intent, api, now)
            )
        else:
            others = await reading
    check_request_status(
        request,
        written,
        admission.user,
        current=is_wanted(request, intent),
        model=model,
        now=now,
        intent=intent,
        others=others,
        provenance=signed,
    )


async def _request_of(admission: AdmissionRequest, api: LiveReads) -> CABRequest:
    """The request that a review is about: itself, or the one that an exception names."""
    if admission.resource == REQUEST_REVIEW.plural:
        return CABRequest.model_validate(admission.old_object)
    name = CABException.model_validate(admission.old_object).spec.request_ref.name
    request = await api.request(admission.namespace, name)
    if request is None:
        raise Refusal(
            RefusalReason.NOT_CURRENT,
            f"there is no CABRequest {name} in namespace {admission.namespace} to except from; "
            "delete the exception, or wait until its request is there",
            "spec.requestRef.name",
        )
    return request


async def _intent_of(request: CABRequest, api: LiveReads) -> DeploymentIntent | None:
    """The live intent that a request was made from, if there is one."""
    reference = request.spec.intent_ref
    if reference is None:
        return None
    return await api.intent(request.metadata.namespace, reference.name)


async def _may_have_broken(user: User, request: CABRequest, api: LiveReads) -> bool:
    """Whether nobody knows who broke the glass, and a user may."""
    broken = request.spec.break_glass
    if broken is None or broken.by:
        return False
    namespace = request.metadata.namespace
    return await api.may(user, verb=VERB, resource=RESOURCE, namespace=namespace)


async def _subject(admission: AdmissionRequest, api: LiveReads) -> ReviewSubject:
    request = await _request_of(admission, api)
    intent = await _intent_of(request, api)
    exception = None
    if admission.resource == EXCEPTION_REVIEW.plural:
        exception = CABException.model_validate(admission.old_object)
    return ReviewSubject(request, intent, exception)


def _decided_elsewhere(
    admission: AdmissionRequest, request: CABRequest, others: Sequence[RequestStanding]
) -> str:
    """Name and state of another request for the same content that is decided; empty if none is."""
    if admission.resource != REQUEST_REVIEW.plural:
        return ""
    other = decided_elsewhere(request, others)
    return "" if other is None else f"{other.metadata.name} is {other.state}"


async def _impersonates(
    user: User, submitters: Sequence[StoredSubmitter], api: LiveReads, machines: Machines
) -> str | None:
    """User name of a submitting machine that a user could act as, if there is one."""
    names = [each.username for each in submitters if machines.submitted(each)]
    answers = await asyncio.gather(*(_could_act_as(user, name, api) for name in names))
    return next((name for name, could in zip(names, answers, strict=True) if could), None)


async def _could_act_as(user: User, username: str, api: LiveReads) -> bool:
    account = service_account_of(username)
    namespace, name = account or ("", username)
    resource = "users" if account is None else "serviceaccounts"
    may = partial(api.may, user, group="", resource=resource, namespace=namespace, name=name)
    # Constrained impersonation, on by default from Kubernetes 1.36 on.
    constrained = "impersonate:user-info" if account is None else "impersonate:serviceaccount"
    ways = [may(verb="impersonate"), may(verb=constrained, group="authentication.k8s.io")]
    if account is not None:
        ways.append(may(verb="create", subresource="token"))
    return any(await asyncio.gather(*ways))
