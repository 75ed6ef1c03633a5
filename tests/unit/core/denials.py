# SPDX-License-Identifier: Apache-2.0
"""Every text of a denial, from fixed objects: what tests/golden/denials holds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.api.types import Submitter
from cabgate.decision import Reason, Rollout
from cabgate.gate import decide
from cabgate.identity import User
from cabgate.imagedigests import check_digests
from cabgate.refusal import Refusal, RefusalReason
from cabgate.review import REQUEST_REVIEW, check_person_write, stamped_status
from cabgate.reviewers import ReviewFacts, check_reviewer
from cabgate.riskmodel import DEFAULT_RISK_MODEL
from cabgate.signatures import PublicKeys
from cabgate.systemwrites import check_created
from cabgate.targets import Workload
from unit.core.builders import (
    IMAGE,
    MEDIUM,
    NAMESPACE,
    NOW,
    OTHER_DIGEST,
    by_person,
    by_system,
    exception,
    intent,
    request,
    rollout,
)

DAY = timedelta(days=1)
CHECKOUT = rollout()
ROBOT = "system:serviceaccount:ci:deployer"
NEW_IMAGE = "registry.example.com/shop/checkout:1.5.0"


def _denial(
    requests: list[CABRequest] | None = None,
    exceptions: list[CABException] | None = None,
    what: Rollout = CHECKOUT,
    ring: int = 2,
) -> str:
    return decide(what, ring, requests or [], exceptions or [], NOW).message


def _kind(group: str, kind: str, name: str, *also: Workload) -> Rollout:
    return Rollout(NAMESPACE, Workload(group, kind, name), (IMAGE,), also)


KINDS = [
    CHECKOUT,
    _kind("apps", "StatefulSet", "orders"),
    _kind("apps", "DaemonSet", "agent"),
    _kind("apps", "ReplicaSet", "checkout-7d9"),
    _kind("", "ReplicationController", "legacy"),
    _kind("batch", "Job", "migrate-*"),
    _kind("batch", "Job", "report-now", Workload("batch", "CronJob", "report")),
    _kind("batch", "CronJob", "report"),
    _kind("", "Pod", "shell"),
    _kind("argoproj.io", "Rollout", "checkout"),
    _kind("apps.kruise.io", "CloneSet", "checkout"),
    rollout(*(f"registry.example.com/{'long/' * 20}{n}" for n in range(5))),
]
"""What is rolled out without a request."""


def _conditional(**fields: Any) -> CABRequest:
    condition = {"name": "calm", "description": "outside of the sale", **fields}
    return request("ManualReview", by_person("ConditionallyApproved", conditions=[condition]))


RISKY = request("ExceptionRequired")
WAITING = request("ManualReview")
MACHINE = request(of=intent(MEDIUM, submittedBy=[{"username": ROBOT}]))
REFUSED_BEFORE = request("ManualReview", by_person("Rejected", rationale="no rollback plan"))


def _denials() -> dict[Reason, list[str]]:
    r = Reason
    before = rfc3339(NOW - DAY)
    return {
        r.NO_REQUEST: [_denial(what=what) for what in KINDS],
        r.IMAGES_NOT_COVERED: [
            _denial([WAITING], what=rollout(NEW_IMAGE)),
            _denial([WAITING], what=rollout("a", "b", "c", "d"), ring=4),
        ],
        r.REVIEW_PENDING: [
            _denial([WAITING]),
            _denial([MACHINE]),
            _denial([request("AutoApprove")]),
        ],
        r.EXCEPTION_REQUIRED: [_denial([RISKY])],
        r.EXCEPTION_PENDING: [_denial([RISKY], [exception(RISKY)])],
        r.EXCEPTION_ENDED: [_denial([RISKY], [exception(RISKY, days=1, age=2 * DAY)])],
        r.OUTSIDE_WINDOW: [
            _denial([_conditional(notBefore=rfc3339(NOW + DAY))]),
            _denial([_conditional(notAfter=before)]),
        ],
        r.ATTESTATION_MISSING: [_denial([_conditional(attestation="Required")])],
        r.REJECTED: [_denial([REFUSED_BEFORE])],
        r.REVOKED: [
            _denial([request("ManualReview", by_person("Approved"), by_person("Revoked"))])
        ],
        r.SUPERSEDED: [_denial([request("ManualReview", by_system("Superseded"))])],
    }


def _refused(call: Callable[[], object]) -> str:
    try:
        call()
    except Refusal as refusal:
        return str(refusal)
    raise AssertionError("not refused")


def _facts(**changed: Any) -> ReviewFacts:
    known: dict[str, Any] = {
        "submitters": [Submitter(username="ann")],
        "requesters": frozenset(),
        "holds_verb": True,
        "impersonates": None,
        "current": True,
    }
    return ReviewFacts(**(known | changed))


def _reviewer(
    verdict: RequestVerdict | ExceptionVerdict = RequestVerdict.APPROVED,
    plural: str = "cabrequests",
    user: User | None = None,
    **changed: Any,
) -> str:
    who = user or User("rita")
    return _refused(lambda: check_reviewer(who, verdict, plural, _facts(**changed)))


def _raw(subject: CABRequest) -> dict[str, Any]:
    return subject.model_dump(mode="json", by_alias=True, exclude_none=True)


def _review(subject: CABRequest, **status: Any) -> str:
    old = _raw(subject)
    new = {**old, "status": {**old["status"], **status}}
    digest = subject.spec.evidence_digest
    return _refused(lambda: stamped_status(REQUEST_REVIEW, old, new, digest, User("rita"), NOW))


def _write(subject: CABRequest, **status: Any) -> str:
    old = _raw(subject)
    new = {**old, "status": {**old["status"], **status}}
    digest = subject.spec.evidence_digest
    rita, keys = User("rita"), PublicKeys()
    return _refused(lambda: check_person_write(REQUEST_REVIEW, old, new, digest, rita, NOW, keys))


def _refusals() -> dict[RefusalReason, list[str]]:
    r, revoked = RefusalReason, ExceptionVerdict.REVOKED
    approved = {"review": {"verdict": "Approved", "rationale": "fine"}}
    return {
        r.NOT_AUTHORIZED: [
            _reviewer(holds_verb=False),
            _reviewer(revoked, "cabexceptions", holds_verb=False),
        ],
        r.SELF_APPROVAL: [
            _reviewer(user=User("ann")),
            _reviewer(requesters=frozenset({"rita"})),
            _reviewer(impersonates=ROBOT),
        ],
        r.SERVICE_ACCOUNT: [_reviewer(user=User(ROBOT))],
        r.REQUESTER_NEEDED: [_reviewer(submitters=[Submitter(username=ROBOT)])],
        r.NOT_CURRENT: [_reviewer(current=False)],
        r.ILLEGAL_TRANSITION: [
            _reviewer(decided_elsewhere="checkout-0a1b2c3d, Approved"),
            _review(REFUSED_BEFORE, **approved),
            _review(
                _conditional(attestation="Required"),
                review={"verdict": "Attested", "condition": "other", "rationale": "seen"},
            ),
        ],
        r.DIGEST_MISMATCH: [
            _review(WAITING, review={**approved["review"], "evidenceDigest": OTHER_DIGEST})
        ],
        r.WRITTEN_BY_OPERATOR_ONLY: [_write(WAITING, takenAt=rfc3339(NOW))],
        r.WRONG_CONTENT: [
            _refused(lambda: check_created(WAITING, None, [], DEFAULT_RISK_MODEL)),
            _refused(lambda: check_created(MACHINE, intent(), [], DEFAULT_RISK_MODEL)),
        ],
        r.DIGEST_REQUIRED: [_refused(lambda: check_digests(intent(), 3, 3))],
        r.INVALID: [_review(WAITING, review={"verdict": "Maybe"})],
    }


def texts() -> dict[str, list[str]]:
    """The texts of each reason code that denies a rollout or refuses a write."""
    denials = {str(reason): found for reason, found in _denials().items()}
    return denials | {str(reason): found for reason, found in _refusals().items()}


def rendered() -> dict[str, str]:
    """What each file holds: a text a line."""
    return {f"{reason}.txt": "".join(f"{text}\n" for text in found)
            for reason, found in texts().items()}  # fmt: skip
