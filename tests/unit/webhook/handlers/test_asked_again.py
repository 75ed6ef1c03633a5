# SPDX-License-Identifier: Apache-2.0
"""A team may ask again for an exception that one reviewer refused: the next one is told."""

from datetime import timedelta

from cabgate_samples.models import NOW, by_person, exception, intent, request
from unit.webhook.halves import World, Writer

DECLARED = intent({}, submittedBy=[{"username": "ann"}])
ASKED = request("ExceptionRequired", of=DECLARED)
OTHER = request("ExceptionRequired", of=intent({}, name="other"))


async def seen(*before) -> list[str]:
    """What a reviewer is told who approves an exception, beside that it is recorded."""
    world = World([ASKED], [exception(ASKED), *before], [DECLARED])
    writer = Writer(world, "otto", "leave", "Approved", plural="cabexceptions")
    await writer.stamp()
    await writer.judge()
    return list(writer.warnings[1:])


async def test_who_approves_is_told_who_said_no():
    no = exception(ASKED, by_person("Rejected", rationale="No control at all"), name="first")
    [line] = await seen(no)
    assert line.startswith("exception first for the same request was rejected by rita at ")
    assert line.endswith(": No control at all")


async def test_what_is_about_something_else_is_not_told():
    assert await seen(
        exception(OTHER, by_person("Rejected"), name="of-another"),
        exception(ASKED, name="waits"),
        exception(ASKED, by_person("Approved"), name="yes"),
        exception(ASKED, name="ended", age=timedelta(days=40)),
    ) == []  # fmt: skip


async def test_of_many_the_latest_are_told():
    before = [
        exception(ASKED, by_person("Rejected", NOW - timedelta(minutes=n + 1)), name=f"no-{n}")
        for n in range(7)
    ]
    lines = await seen(*before)
    assert [line.split()[1] for line in lines[:-1]] == [f"no-{n}" for n in range(5)]
    assert lines[-1] == "2 more were rejected or revoked, 7 in all"
