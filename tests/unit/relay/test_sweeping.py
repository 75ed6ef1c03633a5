# SPDX-License-Identifier: Apache-2.0
"""What follows a resource goes on whatever goes wrong, and tells of it but for one thing."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from cabgate_kube.client import ApiServer
from cabgate_kube.errors import ApiError
from cabgate_kube.process.tasks import cancelled
from cabgate_kube.resources import DECISIONS, Object, Resource
from cabgate_relay.sweeping import follow
from support.waiting import until


class Watches:
    """Answers to watches, in order; each a version or what is raised."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def changes(self, resource: Resource, version: str, seconds: int) -> list[Object]:
        """As of the client."""
        self.asked.append(version)
        if not self.answers:
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [{"type": "ADDED", "object": {"metadata": {"resourceVersion": str(answer)}}}]


class Read:
    """What was read, and what went wrong."""

    def __init__(self, sweeps: Sequence[Exception | None] = (), again_at: str = "") -> None:
        self.sweeps = 0
        self.versions: list[str] = []
        self.failures: list[str] = []
        self.well: list[float] = []
        self._wrong, self._again_at = list(sweeps), again_at

    async def sweep(self) -> str:
        """All is read, or it fails."""
        wrong = self._wrong.pop(0) if self._wrong else None
        if wrong is not None:
            raise wrong
        self.sweeps += 1
        return "1"

    async def take(self, events: Sequence[Object]) -> bool:
        """Events came."""
        self.versions += [each["object"]["metadata"]["resourceVersion"] for each in events]
        return self.versions[-1] == self._again_at

    def went_well(self, asked: float) -> None:
        """Something was read."""
        self.well.append(asked)

    def failed(self, why: str) -> None:
        """It was not."""
        self.failures.append(why)


async def followed(api: Watches, reader: Read, asked: list[str]) -> None:
    """Follow until a watch was asked for from these versions."""
    following = asyncio.create_task(
        follow(cast(ApiServer, api), DECISIONS, reader, sweep_seconds=600, watch_seconds=1)
    )
    await until(lambda: api.asked == asked or following.done(), f"watches from {asked}")
    await cancelled(following)
    assert api.asked == asked


async def test_each_watch_goes_on_where_the_last_one_ended() -> None:
    reader = Read()
    await followed(Watches(5, 9), reader, ["1", "5", "9"])
    assert (reader.versions, reader.sweeps, reader.failures) == (["5", "9"], 1, [])


async def test_what_only_a_sweep_finds_is_swept_for_at_once() -> None:
    reader = Read(again_at="5")
    await followed(Watches(5), reader, ["1", "1"])
    assert (reader.sweeps, reader.failures) == (2, [])


async def test_too_old_a_version_is_nothing_to_tell_of() -> None:
    reader = Read()
    await followed(Watches(ApiError(410, "Expired", "", "")), reader, ["1", "1"])
    assert (reader.sweeps, reader.failures) == (2, [])


@pytest.mark.parametrize(
    ("error", "shown"),
    [(ApiError(503, "Unavailable", "", "GET /x"), "503"), (KeyError("x"), "unexpected error")],
)
async def test_what_else_goes_wrong_is_shown_and_tried_again(error: Any, shown: str) -> None:
    reader = Read(sweeps=[error])
    await followed(Watches(5, error), reader, ["1", "5", "1"])
    assert reader.sweeps == 2
    assert [shown in why for why in reader.failures] == [True, True]
