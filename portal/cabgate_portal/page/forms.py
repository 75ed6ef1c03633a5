# SPDX-License-Identifier: Apache-2.0
"""What somebody typed into the form of a request or an exception, and the review that it asks
for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request

from cabgate.api.base import first_problem
from cabgate.api.rationale import says_nothing
from cabgate.api.types import ALL_IMAGES
from cabgate.lifecycle.state.states import APPROVED_STATES
from cabgate.text.inert import inert
from cabgate.views.show import RequestView
from cabgate.views.verdicts import review_for
from cabgate_portal.problems import Problem

WINDOWS = 2
"""Windows of an exception that the form has room for; `kubectl cab approve --window` takes more."""

MAX_CONDITIONS = 3
"""Conditions that the form has room for; `kubectl cab approve --condition` takes more."""

MAX_DIGITS = 9
"""Of a number that is typed."""

_VERDICTS = {
    "approve": "Approved",
    "reject": "Rejected",
    "take": "UnderReview",
    "attest": "Attested",
    "revoke": "Revoked",
}


AS_THE_GATE_ASKS, WHOLE_REQUEST, THESE_IMAGES = "asked", "all", "these"

REVOCATIONS = {
    AS_THE_GATE_ASKS: "all of the request, unless another approval covers one of them: then the "
    "gate asks which",
    WHOLE_REQUEST: "all of the request, also what other approvals cover",
    THESE_IMAGES: "these images",
}
"""What a revocation can be about."""


@dataclass(frozen=True)
class Typed:
    """The fields of a form, as they were sent."""

    fields: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str:
        """The value of a field; empty where it was not sent."""
        values = self.fields.get(name, [""])
        if len(values) > 1:
            raise Problem(400, "FieldTwice", "a field was sent twice", field=name)
        return values[0]

    @property
    def rationale(self) -> str:
        """Why; line ends as browsers send them are those of everybody else."""
        return self.one("rationale").replace("\r\n", "\n")

    @property
    def images(self) -> list[str]:
        """Those that are to be revoked."""
        return list(self.fields.get("images", []))

    def condition(self, number: int) -> dict[str, str]:
        """A condition as it was typed."""
        names = ("name", "description", "notBefore", "notAfter", "attestation")
        return {name: self.one(f"condition{number}.{name}").strip() for name in names}

    @property
    def limits(self) -> dict[str, Any]:
        """What an exception is limited to, as it was typed; without what was left empty. Raises
        `Problem`."""
        found: dict[str, Any] = {}
        for name in ("maxReplicas", "maxRing"):
            if text := self.one(name).strip():
                if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
                    raise Problem(422, "Invalid", f"{name} is no number", field=name)
                found[name] = int(text)
        if until := self.one("until").strip():
            found["until"] = until
        windows = [self.window(number) for number in range(1, WINDOWS + 1)]
        if given := [each for each in windows if any(each.values())]:
            found["windows"] = given
        return found

    def window(self, number: int) -> dict[str, str]:
        """A window as it was typed."""
        return {name: self.one(f"window{number}.{name}").strip() for name in ("from", "until")}

    def hidden(self) -> list[tuple[str, str]]:
        """All that was typed but the rationale and what the button says, to be sent again."""
        return [
            (name, value)
            for name, values in self.fields.items()
            if name not in ("rationale", "verb")
            for value in values
        ]


NOTHING_TYPED = Typed({})
"""An empty form."""


def kept_of(request: Request) -> dict[str, Any] | None:
    """What the page that tells of a problem needs to send a form again that was read; None where
    there is none, or one that no page of ours sends."""
    typed = Typed(getattr(request.state, "form", {}))
    if any(len(typed.fields.get(name, ())) != 1 for name in ("rationale", "verb")):
        return None
    return {"action": request.url.path, "typed": typed, "verb": typed.one("verb")}


def verbs_of(view: RequestView, *, of_exception: bool) -> list[str]:
    """What the form of a request, or of an exception, offers: what the view names as next steps
    for it. To take a request is offered with the rejection of one, and to revoke one wherever it is
    approved: the next step may be another, such as to attest a condition."""
    named = [step.verb for step in view.steps if bool(step.exception) == of_exception]
    offered = [verb for verb in dict.fromkeys(named) if verb in _VERDICTS]
    if "reject" in offered and not of_exception:
        offered.append("take")
    if view.state in APPROVED_STATES and "revoke" not in offered and not of_exception:
        offered.append("revoke")
    return offered


def conditions_to_attest(view: RequestView) -> list[str]:
    """The names of the conditions that wait for somebody to attest them."""
    return [step.condition for step in view.steps if step.condition]


def review_of_form(typed: Typed, *, of_exception: bool) -> dict[str, Any]:
    """What is to be written into `status.review`. Raises `Problem` for what the form lacks, or
    the schema would refuse."""
    verb = typed.one("verb")
    if verb not in _VERDICTS or (of_exception and verb in ("take", "attest")):
        raise Problem(400, "Invalid", "there is no such decision", field="verb")
    verdict, details = _VERDICTS[verb], _details(verb, typed)
    if of_exception and "conditions" in details:
        raise Problem(400, "Invalid", "an exception takes no conditions", field="conditions")
    if verb == "approve" and (limits := typed.limits):
        if not of_exception:
            raise Problem(400, "Invalid", "a request takes no limits", field="constraints")
        details = {"constraints": limits}
    if "conditions" in details:
        verdict = "ConditionallyApproved"
    rationale = typed.rationale.strip()
    if verb != "take" and (not rationale or says_nothing(rationale)):
        raise Problem(
            422, "RationaleNeeded", "Write why you decide so: it is recorded for good.",
            field="rationale",
        )  # fmt: skip
    try:
        return review_for(
            *(verdict, typed.one("digest"), rationale or None, details), of_exception=of_exception
        )
    except ValidationError as error:
        first = first_problem(error)
        raise Problem(422, "Invalid", first.message, field=inert(first.path)) from None


def _details(verb: str, typed: Typed) -> dict[str, Any]:
    if verb == "approve":
        found = [typed.condition(number) for number in range(1, MAX_CONDITIONS + 1)]
        conditions = [{k: v for k, v in each.items() if v} for each in found if any(each.values())]
        return {"conditions": conditions} if conditions else {}
    if verb == "attest":
        return {"condition": typed.one("condition")}
    return _revoked_images(typed) if verb == "revoke" else {}


def _revoked_images(typed: Typed) -> dict[str, Any]:
    """What a revocation is about, as one of `REVOCATIONS` says; nothing is guessed where the ticks
    say another thing."""
    choice, names = typed.one("revoked") or AS_THE_GATE_ASKS, typed.images
    if choice == THESE_IMAGES and names and ALL_IMAGES not in names:
        return {"images": names}
    if choice not in REVOCATIONS or names or choice == THESE_IMAGES:
        raise Problem(
            422, "ImagesUnclear", "It is not clear which images are meant: tick images with "
            "'these images', and none with the other choices.", field="images",
        )  # fmt: skip
    return {"images": [ALL_IMAGES]} if choice == WHOLE_REQUEST else {}
