# SPDX-License-Identifier: Apache-2.0
"""What Slack takes at an incoming webhook, as strictly as its reference describes the blocks that
cabgate sends, with the limits that it names; anything else is refused as Slack does."""

from typing import Any

import jsonschema

MAX_CHARACTERS = 12_000
"""More text in the blocks of one message Slack refuses (`msg_blocks_too_long`)."""


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _type(name: str) -> dict[str, Any]:
    return {"const": name}


_STYLE = _object({}, bold={"type": "boolean"}, italic={"type": "boolean"}, code={"type": "boolean"})
_TEXT = _object({"type": _type("text"), "text": {"type": "string", "minLength": 1}}, style=_STYLE)
_LINK = _object(
    {"type": _type("link"), "url": {"type": "string", "pattern": "^https://", "maxLength": 3000}},
    text={"type": "string", "minLength": 1},
    style=_STYLE,
)
_SECTION = _object(
    {
        "type": _type("rich_text_section"),
        "elements": {"type": "array", "minItems": 1, "items": {"oneOf": [_TEXT, _LINK]}},
    }
)
_LIST = _object(
    {
        "type": _type("rich_text_list"),
        "style": {"enum": ["bullet", "ordered"]},
        "elements": {"type": "array", "minItems": 1, "items": _SECTION},
    }
)
_PREFORMATTED = _object(
    {
        "type": _type("rich_text_preformatted"),
        "elements": {"type": "array", "minItems": 1, "items": {"oneOf": [_TEXT, _LINK]}},
    }
)
_RICH = _object(
    {
        "type": _type("rich_text"),
        "elements": {
            "type": "array",
            "minItems": 1,
            "items": {"oneOf": [_SECTION, _LIST, _PREFORMATTED]},
        },
    }
)
_HEADER = _object(
    {
        "type": _type("header"),
        "text": _object(
            {
                "type": _type("plain_text"),
                "text": {"type": "string", "minLength": 1, "maxLength": 150},
            },
            emoji={"type": "boolean"},
        ),
    }
)
PAYLOAD = _object(
    {
        "text": {"type": "string", "minLength": 1, "maxLength": 40_000},
        "blocks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 50,
            "items": {"oneOf": [_HEADER, _RICH]},
        },
    },
    mrkdwn={"type": "boolean"},
    unfurl_links={"type": "boolean"},
    unfurl_media={"type": "boolean"},
)


def check_slack(payload: Any) -> None:
    """Raise `ValueError`, with Slack's word for it, for a payload that it would refuse."""
    error = next(jsonschema.Draft202012Validator(PAYLOAD).iter_errors(payload), None)
    if error is not None:
        raise ValueError(f"invalid_blocks: {error.json_path}: {error.message[:300]}")
    if sum(map(len, texts_of(payload["blocks"]))) > MAX_CHARACTERS:
        raise ValueError("msg_blocks_too_long")


def texts_of(value: Any) -> list[str]:
    """All that people read of a payload or a part of it, in order."""
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for key in value for text in texts_of(value[key]) if key != "style"]
    if isinstance(value, list):
        return [text for each in value for text in texts_of(each)]
    return []
