# SPDX-License-Identifier: Apache-2.0
"""What the queue reads without the models says what the models say: field by field, and row by
row."""

from collections.abc import Iterator
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from cabgate.api import CABException, CABRequest
from cabgate.api.base import Model
from cabgate.api.types import Submitter
from cabgate.review.identity import User
from cabgate.views.queue import queue
from cabgate_cli.input.kubectl.listed import exceptions_of, requests_of
from cabgate_kube.listed import ExceptionListed, ListedSubmitter, RequestListed
from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    noticed,
    request,
    retrospective,
    target,
)
from unit.core.views.builders import but

DBA = [
    {"name": "dba", "description": "the DBA is there", "attestation": "Required"},
    {"name": "night", "description": "at night", "notBefore": "2026-01-01T00:00:00Z"},
]
SUBMITTERS = [
    {"username": "ann", "uid": "u-1", "type": "Person"},
    {"username": "ann", "uid": "u-1", "type": "Person"},
    {"username": "system:serviceaccount:shop:ci", "type": "Machine"},
    {"username": "bob"},
]


def made(name: str, gate: str = "ManualReview", *decisions: Any, **spec: Any) -> CABRequest:
    """A request that a person submitted, unless it is said otherwise."""
    return but(request(gate, *decisions, name=name), **{"submittedBy": SUBMITTERS[:1], **spec})


CONDITIONS = by_person("ConditionallyApproved", conditions=DBA)
ASKED = made("asked", "ExceptionRequired")
REQUESTS = (
    made("plain"),
    made("ours", submittedBy=SUBMITTERS, requester="bob", requestedBy=["eve"]),
    made("machine", submittedBy=SUBMITTERS[2:3]),
    made("told", targets=[target(each) for each in "abcd"], summary="New\n\x1b[31m prices"),
    made("taken", "ManualReview", by_person("UnderReview")),
    made("waits", "ManualReview", CONDITIONS),
    made("met", "ManualReview", CONDITIONS, by_person("Attested", condition="dba")),
    made("no", "ManualReview", by_person("Rejected")),
    noticed(made("by-score", "AutoApprove", by_system("AutoApproved"))),
    made("not-yet", "AutoApprove"),
    made("risky", "ExceptionRequired"),
    retrospective(by_system("GlassBroken")),
    ASKED,
)
EXCEPTIONS = (
    exception(ASKED),
    exception(ASKED, by_person("Approved"), name="active"),
    exception(ASKED, by_person("Approved"), by_person("Revoked"), name="revoked"),
    exception(request(name="elsewhere"), name="alone", days=90),
)


def stored(each: Model) -> dict[str, Any]:
    return each.model_dump(mode="json", by_alias=True, exclude_none=True)


def fields(kind: type[msgspec.Struct], model: type[Model], path: str) -> Iterator[tuple[str, Any]]:
    """What is other in a type than in the model of it."""
    for each in msgspec.structs.fields(kind):
        here, known = f"{path}.{each.name}", model.model_fields.get(each.name)
        if known is None:
            yield here, "no field of the model"
            continue
        if each.encode_name != known.alias:
            yield here, each.encode_name
        if each.required != known.is_required():
            yield here, "required in one of them"
        elif not each.required and not same(default(each), known):
            yield here, default(each)
        yield from kinds(each.type, known.annotation, here)


def default(each: Any) -> Any:
    if each.default_factory is msgspec.NODEFAULT:
        return each.default
    return each.default_factory()


def same(mine: Any, field: FieldInfo) -> bool:
    """Whether a default is that of a field of a model; of parts their own fields tell."""
    theirs = field.get_default(call_default_factory=True)
    return isinstance(mine, msgspec.Struct) if isinstance(theirs, Model) else mine == theirs


def kinds(mine: Any, theirs: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What is other in a kind of value than in that of the model."""
    mine, theirs = plain(mine), plain(theirs)
    if get_origin(mine) in (Union, UnionType):
        found, wanted = set(get_args(mine)), set(get_args(theirs))
        if (NoneType in found) != (NoneType in wanted):
            yield path, theirs
        [mine], [theirs] = found - {NoneType}, wanted - {NoneType}
        yield from kinds(mine, theirs, path)
    elif get_origin(mine) is list and get_origin(theirs) is list:
        yield from kinds(get_args(mine)[0], get_args(theirs)[0], path)
    elif isinstance(mine, type) and issubclass(mine, msgspec.Struct):
        yield from fields(mine, theirs, path)
    elif get_origin(mine) is Literal:
        if set(get_args(mine)) != set(get_args(theirs)):
            yield path, theirs
    elif mine is not theirs:
        yield path, theirs


def plain(kind: Any) -> Any:
    """A kind of value without its rules."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return datetime if kind is AwareDatetime else kind


@pytest.mark.parametrize(
    ("kind", "model"), [(RequestListed, CABRequest), (ExceptionListed, CABException)]
)
def test_every_field_is_that_of_the_model(kind: type[msgspec.Struct], model: type[Model]) -> None:
    assert list(fields(kind, model, model.__name__)) == []


def test_what_a_type_does_not_say_as_the_model_does_is_found() -> None:
    class Other(msgspec.Struct):
        username: int
        kind: str = ""

    assert [path for path, _ in fields(Other, Submitter, "s")] == ["s.username", "s.kind"]
    assert list(fields(ListedSubmitter, Submitter, "s")) == []


VIEWERS = st.sampled_from([None, *map(User, ("rita", "ann", "BOB", "eve"))])


@given(
    st.lists(st.sampled_from(REQUESTS), unique_by=id),
    st.lists(st.sampled_from(EXCEPTIONS), unique_by=id),
    VIEWERS,
)
def test_every_row_is_that_of_the_models(
    requests: list[CABRequest], exceptions: list[CABException], viewer: User | None
) -> None:
    read = list(requests_of(map(stored, requests)))
    leave = list(exceptions_of(map(stored, exceptions)))
    assert not any(isinstance(each, Model) for each in [*read, *leave])
    assert queue(read, leave, NOW, viewer) == queue(requests, exceptions, NOW, viewer)


def test_rows_are_of_everything_that_can_wait() -> None:
    assert {row.needed for row in queue(REQUESTS, EXCEPTIONS[:1], NOW)} == {
        "CAB member",
        "CAB member, taken by rita",
        "CAB member: attest dba",
        "security reviewer",
        "system, else CAB member",
        "team: an exception, or better evidence",
        "team: spec.requester, a person",
    }


def test_what_is_not_taken_is_left_to_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    half = stored(request(name="half"))
    half["status"]["decisions"] = [{"sequence": 1, "verdict": "\ud800"}]
    later = stored(request("ManualReview", by_person("Approved"), name="later"))
    later["status"]["decisions"][0]["verdict"] = "Postponed"
    [found] = requests_of([half, later, stored(request(name="good"))])
    assert found.metadata.name == "good"
    said = capsys.readouterr().err
    assert "note: CABRequest half cannot be read by this version" in said
    assert "note: CABRequest later cannot be read by this version" in said
