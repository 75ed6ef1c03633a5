# SPDX-License-Identifier: Apache-2.0
"""What the options of `cabgate freeze` take: times of a week, time zones, labels of namespaces."""

import re
from collections.abc import Mapping
from datetime import time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import click

from cabgate.api.changefreeze import NAME_LABEL, POLICY_LABEL
from cabgate.lifecycle.limits.planned import Weekly, WeeklyTime
from cabgate.text.foreign import quoted

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_TIME = rf"({'|'.join(DAYS)}) ([01][0-9]|2[0-3]):([0-5][0-9])"
_WEEKLY = re.compile(rf"{_TIME} ?- ?{_TIME} (\S+)", re.IGNORECASE | re.ASCII)


def zone_named(name: str) -> tzinfo | None:
    """The time zone of a name of the IANA database; None where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there, a path out of the database, a folder of it
        return None


class Zone(click.ParamType[tzinfo]):
    """A time zone by its name in the IANA database."""

    name = "zone"

    def convert(
        self, value: str | tzinfo, param: click.Parameter | None, ctx: click.Context | None
    ) -> tzinfo:
        """The zone."""
        found = value if isinstance(value, tzinfo) else zone_named(value)
        if found is None:
            self.fail(f"{quoted(value)}: no time zone; allowed: such as Europe/Berlin", param, ctx)
        return found


class WeeklyOption(click.ParamType[Weekly]):
    """From one time of each week until another."""

    name = "weekly"

    def convert(
        self, value: str | Weekly, param: click.Parameter | None, ctx: click.Context | None
    ) -> Weekly:
        """The times and their zone."""
        if isinstance(value, Weekly):
            return value
        found = _WEEKLY.fullmatch(" ".join(value.split()))
        if found is None:
            self.fail(
                f"{quoted(value)}: not two times of a week and a time zone; allowed: such as "
                "'Fri 16:00-Mon 08:00 Europe/Berlin'",
                param,
                ctx,
            )
        begins, ends = (
            WeeklyTime(DAYS.index(day.title()), time(int(hour), int(minute)))
            for day, hour, minute in (found.groups()[:3], found.groups()[3:6])
        )
        if begins == ends:
            self.fail(f"{quoted(value)}: ends when it begins; allowed: two times", param, ctx)
        return Weekly(begins, ends, Zone().convert(found[7], param, ctx))


_TERM = re.compile(r"(\S+?) ?(?:(=|==|!=) ?([^\s(),=]*)|(?i:(in|notin)) ?\(([^()]*)\))", re.ASCII)


class Term(click.ParamType[Mapping[str, Any]]):
    """What a label of the namespace has to be, as kubectl writes it in a selector."""

    name = "selector"

    def convert(
        self,
        value: str | Mapping[str, Any],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Mapping[str, Any]:
        """A term of spec.namespaceSelector.matchExpressions."""
        if not isinstance(value, str):
            return value
        found = _TERM.fullmatch(" ".join(value.split()))
        if found is None:
            self.fail(
                f"{quoted(value)}: not a term of a selector; allowed: such as "
                f"'{NAME_LABEL} notin (status-page, lab)' or {POLICY_LABEL}=payments",
                param,
                ctx,
            )
        key, sign, single, word, several = found.groups()
        if key not in (NAME_LABEL, POLICY_LABEL):
            self.fail(
                f"{quoted(key)}: teams may be able to change that label, and so leave the freeze; "
                f"allowed: {NAME_LABEL}, {POLICY_LABEL}",
                param,
                ctx,
            )
        negated = sign == "!=" or (word or "").lower() == "notin"
        values = [single] if sign else [each.strip() for each in several.split(",")]
        if not all(values):
            self.fail(f"{quoted(value)}: a value is empty; allowed: names", param, ctx)
        return {"key": key, "operator": "NotIn" if negated else "In", "values": values}


class Label(click.ParamType[tuple[str, str]]):
    """A label with its value."""

    name = "label"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Key and value."""
        if isinstance(value, tuple):
            return value
        key, equals, of = value.partition("=")
        if not key or not equals:
            self.fail(f"{quoted(value)}: not a label; allowed: KEY=VALUE", param, ctx)
        return key, of
