# SPDX-License-Identifier: Apache-2.0
"""What a client sends, as far as the portal reads it; the rest is for the API server to judge."""

import json
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cabgate import API_VERSION
from cabgate.api.exception import MAX_WINDOWS, Constraints, Interval
from cabgate.api.types import ApprovalCondition
from cabgate_portal.names import Name, Namespace
from cabgate_portal.problems import Problem

DIGEST = r"^v[0-9]{1,3}:sha256:[0-9a-f]{64}$"

EvidenceDigest = Annotated[str, Field(pattern=DIGEST, max_length=80)]


MAX_DEPTH = 64
"""How deep JSON may be nested."""


def check_json(body: bytes) -> None:
    """Refuse a body that two readers may read as two things. Raises `Problem`."""
    try:
        # What is UTF-16 is no JSON as UTF-8, and what begins with a mark of order is none either.
        found = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_finite,
        )
    except _DoubtfulJsonError as error:
        raise Problem(400, "Invalid", f"body: {error}") from None
    except (ValueError, RecursionError):
        raise Problem(400, "Invalid", "body: is no JSON in UTF-8") from None
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in _within(each)]
        if not level:
            return
    raise Problem(400, "Invalid", f"body: is nested more than {MAX_DEPTH} deep")


class _DoubtfulJsonError(ValueError):
    """JSON that readers take differently."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DoubtfulJsonError("has a key twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise _DoubtfulJsonError(f"{name} is no value of JSON")


def _finite(text: str) -> float:
    # Written out again it would be Infinity.
    found = float(text)
    if not math.isfinite(found):
        raise _DoubtfulJsonError("has a number that is too large")
    return found


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class Body(BaseModel):
    """A body; a field that is not known is refused, since nobody would obey it."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class ManifestMeta(Body):
    """Metadata of what is applied."""

    name: Name
    namespace: Namespace
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Manifest(Body):
    """An object that is applied, as a manifest has it."""

    api_version: Literal["cabgate.dev/v1alpha1"] = Field(description=f"{API_VERSION}.")
    kind: str
    metadata: ManifestMeta
    spec: dict[str, Any] = Field(description="As docs/reference/api.md has it.")

    def to_apply(self) -> dict[str, Any]:
        """What is sent to the API server: the fields that the caller means to own, and no others.
        A status is never among them."""
        found: dict[str, Any] = self.model_dump(by_alias=True)
        metadata = {key: value for key, value in found["metadata"].items() if value}
        return {**found, "metadata": metadata}


class IntentManifest(Manifest):
    """A DeploymentIntent."""

    kind: Literal["DeploymentIntent"]


class ExceptionManifest(Manifest):
    """A CABException."""

    kind: Literal["CABException"]


class Decision(Body):
    """A reviewer's answer, on the evidence that they looked at."""

    evidence_digest: EvidenceDigest = Field(
        description="The evidence that was looked at: `view.evidenceDigest` of GET. Another is "
        "refused."
    )
    rationale: str | None = Field(
        default=None, description="Why; recorded for good. Needed for all but take."
    )
    uid: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="uid of the object that was looked at; refused on any other of its name.",
    )


_STRICT = ConfigDict(extra="forbid")
"""Of what the API server's schema describes: it drops a field of another name, and with it what a
reviewer meant to hold."""


class Condition(ApprovalCondition):
    """An approval condition."""

    model_config = _STRICT


class Approval(Decision):
    """An approval."""

    conditions: list[Condition] = Field(
        default_factory=list, description="Approve as long as these hold.", max_length=32
    )


class ConditionAttestation(Decision):
    """That an approval condition is met."""

    condition: str = Field(description="Name of the approval condition.")


class Revocation(Decision):
    """That an approval is taken back."""

    images: list[str] = Field(
        default_factory=list,
        max_length=256,
        description="Images that are denied from then on; `*` is all of the request.",
    )


class ExceptionDecision(Decision):
    """A security reviewer's answer to an exception."""

    uid: str = Field(
        min_length=1,
        max_length=64,
        description="uid of the exception that was looked at: its team may have created another "
        "one of its name for the same evidence.",
    )


class Window(Interval):
    """A time within which an exception admits."""

    model_config = _STRICT


class Tightening(Constraints):
    """What an exception admits no rollout beyond, beside what its team limits it to."""

    model_config = _STRICT

    windows: list[Window] = Field(  # type: ignore[assignment]  # they are such, and stricter
        default_factory=list,
        max_length=MAX_WINDOWS,
        description="It admits within one of these alone; none: at any time until its end.",
    )


class ExceptionApproval(ExceptionDecision):
    """An approval of an exception."""

    constraints: Tightening | None = Field(
        default=None,
        description="Approve it within these alone; those of the exception itself hold as well.",
    )
