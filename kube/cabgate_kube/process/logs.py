# SPDX-License-Identifier: Apache-2.0
"""Log records as lines: one line an event, as JSON for machines or as text for people."""

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

FIELDS = "fields"
"""Attribute of a record that holds its structured fields: `log.info("...", extra=fields(...))`."""

MAX_TRACEBACK = 4000
"""Characters kept of a traceback, from its end."""

MAX_PLACES = 8
"""Places that are told of where an error was raised, the innermost first."""


_QUIET = ("kopf", "uvicorn")
"""Libraries of which only errors are logged: kopf repeats each event and each error of a watch, and
whoever reaches a port can make uvicorn complain of what he sent, as often as he likes."""


def fields(**values: Any) -> dict[str, Any]:
    """The `extra` of a log call: fields of the event, such as `uid`, `object` or `reason`.

    Give names and codes, never the content of objects. None and empty text are left out.
    """
    return {FIELDS: {key: value for key, value in values.items() if value not in (None, "")}}


class PlainError(Exception):
    """An error whose text may be logged: it quotes no content of objects and no credential."""


def reason_of(error: BaseException) -> str:
    """What an error is, in a word, for the field `reason`."""
    return str(getattr(error, "reason", "") or type(error).__name__)


def explained(error: BaseException) -> str:
    """An error as a log may tell it: in its own words if it is a `PlainError`, else its type and
    where it was raised. The text of any other may quote what somebody sent."""
    if isinstance(error, PlainError):
        return str(error)
    places = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-MAX_PLACES:]
    ]
    return " < ".join([type(error).__name__, *reversed(places)])


class JsonFormatter(logging.Formatter):
    """Each record as one JSON object: time (UTC), level, logger, message, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in _fields(record).items() if key not in line}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)[-MAX_TRACEBACK:]
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Each record as a line for people, its fields behind the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, without a traceback."""
        # A line break in what somebody sent must not look like another event.
        said = super().formatMessage(record).replace("\n", "\\n").replace("\r", "\\r")
        found = [
            f"{key}={json.dumps(value, default=str)}" for key, value in _fields(record).items()
        ]
        return " ".join([said, *found])


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found = getattr(record, FIELDS, None)
    return found if isinstance(found, dict) else {}


def set_up_logging(form: str) -> None:
    """One line an event on standard error, `json` or `text`, those of libraries too."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
