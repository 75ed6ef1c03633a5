# SPDX-License-Identifier: Apache-2.0
"""The body of a request: of bounded size, in bounded time, and no more of all than there is room
for."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from cabgate_kube.process.bodies import Bodies, BusyError, TooLargeError
from cabgate_portal.problems import BUSY, Problem

SECONDS = 10.0
"""Time that a client has to send a body."""


class Receiving:
    """Takes bodies of one kind, such as `a form`."""

    def __init__(self, noun: str, each: int, together: int, *, next_step: str = "") -> None:
        """A body has at most `each` bytes, those that are being read have at most `together`;
        `next_step` is what a client should do whose body there is no room for."""
        self._noun = noun
        self._each = each
        self._bodies = Bodies(each, together)
        self._next_step = next_step

    async def read(self, request: Request) -> bytes:
        """The body. Raises `Problem`."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._bodies.read(request)
        except TooLargeError:
            detail = f"{self._noun} has at most {self._each >> 10} KiB"
            raise Problem(413, "TooLarge", detail, headers=_CLOSE) from None
        except TimeoutError:
            detail = f"{self._noun} has to come within {SECONDS:g} s"
            raise Problem(408, "TooSlow", detail, headers=_CLOSE) from None
        except BusyError:
            raise Problem(
                *(503, BUSY, "too much is being read: try again"), next_step=self._next_step,
                headers={**_CLOSE, "Retry-After": "1"},
            ) from None  # fmt: skip
        except ClientDisconnect:
            raise Problem(400, "Incomplete", f"{self._noun} is not complete") from None


_CLOSE = {"Connection": "close"}
