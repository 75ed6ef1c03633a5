# SPDX-License-Identifier: Apache-2.0
"""What a reviewer looks at, read through kubectl: imported only for that, with all models."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cabgate.api import (
    CABEvidence,
    CABException,
    CABRequest,
    DeploymentIntent,
    RolloutOutcome,
)
from cabgate.api.outcome import PLURAL as OUTCOMES
from cabgate.api.outcome import RELEASE_LABEL
from cabgate.lifecycle.history.renewals import renewed
from cabgate.lifecycle.limits.promotion import EarlierRings
from cabgate.lifecycle.requests.kept_evidence import kept_templates
from cabgate.lifecycle.state.standing import ExceptionStanding, WholeRequest, takes_exception
from cabgate.review.reviewers import ReviewSubject
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template
from cabgate.text.inert import inert
from cabgate.views.compare import Comparison, Kept, compare, last_approved, shared_label
from cabgate.views.decided import Decided, exception_decided, request_decided
from cabgate.views.rings import release_of
from cabgate.views.selectors import APPROVED_REQUESTS, LIVE_EXCEPTIONS
from cabgate.views.show import RequestView, show
from cabgate_cli.errors import BadInput, Unavailable, note
from cabgate_cli.input.kubectl.process import Kubectl, NotThere
from cabgate_cli.input.names import object_name
from cabgate_cli.input.stored import exceptions_of, parsed, requests_of
from cabgate_cli.input.viewer import now, user_of

_REQUEST_WORDS = ("cabreq", "cabrequest", "cabrequests")
_EXCEPTION_WORDS = ("cabex", "cabexception", "cabexceptions", "exception")


@dataclass(frozen=True)
class Named:
    """A request or an exception as it was named on the command line."""

    name: str
    exception: bool

    @property
    def resource(self) -> str:
        """How kubectl calls its kind."""
        return "cabexception" if self.exception else "cabrequest"

    def __str__(self) -> str:
        return f"{'CABException' if self.exception else 'CABRequest'} {self.name}"


@dataclass(frozen=True)
class Subject:
    """What is decided, with all that is known of it."""

    namespace: str
    named: Named
    about: ReviewSubject
    view: RequestView

    @property
    def digest(self) -> str:
        """The digest of the evidence that is decided on."""
        return self.about.request.spec.evidence_digest

    @property
    def uid(self) -> str:
        """That of the object itself, which no other one of its name has."""
        decided = self.about.exception or self.about.request
        return decided.metadata.uid


def named(argument: str) -> Named:
    """What an argument names: a request, or with `cabex/` before it an exception."""
    kind, slash, name = argument.rpartition("/")
    if slash and kind not in (*_REQUEST_WORDS, *_EXCEPTION_WORDS):
        raise BadInput(f"NAME: {inert(argument)}: unknown kind; allowed: NAME, cabex/NAME")
    return Named(object_name(name, "NAME"), kind in _EXCEPTION_WORDS)


def read_subject(kubectl: Kubectl, namespace: str, what: Named) -> Subject:
    """A request or an exception, and beside it whatever may be read. Raises `Unavailable`."""
    exception: CABException | None = None
    name = what.name
    if what.exception:
        exception = _exception(kubectl, namespace, name)
        name = exception.spec.request_ref.name
    request = _request(kubectl, namespace, name)
    with ThreadPoolExecutor(max_workers=6) as pool:
        rings = pool.submit(_earlier_rings, kubectl, request)
        renewals = pool.submit(_renewals, kubectl, namespace, request, what)
        changes = pool.submit(_changes, kubectl, namespace, request)
        viewer = pool.submit(kubectl.whoami)
        others = pool.submit(_exceptions, kubectl, namespace, request)
        intent, known = _intent(kubectl, namespace, request.stored)
    view = show(
        request,
        others.result(),
        now(),
        intent=intent,
        intent_known=known,
        viewer=user_of(viewer.result()),
        changes=changes.result(),
        exception=exception,
        renewals=renewals.result(),
        earlier_rings=rings.result(),
    )
    return Subject(namespace, what, ReviewSubject(request.stored, intent, exception), view)


def read_decided(kubectl: Kubectl, namespace: str, what: Named) -> Decided:
    """How a request or an exception was decided. Raises `Unavailable`."""
    if what.exception:
        return exception_decided(_exception(kubectl, namespace, what.name), now())
    request = _request(kubectl, namespace, what.name)
    exceptions: list[CABException] = []
    if takes_exception(request.standing):
        selector = f"{LIVE_EXCEPTIONS},spec.requestRef.name={what.name}"
        exceptions = exceptions_of(kubectl.list(namespace, "cabexceptions", selector=selector))
    return request_decided(request, exceptions, now())


def read_changes(kubectl: Kubectl, namespace: str, what: Named) -> Comparison:
    """What a request, or that of an exception, changes against the one that was approved last.
    Raises `Unavailable`."""
    name = what.name
    if what.exception:
        name = _exception(kubectl, namespace, name).spec.request_ref.name
    return _compared(kubectl, namespace, _request(kubectl, namespace, name))


def changes_since(kubectl: Kubectl, subject: Subject, digest: str) -> Comparison | None:
    """What is other than in the request of a digest that somebody looked at; None if there is no
    such request in the namespace."""
    items = kubectl.list(subject.namespace, "cabrequests")
    others = (each for each in items if each.get("spec", {}).get("evidenceDigest") == digest)
    before = next(requests_of(others), None)
    return compare(WholeRequest.of(subject.about.request), before) if before else None


def _request(kubectl: Kubectl, namespace: str, name: str) -> WholeRequest:
    found = kubectl.one(namespace, "cabrequests", name, quiet=False)
    return WholeRequest.of(parsed(CABRequest, found))


def _exception(kubectl: Kubectl, namespace: str, name: str) -> CABException:
    found = kubectl.one(namespace, "cabexceptions", name, quiet=False)
    return parsed(CABException, found)


def _intent(
    kubectl: Kubectl, namespace: str, request: CABRequest
) -> tuple[DeploymentIntent | None, bool]:
    """The live intent, and whether it is known that this is it, or that there is none."""
    reference = request.spec.intent_ref
    if reference is None:
        return None, True
    try:
        found = kubectl.one(namespace, "deploymentintents", reference.name)
        return parsed(DeploymentIntent, found), True
    except NotThere:
        return None, True
    except Unavailable as error:
        note(f"whether its intent still asks for it is not known: {error.message}")
        return None, False


def _exceptions(kubectl: Kubectl, namespace: str, request: WholeRequest) -> list[CABException]:
    selector = f"{LIVE_EXCEPTIONS},spec.requestRef.name={request.name}"
    try:
        return exceptions_of(kubectl.list(namespace, "cabexceptions", selector=selector))
    except Unavailable as error:
        note(f"its exceptions are not known: {error.message}")
        return []


def _earlier_rings(kubectl: Kubectl, request: WholeRequest) -> EarlierRings | None:
    """What became of its release, in whatever namespaces it runs; None where that is not known."""
    release = release_of(request.stored)
    if release is None:
        return EarlierRings({}, template=None)
    try:
        items = kubectl.list(None, OUTCOMES, labels=f"{RELEASE_LABEL}={release}")
        found = [parsed(RolloutOutcome, item) for item in items]
    except Unavailable as error:
        note(f"what became of release {release} in the rings before is not known: {error.message}")
        return None
    return EarlierRings({release: found}, template=None)


def _renewals(
    kubectl: Kubectl, namespace: str, request: WholeRequest, what: Named
) -> list[ExceptionStanding]:
    """The exceptions of before for its workloads, where it is one that takes an exception."""
    if not takes_exception(request.standing):
        return []
    try:
        exceptions = exceptions_of(kubectl.list(namespace, "cabexceptions"))
        items = kubectl.list(namespace, "cabrequests", labels=shared_label(request))
        others = [each.standing for each in requests_of(items)]
    except Unavailable as error:
        note(f"which exceptions there were before is not known: {error.message}")
        return []
    return renewed(request.standing, others, exceptions, what.name if what.exception else "")


def _changes(kubectl: Kubectl, namespace: str, request: WholeRequest) -> Comparison | None:
    try:
        return _compared(kubectl, namespace, request)
    except Unavailable as error:
        note(f"what was approved before is not known: {error.message}")
        return None


def _compared(kubectl: Kubectl, namespace: str, request: WholeRequest) -> Comparison:
    """A request beside the one that was approved last, with what their containers do."""
    before = last_approved(request, _approved(kubectl, namespace, request))
    now = _kept(kubectl, namespace, request)
    was = {} if before is None else _kept(kubectl, namespace, before)
    return compare(request, before, kept=Kept(now, was))


def _kept(kubectl: Kubectl, namespace: str, request: WholeRequest) -> Mapping[Workload, Template]:
    """What the containers of a request do, as far as it was written out and may be read."""
    if not any(target.template for target in request.stored.spec.targets):
        return {}
    try:
        found = parsed(CABEvidence, kubectl.one(namespace, "cabevidences", request.name))
    except NotThere:
        return {}
    except Unavailable as error:
        note(f"what the containers of {request.name} do is not known: {error.message}")
        return {}
    return kept_templates(request.stored, found)


def _approved(kubectl: Kubectl, namespace: str, request: WholeRequest) -> list[WholeRequest]:
    items = kubectl.list(
        namespace, "cabrequests", selector=APPROVED_REQUESTS, labels=shared_label(request)
    )
    return list(requests_of(items))
