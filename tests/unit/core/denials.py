# SPDX-License-Identifier: Apache-2.0
"""Every text of a denial, from fixed objects: what tests/golden/denials holds."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionVerdict
from cabgate.api.intent import FieldManager
from cabgate.api.request import RequestVerdict
from cabgate.api.types import Submitter
from cabgate.gate.messages import controller_message
from cabgate.gate.verdict import Reason
from cabgate.ledger.signatures import PublicKeys
from cabgate.lifecycle.limits.budget import check_asking
from cabgate.lifecycle.state.requirements import POD_TEMPLATE, check_known
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines, User
from cabgate.review.review import REQUEST_REVIEW, check_person_write, stamped_status
from cabgate.review.reviewers import ReviewFacts, check_reviewer
from cabgate.review.submitters import check_requester
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.rollout.gated_targets import check_targets
from cabgate.rollout.image_names import check_images
from cabgate.rollout.normal_form import normal_form
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, template_of_forms
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.caller_proof import MIN_BYTES, check_proof
from cabgate.writes.image_digests import check_digests
from cabgate.writes.revoking import images_to_revoke
from cabgate_samples.models import (
    IMAGE,
    NAMESPACE,
    NOW,
    OTHER_DIGEST,
    by_person,
    by_system,
    exception,
    intent,
    newer,
    request,
    retrospective,
    rollout,
    target,
)
from cabgate_samples.objects import MIDDLING
from support.policies import BOARD, ESCALATING, vote
from unit.core import by_terms
from unit.core.by_terms import RISKY, uncounted
from unit.core.frozen import KEPT_BACK
from unit.core.limited import DAY, limited
from unit.core.standings import (
    Surroundings,
    check_created,
    check_not_approver,
    check_opening,
    check_takes_exception,
    decide,
)

CHECKOUT = rollout()
ROBOT = "system:serviceaccount:ci:deployer"
NEW_IMAGE = "registry.example.com/shop/checkout:1.5.0"


def _denial(
    requests: list[CABRequest] | None = None,
    exceptions: list[CABException] | None = None,
    what: Rollout = CHECKOUT,
    ring: int = 2,
    now: datetime = NOW,
    **more: Any,
) -> str:
    found = decide(*(what, ring, requests or [], exceptions or [], now), **more)
    message: str = found.message
    return message


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


def _template(*command: str, **spec: Any) -> Template:
    container = {"name": "checkout", "image": IMAGE, "command": list(command)}
    return template_of_forms([normal_form({"spec": {"containers": [container], **spec}})])


def _bound(template: Template, **metadata: Any) -> CABRequest:
    said = {"template": template.digest, "templateFields": template.fields}
    of = intent(MIDDLING, [{**target(), **said}])
    of = of.model_copy(update={"metadata": of.metadata.model_copy(update=metadata)})
    return request("ManualReview", by_person("Approved"), of=of)


BOUND = _bound(_template("serve"))
FROM_GIT = _bound(_template("serve"), managed_fields=[FieldManager(manager="kustomize-controller")])
SILENT = request("ManualReview", by_person("Approved"))
SILENT = SILENT.model_copy(
    update={"spec": SILENT.spec.model_copy(update={"requires": [POD_TEMPLATE]})}
)
DOES_MORE = replace(
    CHECKOUT, template=_template("sh", hostPID=True, volumes=[{"name": "data", "hostPath": {}}])
)


WAITING = request("ManualReview")
MACHINE = request(of=intent(MIDDLING, submittedBy=[{"username": ROBOT}]))
NEWER = newer(request("ManualReview", by_person("Approved")), "quorum", "promotion")
PAUSE = "registry.example.com/pause:3.9"
BESIDE = request(
    "ManualReview", by_person("Approved"), targets=[target("checkout", IMAGE, PAUSE)], name="beside"
)
WITHDRAWN = request(
    "ManualReview",
    by_person("Approved"),
    by_person("Revoked", rationale="CVE-2026-1"),
    targets=[target("checkout", IMAGE, NEW_IMAGE)],
    name="withdrawn",
)
OTHER = request("AutoApprove", by_system("AutoApproved"), name="other",
                targets=[target("checkout", PAUSE)])  # fmt: skip
UNNAMED = request(of=intent(named=False))
BUMPED = request(
    of=intent(targets=[target("checkout", NEW_IMAGE)]), others=[request("AutoApprove")]
)
REFUSED_BEFORE = request("ManualReview", by_person("Rejected", rationale="no rollback plan"))
LEAVE = exception(RISKY, name="another")


def _denials() -> dict[Reason, list[str]]:
    r = Reason
    before = rfc3339(NOW - DAY)
    return {
        r.NO_REQUEST: [
            *(_denial(what=what) for what in KINDS),
            controller_message(
                KINDS[3],
                2,
                Workload("argoproj.io", "Rollout", "checkout"),
                BESIDE,
                "system:serviceaccount:argo-rollouts:argo-rollouts",
            ),
        ],
        r.IMAGES_NOT_COVERED: [
            _denial([WAITING], what=rollout(NEW_IMAGE)),
            _denial([WAITING], what=rollout("a", "b", "c", "d"), ring=4),
        ],
        r.TEMPLATE_NOT_COVERED: [
            _denial([BOUND], what=DOES_MORE),
            _denial([SILENT], what=DOES_MORE, ring=3, template_required=True),
            _denial([FROM_GIT], what=DOES_MORE),
        ],
        r.REVIEW_PENDING: [
            _denial([WAITING]),
            _denial([MACHINE]),
            _denial([request("AutoApprove")]),
            _denial([UNNAMED]),
            _denial([BUMPED], what=rollout(NEW_IMAGE)),
            *(_denial([request("ManualReview", policy=each)]) for each in (BOARD, ESCALATING)),
            _denial([by_terms.ONE_VOTE]),
        ],
        r.EXCEPTION_REQUIRED: [_denial([each]) for each in (RISKY, by_terms.STRICT)],
        r.EXCEPTION_PENDING: [
            _denial([RISKY], [exception(RISKY)]),
            _denial([by_terms.WATCHED], [by_terms.HALF_APPROVED]),
        ],
        r.EXCEPTION_ENDED: [_denial([RISKY], [exception(RISKY, days=1, age=2 * DAY)])],
        r.CONSTRAINT_VIOLATED: [_denial([RISKY], *each) for each in limited(RISKY)],
        r.OUTSIDE_WINDOW: [
            _denial([_conditional(notBefore=rfc3339(NOW + DAY))]),
            _denial([_conditional(notAfter=before)]),
        ],
        r.APPROVAL_ENDED: [_denial([by_terms.ENDED], now=NOW + 2 * DAY)],
        **{reason: [_denial(**each) for each in found] for reason, found in KEPT_BACK.items()},
        r.ATTESTATION_MISSING: [
            _denial([_conditional(attestation="Required")]),
            _denial([by_terms.BOUND_BY_TWO]),
        ],
        r.REJECTED: [_denial([REFUSED_BEFORE])],
        r.REVOKED: [
            _denial([request("ManualReview", by_person("Approved"), by_person("Revoked"))]),
            _denial([BESIDE, WITHDRAWN], what=rollout(IMAGE, PAUSE)),
        ],
        r.SUPERSEDED: [_denial([request("ManualReview", by_system("Superseded"))])],
        r.GLASS_BROKEN: [_denial([retrospective(by_person("Approved"))])],
        r.UNKNOWN_REQUIREMENT: [_denial([NEWER])],
    }


def _refused(call: Callable[..., object], *given: object) -> str:
    try:
        call(*given)
    except Refusal as refusal:
        fields = [each for each in refusal.causes if each.field]
        _fields[str(refusal)] = "".join(f"    {each.field}: {each.reason}\n" for each in fields)
        return str(refusal)
    raise AssertionError("not refused")


_fields: dict[str, str] = {}
"""The fields of the causes of a refusal, by its text."""


def facts(**changed: Any) -> ReviewFacts:
    """What a review of somebody rests on who may decide, but for what is changed."""
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
    return _refused(lambda: check_reviewer(who, verdict, plural, facts(**changed)))


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


def _by_its_approver(user: str, **spec: Any) -> None:
    approved = request("ManualReview", by_person("Approved"))
    check_not_approver(intent(MIDDLING), intent(MIDDLING, **spec), User(user), approved)


def _asked_by(name: str) -> None:
    check_requester(None, intent(requester=name), [], SERVICE_ACCOUNTS)


def _target(bad: dict[str, Any]) -> str:
    return _refused(lambda: check_targets(intent(targets=[bad])))


def _refusals() -> dict[RefusalReason, list[str]]:
    r, revoked = RefusalReason, ExceptionVerdict.REVOKED
    approved = {"review": {"verdict": "Approved", "rationale": "fine"}}
    return {
        r.NOT_AUTHORIZED: [
            _reviewer(holds_verb=False),
            _reviewer(revoked, "cabexceptions", holds_verb=False),
            _refused(uncounted, by_terms.ONE_VOTE, vote("max", verbs=[])),
            _refused(
                uncounted,
                request(policy=ESCALATING),
                vote("max", verbs=["approve-oncall"]),
            ),
        ],
        r.SELF_APPROVAL: [
            _reviewer(user=User("ann")),
            _reviewer(requesters=frozenset({"rita"})),
            _reviewer(impersonates=ROBOT),
            _refused(lambda: _by_its_approver("rita")),
            _refused(
                uncounted,
                by_terms.BOUND_BY_TWO,
                vote("max", "Attested", condition="calm", verbs=[]),
            ),
            _refused(lambda: _by_its_approver("bob", requester="rita")),
        ],
        r.MACHINE: [
            _reviewer(user=User(ROBOT)),
            _reviewer(user=User("ci:deploy"), machines=Machines(user_prefixes=("ci:",))),
        ],
        r.REQUESTER_NEEDED: [_reviewer(submitters=[Submitter(username=ROBOT)])],
        r.NOT_CURRENT: [_reviewer(current=False)],
        r.INTENT_CHANGED: [_reviewer(changed=True)],
        r.REFUSALS_CHANGED: [_reviewer(lifts_otherwise=True)],
        r.UNKNOWN_REQUIREMENT: [_refused(lambda: check_known(NEWER))],
        r.ILLEGAL_TRANSITION: [
            _refused(uncounted, by_terms.ONE_VOTE, vote("rita")),
            _refused(by_terms.overridden_again),
            _refused(by_terms.voted_again),
            _reviewer(decided_elsewhere="checkout-0a1b2c3d, Approved"),
            _review(REFUSED_BEFORE, **approved),
            _review(
                _conditional(attestation="Required"),
                review={"verdict": "Attested", "condition": "other", "rationale": "seen"},
            ),
        ],
        r.EXCEPTION_NOT_ALLOWED: [
            *map(_refused, by_terms.BEYOND_TERMS),
            *(
                _refused(check_takes_exception, of)
                for of in (
                    *(WAITING, REFUSED_BEFORE, BESIDE, WITHDRAWN),
                    request("AutoApprove"),
                    request("ManualReview", by_system("Superseded")),
                    request("ExceptionRequired", by_person("Revoked")),
                )
            ),
        ],
        r.IMAGES_NEEDED: [
            _refused(lambda: images_to_revoke(BESIDE, [], Surroundings([BESIDE, OTHER], [], NOW))),
            _refused(lambda: images_to_revoke(OTHER, [], Surroundings([BESIDE, OTHER], [], NOW))),
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
        r.TARGET_NOT_GATED: [
            _target(bad)
            for bad in (
                target(apiVersion="v1"),
                target("Web_App", kind="Deployments"),
                target(apiVersion="v1", kind="Service"),
            )
        ],
        r.CALLER_NOT_PROVED: [_refused(lambda: check_proof({}, b"p" * MIN_BYTES))],
        r.BUDGET_USED_UP: [
            _refused(lambda: check_opening(WAITING, [(BESIDE, 700_000)])),
            _refused(lambda: check_asking(LEAVE, by_terms.leaves(5), 5, NOW)),
            _refused(lambda: check_asking(LEAVE, by_terms.leaves(20, "Rejected"), 20, NOW)),
            _refused(lambda: check_asking(LEAVE, [], 655_360, NOW)),
        ],
        r.INVALID: [
            _review(WAITING, review={"verdict": "Maybe"}),
            _refused(lambda: _asked_by(" ")),
            _refused(lambda: _asked_by("rita\u200b")),
            _refused(lambda: _asked_by(ROBOT)),
            _refused(lambda: images_to_revoke(BESIDE, ["b:1"], Surroundings([], [], NOW))),
            _refused(lambda: check_images(None, intent(targets=[target("web", "a b", "b ")]).spec)),
        ],
    }


def texts() -> dict[str, list[str]]:
    """The texts of each reason code that denies a rollout or refuses a write."""
    denials = {str(reason): found for reason, found in _denials().items()}
    refusals = {str(reason): found for reason, found in _refusals().items()}
    for of, found in by_terms.UNOPENED.items():
        denials[str(of)].append(found)
    for reason, calls in by_terms.OVERRIDING.items():
        refusals[str(reason)] += map(_refused, calls)
    return {
        reason: [*denials.get(reason, ()), *refusals.get(reason, ())]
        for reason in {**denials, **refusals}
    }


def rendered() -> dict[str, str]:
    """What each file holds: a text a line, and below it the fields of its causes, if it has any."""
    return {
        f"{reason}.txt": "".join(f"{text}\n{_fields.get(text, '')}" for text in found)
        for reason, found in texts().items()
    }
