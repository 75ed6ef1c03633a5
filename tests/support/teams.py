# SPDX-License-Identifier: Apache-2.0
"""What a workflow of Microsoft Teams takes that posts a card when it receives one, as strictly as
the schema of Adaptive Cards 1.4 describes the elements that cabgate sends; anything else is
refused."""

import json
from typing import Any

import jsonschema

MAX_BYTES = 28 * 1024
"""A larger message Teams refuses."""


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


_RUN = _object(
    {"type": {"const": "TextRun"}, "text": {"type": "string", "minLength": 1}},
    weight={"enum": ["Lighter", "Default", "Bolder"]},
    size={"enum": ["Default", "Small", "Medium", "Large", "ExtraLarge"]},
    fontType={"enum": ["Default", "Monospace"]},
)
_BLOCK = _object(
    {
        "type": {"const": "RichTextBlock"},
        "inlines": {"type": "array", "minItems": 1, "items": _RUN},
    }
)
_ACTION = _object(
    {
        "type": {"const": "Action.OpenUrl"},
        "url": {"type": "string", "pattern": "^https://"},
        "title": {"type": "string", "minLength": 1},
    }
)
_CARD = _object(
    {
        "$schema": {"const": "http://adaptivecards.io/schemas/adaptive-card.json"},
        "type": {"const": "AdaptiveCard"},
        "version": {"const": "1.4"},
        "body": {"type": "array", "minItems": 1, "items": _BLOCK},
    },
    msteams=_object({"width": {"const": "Full"}}),
    actions={"type": "array", "minItems": 1, "maxItems": 6, "items": _ACTION},
)
PAYLOAD = _object(
    {
        "type": {"const": "message"},
        "attachments": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": _object(
                {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "contentUrl": {"const": None},
                    "content": _CARD,
                }
            ),
        },
    }
)


def check_teams(payload: Any) -> None:
    """Raise `ValueError` for a payload that would be refused."""
    error = next(jsonschema.Draft202012Validator(PAYLOAD).iter_errors(payload), None)
    if error is not None:
        raise ValueError(f"{error.json_path}: {error.message[:300]}")
    if len(json.dumps(payload).encode()) > MAX_BYTES:
        raise ValueError("RequestEntityTooLarge")


def card_of(payload: Any) -> Any:
    """The card of a message."""
    return payload["attachments"][0]["content"]


def texts_of_card(payload: Any) -> list[str]:
    """All that people read in a card, in order."""
    return [run["text"] for block in card_of(payload)["body"] for run in block["inlines"]]
