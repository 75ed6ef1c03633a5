# SPDX-License-Identifier: Apache-2.0
"""Log records as lines: one line an event, as JSON for machines or as text for people."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

FIELDS = "fields"
"""Attribute of a record that holds its structured fields: `log.info("...", extra=fields(...))`."""

MAX_TRACEBACK = 4000
"""Characters kept of a traceback, from its end."""


def fields(**values: Any) -> dict[str, Any]:
    """The `extra` of a log call: fields of the event, such as `uid`, `object` or `reason`.

    Give names and codes, never the content of objects. None and empty text are left out.
    """
    return {FIELDS: {key: value for key, value in values.items() if value not in (None, "")}}


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


def formatter_of(name: str) -> logging.Formatter:
    """The formatter of a setting: `json` or `text`."""
    return JsonFormatter() if name == "json" else TextFormatter()
