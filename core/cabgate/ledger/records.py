# SPDX-License-Identifier: Apache-2.0
"""What a record of the ledger says: enough to answer who asked for what, why it was judged so, and
who decided, when all that it is about is gone; and never more than 6 KB."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.decision import (
    ASKED,
    FORMAT,
    OPENED,
    DecisionSubject,
    SubjectKind,
)
from cabgate.api.exception import CABException
from cabgate.api.request import CABRequest
from cabgate.api.types import Author, AuthorType, DecisionEntry, Tier
from cabgate.ledger.shortening import MAX_RECORD, Short, json_size, shortened, shortened_entry
from cabgate.lifecycle.state.standing import standing_of

Subject = CABRequest | CABException

SUBMISSION = 0
"""Position of a submission before the decisions of its subject."""

MAX_TARGETS_SIZE = 4096
"""Longest list of targets that a record has in full, in bytes."""

MAX_WORKLOADS_SIZE = 1024
"""Longest list of workloads in their place, in bytes."""

_OWN = 1400
"""Room for what an exception says, in bytes, where there is enough."""

_OWN_LEAST = 700
"""What that takes at least, if all of it is as long as it may be."""

_REST = 1600
"""Room for what a request says beside its targets, in bytes: they take no more from it."""

_LEAST = 2500
"""What a request's part of a record takes at least, if all of it is as long as it may be."""

_CHAIN = 520
"""Room for what says where a record stands, for when a request was taken, and for the envelope of
the object, in bytes."""

OF_REQUEST = frozenset(
    {
        "breakGlass",
        "correlationID",
        "factors",
        "floors",
        "gate",
        "intent",
        "requestedBy",
        "requester",
        "ring",
        "riskModel",
        "score",
        "submittedBy",
        "summary",
        "targets",
        "terms",
        "workloads",
    }
)
"""Fields of an exception's record that come from its request."""

_CUT_OF_REQUEST = (
    "factors",
    "floors",
    "requestedBy",
    "requester",
    "riskModel",
    "submittedBy",
    "summary",
    "terms",
)


def kind_of(subject: Subject) -> SubjectKind:
    """Kind of a subject."""
    return SubjectKind.REQUEST if isinstance(subject, CABRequest) else SubjectKind.EXCEPTION


def subject_of(subject: Subject) -> dict[str, Any]:
    """How a record names its subject."""
    meta = subject.metadata
    return DecisionSubject(
        kind=kind_of(subject), namespace=meta.namespace, name=meta.name, uid=meta.uid
    ).to_dict()


def decided(
    subject: Subject, request: CABRequest | None = None, only: Container[int] | None = None
) -> list[dict[str, Any]]:
    """The content of one record for each entry of a subject's decisions, in order, without its
    place in the chain; or of those alone whose positions `only` holds.

    `request` is the request that an exception is for, if it is there.
    """
    about = subject if isinstance(subject, CABRequest) else request
    contents = []
    entries: Sequence[DecisionEntry] = subject.status.decisions
    for entry in sorted(entries, key=lambda entry: entry.sequence):
        if only is not None and entry.sequence not in only:
            continue
        of_same = about
        if about is not None and about.spec.evidence_digest != entry.evidence_digest:
            of_same = None
        contents.append(_content(subject, of_same, _entry(entry)))
    return contents


def submitted(subject: Subject, request: CABRequest | None, recorder: str) -> dict[str, Any] | None:
    """The content of the record that says that a request was opened, or an exception asked for.

    There is one only as long as nothing was decided: the record of the first decision says when and
    by whom as well. Nor is there one of a request that the system approves by score or opened for a
    broken glass, of which it decides at once, nor of an exception for a request that is gone.
    """
    about = subject if isinstance(subject, CABRequest) else request
    created = subject.metadata.creation_timestamp
    if subject.status.decisions or about is None or created is None:
        return None
    if isinstance(subject, CABRequest) and not _waits(subject):
        return None
    entry = {
        "sequence": SUBMISSION,
        "verdict": OPENED if isinstance(subject, CABRequest) else ASKED,
        "author": Author(type=AuthorType.SYSTEM, username=recorder).to_dict(),
        "at": rfc3339(created),
        "evidenceDigest": about.spec.evidence_digest,
    }
    return _content(subject, about, entry)


def may_be_submitted(kind: SubjectKind, raw: Mapping[str, Any]) -> bool:
    """Whether a stored object may ask for such a record; cheap, and never wrong when it says no."""
    if (raw.get("status") or {}).get("decisions"):
        return False
    if kind is SubjectKind.EXCEPTION:
        return True
    spec = raw.get("spec") or {}
    gate = (spec.get("assessment") or {}).get("gate")
    looked_at = bool((raw.get("status") or {}).get("state"))
    return not spec.get("breakGlass") and (gate != Tier.AUTO_APPROVE.value or looked_at)


def _waits(request: CABRequest) -> bool:
    # What the operator has looked at and not approved by score waits for a person.
    by_score = request.spec.assessment.gate is Tier.AUTO_APPROVE and request.status.state is None
    return request.spec.break_glass is None and not by_score


def _entry(entry: DecisionEntry) -> dict[str, Any]:
    said = entry.to_dict()
    short = shortened_entry(said)
    # What an older release signed verifies only as a whole.
    whole = entry.signature is not None and entry.signature.form is None
    return said if whole else short


def _content(
    subject: Subject, request: CABRequest | None, entry: Mapping[str, Any]
) -> dict[str, Any]:
    said = {**entry, "entry": entry["sequence"], "subject": subject_of(subject), "format": FORMAT}
    del said["sequence"]
    cut = list(said.pop("cut", ()))
    created = subject.metadata.creation_timestamp
    if created is not None:
        said["opened"] = rfc3339(created)
    room = MAX_RECORD - _CHAIN - json_size({**said, "cut": cut})
    if isinstance(subject, CABException):
        own = _of_exception(subject, min(_OWN, max(room - _LEAST, _OWN_LEAST)))
        said, cut, room = {**said, **own.fields}, [*cut, *own.cut], room - own.size
    if request is not None:
        if isinstance(subject, CABRequest):
            taken = _taken(subject, int(said["entry"]))
            said |= {"taken": taken} if taken else {}
        part = _of_request(request, room)
        said, cut = {**said, **part.fields}, [*cut, *part.cut]
    if cut:
        said["cut"] = sorted(cut, key=lambda each: str(each["field"]))
    return said


def _of_exception(exception: CABException, room: int) -> Short:
    spec = exception.spec
    content = {
        "requestName": spec.request_ref.name,
        "reason": spec.reason,
        "compensatingControls": list(spec.compensating_controls),
        "durationDays": spec.duration_days,
        "submittedBy": [submitter.username for submitter in spec.submitted_by],
    }
    if spec.constraints is not None:  # absent in what is cut as well: its digest stays
        content["constraints"] = spec.constraints.to_dict()
    if spec.approvals_needed is not None:
        content["approvalsNeeded"] = spec.approvals_needed
    return shortened({"exception": content}, ["exception"], room)


def _of_request(request: CABRequest, room: int) -> Short:
    """What a record says of a request."""
    spec, assessment = request.spec, request.spec.assessment
    targets = [target.to_dict() for target in spec.targets]
    content: dict[str, Any] = {
        "correlationID": spec.correlation_id,
        "score": assessment.score,
        "gate": assessment.gate.value,
        "ring": spec.ring,
        "riskModel": assessment.risk_model.to_dict(),
        "terms": spec.terms.to_dict() if spec.terms else None,
        "factors": [
            {"name": f.name, "risk": f.risk, "contribution": f.contribution}
            for f in assessment.factors
        ],
        "floors": [floor.to_dict() for floor in assessment.floors],
        "submittedBy": [submitter.username for submitter in spec.submitted_by],
        "requestedBy": list(spec.requested_by),
        "requester": spec.requester,
        "summary": spec.summary,
        "intent": spec.intent_ref.to_dict() if spec.intent_ref else None,
    }
    names = list(_CUT_OF_REQUEST)
    if spec.break_glass is not None:
        broken = spec.break_glass
        content["breakGlass"] = {"ticket": broken.ticket, "reason": broken.reason, "by": broken.by}
        names.append("breakGlass")
    present = {key: value for key, value in content.items() if value not in (None, [], "")}
    kept = {key: value for key, value in present.items() if key not in names}
    size = json_size(targets)
    without_targets = shortened({"targets": targets}, ["targets"], 0).cut
    room -= json_size(kept) + json_size(without_targets)
    wanted = size if size <= MAX_TARGETS_SIZE else 0
    part = shortened(present, names, max(room - wanted, min(_REST, room)))
    room -= part.size
    fields, cut = {**kept, **part.fields}, part.cut
    if wanted and size <= room:
        return Short({**fields, "targets": targets}, cut)
    workloads = _workloads(request, min(room, MAX_WORKLOADS_SIZE))
    return Short({**fields, **workloads}, [*cut, *without_targets])


def _taken(request: CABRequest, entry: int) -> str | None:
    then = [each for each in request.status.decisions if each.sequence <= entry]
    status = request.status.model_copy(update={"decisions": then})
    found = standing_of(request.model_copy(update={"status": status})).taken_at
    return None if found is None else rfc3339(found)


def _workloads(request: CABRequest, room: int) -> dict[str, list[str]]:
    """The names of the first targets, as many as there is room for."""
    names: list[str] = []
    for target in request.spec.targets:
        following = [*names, f"{target.api_version} {target.kind} {target.name}"]
        if json_size({"workloads": following}) > room:
            break
        names = following
    return {"workloads": names} if names else {}
