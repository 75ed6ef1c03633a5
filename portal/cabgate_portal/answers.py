# SPDX-License-Identifier: Apache-2.0
"""What is answered, as docs/api/openapi.json describes it. The views of the domain are described by
their own fields: nothing of them is written down a second time."""

from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel

from cabgate.api.descriptions import field_descriptions
from cabgate.lifecycle.state.waiting import Outcome
from cabgate.views.queue import QueueRow
from cabgate.views.show import DecisionView, RequestView
from cabgate_portal.checking import Checked

_VIEWS: dict[type[BaseModel], type] = {}


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Put the texts that stand below the fields of a view, or of a model, into its schema."""
    texts = field_descriptions(_VIEWS.get(model, model))
    for name, text in texts.items():
        found = schema.get("properties", {}).get(to_camel(name))
        if found is not None:
            found.setdefault("description", " ".join(text.split()))


class Described(BaseModel):
    """A part of an answer; each field is there, unless it says otherwise."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, json_schema_extra=_describe
    )


@cache
def described(view: type) -> type[BaseModel]:
    """The model of a view, as `cabgate.views.plain` writes it."""
    hints = get_type_hints(view)
    parts: dict[str, Any] = {
        each.name: (_described(hints[each.name]), ...) for each in fields(view)
    }
    made = create_model(view.__name__, __base__=Described, __doc__=view.__doc__, **parts)
    _VIEWS[made] = view
    return made


def _described(kind: Any) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return described(kind)
    if kind is timedelta:
        return Annotated[int, Field(description="Seconds.")]
    if get_origin(kind) is tuple:
        return list[_described(get_args(kind)[0])]  # type: ignore[misc]
    if get_origin(kind) in (Union, UnionType):
        first, *others = (_described(each) for each in get_args(kind) if each is not NoneType)
        if others:
            raise TypeError(f"{kind}: a view has one type and None at most")
        return first | None
    return kind


Id = Annotated[str, Field(description="`namespace.name`.")]
Notes = Annotated[list[str], Field(description="What could not be read or told, and why.")]
AuditId = Annotated[
    str, Field(description="Id of the write in the API server's audit log; empty without one.")
]
DryRun = Annotated[bool, Field(description="Whether nothing was stored.")]
CorrelationID = Annotated[str, Field(alias="correlationID")]
Further = Annotated[
    str | None, Field(alias="continue", description="For the next page; null in the last.")
]

CheckAnswer = described(Checked)


class IntentAnswer(Described):
    """How an intent stands. What is of a request is null until the operator has looked at the
    intent as it is now."""

    intent: Id
    uid: str
    generation: int
    id: Id | None
    """The request that it opened."""
    state: str | None
    evidence_digest: str | None
    score: str | None
    tier: str | None
    correlation_id: Annotated[str | None, Field(alias="correlationID")]
    outcome: Outcome
    message: str


class SubmitAnswer(IntentAnswer):
    """An intent that was submitted."""

    new: bool
    """Whether its content is new."""
    dry_run: DryRun
    notes: Notes
    audit_id: AuditId


class SubmittedExceptionAnswer(Described):
    """An exception that was submitted."""

    id: Id
    uid: str
    request: Id
    outcome: Outcome
    message: str
    new: bool
    dry_run: DryRun
    audit_id: AuditId


class ShownAnswer(Described):
    """A request, or an exception with its request, with all that is to be decided by."""

    id: Id
    outcome: Outcome
    message: str
    view: described(RequestView)  # type: ignore[valid-type]
    notes: Notes


class DecisionsAnswer(Described):
    """The decisions of a request."""

    id: Id
    items: list[described(DecisionView)]  # type: ignore[valid-type]


class DecidedRequestAnswer(Described):
    """A request after a decision."""

    id: Id
    state: str
    decisions: list[described(DecisionView)]  # type: ignore[valid-type]
    dry_run: DryRun
    audit_id: AuditId


class DecidedExceptionAnswer(Described):
    """An exception after a decision."""

    id: Id
    outcome: Outcome
    message: str
    decisions: list[described(DecisionView)]  # type: ignore[valid-type]
    dry_run: DryRun
    audit_id: AuditId


class WaitingItem(described(QueueRow)):  # type: ignore[misc]
    """What waits, with its id."""

    id: Id


class WaitingAnswer(Described):
    """What waits, the oldest first."""

    items: list[WaitingItem]
    notes: Notes


class RequestItem(Described):
    """A request in a list."""

    id: Id
    uid: str
    opened: datetime | None
    intent: str | None
    state: str
    score: str
    tier: str
    targets: str
    correlation_id: CorrelationID
    evidence_digest: str


class RequestsAnswer(Described):
    """A page of requests."""

    items: list[RequestItem]
    further: Further
    notes: Notes


class ExceptionItem(Described):
    """An exception in a list."""

    id: Id
    uid: str
    request: Id
    state: str
    outcome: Outcome
    reason: str
    constraints: list[dict[str, Any]]
    """What it admits no rollout beyond: of its team, and of the reviewer who approved it; each that
    is given has to hold."""
    ends: datetime


class ExceptionsAnswer(Described):
    """A page of exceptions."""

    items: list[ExceptionItem]
    further: Further
    notes: Notes


class LedgerItem(Described):
    """A record of the ledger."""

    name: str
    spec: dict[str, Any]
    """As it is stored: that of a CABDecision, in docs/reference/api.md."""


class LedgerAnswer(Described):
    """A page of the ledger."""

    items: list[LedgerItem]
    further: Further
    notes: Notes
