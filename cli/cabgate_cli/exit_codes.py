# SPDX-License-Identifier: Apache-2.0
"""The exit codes of all commands: one table, one meaning each.

As with `grep` and `kubectl diff`, 1 is an answer, and what is above it is none.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    NO = 1
    USAGE = 2
    TIMEOUT = 3
    UNAVAILABLE = 4
    INTERNAL = 5
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What it says, whatever the command."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done; of a question, the answer is yes, or nothing was found",
    ExitCode.NO: "the answer is no, or something was found",
    ExitCode.USAGE: "wrong usage: an option, an argument or a file that was given",
    ExitCode.TIMEOUT: "timeout: no answer within the time that was given",
    ExitCode.UNAVAILABLE: "no answer: not reachable, not found, not allowed, or not written",
    ExitCode.INTERNAL: "unexpected error, a bug of cabgate",
    ExitCode.INTERRUPTED: "interrupted, as by Ctrl-C",
}


def table() -> str:
    """All of them, for the help of `cabgate`."""
    return _lines({code: code.meaning for code in ExitCode})


def of_command(
    ok: str = "done", no: str | None = None, timeout: str | None = None, *, cluster: bool = True
) -> str:
    """Those of one command, for its help: what an answer means there. 5 and 130 any may have."""
    own = {ExitCode.OK: ok, ExitCode.NO: no, ExitCode.TIMEOUT: timeout}
    codes = {
        ExitCode.USAGE: ExitCode.USAGE.meaning,
        **({ExitCode.UNAVAILABLE: ExitCode.UNAVAILABLE.meaning} if cluster else {}),
        **{code: text for code, text in own.items() if text is not None},
    }
    return _lines(codes)


def _lines(meanings: dict[ExitCode, str]) -> str:
    wide = max(len(str(int(code))) for code in meanings)
    lines = [f"  {int(code):<{wide}}  {text}" for code, text in sorted(meanings.items())]
    return "\n".join(["", "\b", "Exit codes:", *lines, ""])
