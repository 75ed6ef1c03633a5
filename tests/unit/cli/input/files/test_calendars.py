# SPDX-License-Identifier: Apache-2.0
"""Events of calendar files: when they are, by whose clock, and what is wrong with them."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cabgate.lifecycle.limits.freezes import Interval
from cabgate.lifecycle.limits.planned import ahead
from cabgate_cli.errors import BadInput
from cabgate_cli.input.files import calendars
from cabgate_cli.input.files.calendars import read_calendar
from support.zones import CHANGES, ZONES

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
HEAD = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//EN\n"
TAIL = "END:VCALENDAR\n"
BERLIN = ZoneInfo("Europe/Berlin")


def event(*lines: str, uid: str = "1") -> str:
    return "\n".join(
        ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT", ""]
    )


def read(tmp_path: Path, *parts: str, zone: Any = None, head: str = "") -> list[Interval]:
    path = tmp_path / "calendar.ics"
    path.write_text(HEAD + head + "".join(parts) + TAIL)
    return ahead(read_calendar(str(path), zone, BEGIN, END), BEGIN, END)


def refused(tmp_path: Path, *parts: str, **more: Any) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, *parts, **more)
    return caught.value.problems


def shown(intervals: list[Interval]) -> list[str]:
    return [f"{each.begins:%Y-%m-%dT%H:%M}/{each.ends:%Y-%m-%dT%H:%M}" for each in intervals]


@pytest.mark.parametrize("zone", ZONES)
def test_a_weekend_of_a_calendar_is_as_zoneinfo_has_it_whatever_the_clock_is_set_to(
    tmp_path: Path, zone: str
) -> None:
    found = read(
        tmp_path,
        event(
            "SUMMARY:Weekend",
            f"DTSTART;TZID={zone}:20260102T160000",
            f"DTEND;TZID={zone}:20260105T080000",
            "RRULE:FREQ=WEEKLY",
        ),
    )
    fridays = [date(2026, 1, 2) + timedelta(days=7 * n) for n in range(157)]
    place = ZoneInfo(zone)
    assert found == [
        Interval(
            datetime.combine(friday, time(16), place).astimezone(UTC),
            datetime.combine(friday + timedelta(days=3), time(8), place).astimezone(UTC),
            ("Weekend",),
        )
        for friday in fridays
        if datetime.combine(friday, time(16), place) < END
    ]
    lengths = {each.ends - each.begins for each in found}
    assert lengths == {timedelta(hours=hours) for hours in (63, 64, 65)}


@pytest.mark.parametrize("zone", ZONES)
def test_a_whole_day_is_one_of_its_zone_also_when_the_clock_is_set(
    tmp_path: Path, zone: str
) -> None:
    days = CHANGES[zone]
    parts = [event(f"DTSTART;VALUE=DATE:{d:%Y%m%d}", uid=str(d)) for d in days]
    place = ZoneInfo(zone)
    expected = [
        (
            datetime.combine(day, time(), place).astimezone(UTC),
            datetime.combine(day + timedelta(days=1), time(), place).astimezone(UTC),
        )
        for day in days
    ]
    for found in (read(tmp_path, *parts, zone=place),
                  read(tmp_path, *parts, head=f"X-WR-TIMEZONE:{zone}\n")):  # fmt: skip
        assert [(each.begins, each.ends) for each in found] == expected
    assert {end - begin for begin, end in expected} == {
        timedelta(hours=hours) for hours in (23, 25)
    }


def test_what_is_excepted_moved_added_and_cancelled_counts(tmp_path: Path) -> None:
    series = event(
        "DTSTART:20260601T080000Z",
        "DTEND:20260601T090000Z",
        "RRULE:FREQ=DAILY;COUNT=6",
        "EXDATE:20260602T080000Z",
        "RDATE:20260610T080000Z",
    )
    moved = event(
        "RECURRENCE-ID:20260603T080000Z", "DTSTART:20260603T180000Z", "DTEND:20260603T190000Z"
    )
    off = event(
        "RECURRENCE-ID:20260604T080000Z",
        "DTSTART:20260604T080000Z",
        "DTEND:20260604T090000Z",
        "STATUS:CANCELLED",
    )
    gone = event("DTSTART:20260701T080000Z", "DURATION:P2D", "STATUS:CANCELLED", uid="2")
    assert shown(read(tmp_path, series, moved, off, gone)) == [
        "2026-06-01T08:00/2026-06-01T09:00",
        "2026-06-03T18:00/2026-06-03T19:00",
        "2026-06-05T08:00/2026-06-05T09:00",
        "2026-06-06T08:00/2026-06-06T09:00",
        "2026-06-10T08:00/2026-06-10T09:00",
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227"], (23, 23, 72)),
        (["DTSTART;VALUE=DATE:20261224"], (23, 23, 24)),
        (["DTSTART:20261224T120000", "DURATION:PT3H"], (24, 11, 3)),
        (["DTSTART:20261224T120000Z", "DURATION:PT3H"], (24, 12, 3)),
        (["DTSTART;TZID=America/New_York:20261224T120000", "DURATION:PT3H"], (24, 17, 3)),
        (["DTSTART;TZID=W. Europe Standard Time:20261224T120000", "DURATION:PT3H"], (24, 11, 3)),
    ],
)
def test_a_time_without_a_zone_is_by_the_zone_that_is_given(
    tmp_path: Path, lines: list[str], expected: tuple[int, int, int]
) -> None:
    day, hour, hours = expected
    begins = datetime(2026, 12, day, hour, tzinfo=UTC)
    [found] = read(tmp_path, event(*lines), zone=BERLIN)
    assert (found.begins, found.ends) == (begins, begins + timedelta(hours=hours))


def test_the_zone_that_is_given_counts_for_days_and_not_the_calendars(tmp_path: Path) -> None:
    day = event("DTSTART;VALUE=DATE:20261224")
    [found] = read(tmp_path, day, zone=BERLIN, head="X-WR-TIMEZONE:America/New_York\n")
    assert shown([found]) == ["2026-12-23T23:00/2026-12-24T23:00"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["DTSTART;VALUE=DATE:20261224"], "DTSTART: '2026-12-24' names no time zone"),
        (["DTSTART:20261224T120000", "DURATION:PT1H"], "DTSTART: '2026-12-24 12:00:00' names no"),
        (["DTSTART;TZID=Middle/Earth:20261224T120000"], "DTSTART: TZID 'Middle/Earth': no time"),
        (["DTEND:20261224T120000Z"], "DTSTART: absent"),
        (["DTSTART:yesterday"], "DTSTART: "),
        (["DTSTART:20261224T120000Z", "RRULE:FREQ=SECONDLY"], "RRULE.FREQ: 'SECONDLY'; allowed: D"),
        (
            ["DTSTART:20261224T120000Z", "RRULE:FREQ=DAILY;BYMINUTE=1,2,3"],
            "RRULE.BYMINUTE: several times of one day",
        ),
        (["DTSTART:20261224T120000Z", "RRULE:FREQ=OFTEN"], "RRULE"),
        (
            ["DTSTART:20261224T120000Z", "RRULE:FREQ=DAILY;INTERVAL=0"],
            "RRULE.INTERVAL: [0]; allowed",
        ),
        (["DTSTART:20261224T120000Z", "EXRULE:FREQ=DAILY"], "EXRULE: not known here"),
        (
            ["DTSTART:20261224T120000Z", "DTEND:20261224T110000Z"],
            "DTEND: '2026-12-24 11:00:00+00:00'",
        ),
        (["DTSTART:20261224T120000Z", "DTEND;VALUE=DATE:20261225"], "DTEND: "),
        (
            ["DTSTART:20261224T120000Z", "DTEND:20261224T130000Z", "DURATION:PT1H"],
            "DURATION: beside DTEND",
        ),
        (
            ["DTSTART:20261224T120000Z", "DURATION:-PT1H"],
            "DURATION: '-1 day, 23:00:00'; allowed: 0",
        ),
        (["DTSTART:20261224T120000Z", "DURATION:P999999D"], "DURATION: '999999 days, 0:00:00'"),
        (["DTSTART:20261224T120000Z", "DTEND:99991231T235959Z"], "DTEND: '9999-12-31 23:59:59"),
        (["DTSTART:20261224T120000Z", "DTSTART:20261225T120000Z"], "DTSTART: 2 of them"),
    ],
)
def test_what_is_wrong_with_an_event_is_said_with_its_place(
    tmp_path: Path, lines: list[str], problem: str
) -> None:
    fine = event("DTSTART:20261201T120000Z", "DURATION:PT1H", uid="0")
    [found] = refused(tmp_path, fine, event("SUMMARY:Feast", *lines))
    assert f"calendar.ics: events[1] (Feast).{problem}" in found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no event"),
        ("apiVersion: v1\nkind: List\n", "not a calendar (iCalendar, RFC 5545): "),
        (event("DTSTART:20261201T120000Z"), "'VEVENT'; allowed: VCALENDAR"),
        (HEAD + TAIL, "holds no event"),
        (HEAD + "X-WR-TIMEZONE:Middle/Earth\n" + TAIL, "X-WR-TIMEZONE: 'Middle/Earth' is no time"),
        (HEAD + "BEGIN:VEVENT\n", "calendar.ics: "),
        ("\x00\x1b[2J", "calendar.ics: "),
    ],
)
def test_what_is_no_calendar_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "calendar.ics"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_calendar(str(path), None, BEGIN, END)
    assert problem in caught.value.message
    assert caught.value.message.isprintable()


def test_of_events_with_one_uid_none_is_lost(tmp_path: Path) -> None:
    """The newest of two revisions counts; what is no revision is refused."""
    old, new = (
        event(f"DTSTART:2026120{n}T120000Z", "DURATION:PT1H", f"SEQUENCE:{n}") for n in (1, 2)
    )
    assert shown(read(tmp_path, new, old)) == ["2026-12-02T12:00/2026-12-02T13:00"]
    same = event("DTSTART:20261203T120000Z", "DURATION:PT1H", "SEQUENCE:1")
    [found] = refused(tmp_path, old, new, same)
    assert "events[2].UID: '1', as events[0] has" in found
    unnamed = [each.replace("UID:1\n", "") for each in (old, same)]
    assert len(read(tmp_path, *unnamed)) == 2


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calendar.ics"
    whole = HEAD + event("DTSTART:20261201T120000Z", "DURATION:PT1H") * 2 + TAIL
    for end in (len(whole) - len(TAIL), len(whole) - 40, 40):
        path.write_text(whole[:end])
        with pytest.raises(BadInput):
            read_calendar(str(path), None, BEGIN, END)


@pytest.mark.parametrize(
    ("named", "hour"), [("Europe/Berlin", 7), ("Head Office", 23)], ids=["known", "own"]
)
def test_a_zone_that_a_calendar_defines_counts_unless_it_is_known(
    tmp_path: Path, named: str, hour: int
) -> None:
    """By the name of a known one, a calendar would freeze another time than the one it shows."""
    offsets = "TZOFFSETFROM:+0900\nTZOFFSETTO:+0900\n"
    own = f"BEGIN:VTIMEZONE\nTZID:{named}\nBEGIN:STANDARD\nDTSTART:19700101T000000\n{offsets}"
    head = f"{own}END:STANDARD\nEND:VTIMEZONE\n"
    [found] = read(
        tmp_path, event(f"DTSTART;TZID={named}:20261202T080000", "DURATION:PT1H"), head=head
    )
    assert found.begins.hour == hour


def test_a_calendar_of_too_many_times_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendars, "MAX_OCCURRENCES", 30)
    daily = event("DTSTART:20260101T120000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY")
    [found] = refused(tmp_path, daily)
    assert "more than 30 times of events" in found


def test_several_calendars_in_a_file_are_read_and_a_reminder_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reminder = event("DTSTART:20261205T120000Z", uid="2")
    one, two = (event(f"DTSTART:2026120{n}T120000Z", "DURATION:PT1H") for n in (1, 2))
    found = read(tmp_path, one, TAIL, HEAD, two, reminder)
    assert shown(found) == [
        "2026-12-01T12:00/2026-12-01T13:00",
        "2026-12-02T12:00/2026-12-02T13:00",
    ]
    assert "1 times of events have no length" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("summary", "titles"),
    [
        ("Tag der Arbeit", ("Tag der Arbeit",)),
        ("a\\nb", ("a b",)),
        ("nice\u202eecin", ("nice ecin",)),
        ("\u200b", ()),
        ("", ()),
    ],
)
def test_a_title_is_what_the_api_server_takes(
    tmp_path: Path, summary: str, titles: tuple[str, ...]
) -> None:
    made = event(f"SUMMARY:{summary}", "DTSTART:20261201T120000Z", "DURATION:PT1H")
    assert [each.titles for each in read(tmp_path, made)] == [titles]
