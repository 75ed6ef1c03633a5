# SPDX-License-Identifier: Apache-2.0
"""One table of exit codes: each command's help is of it, and nothing ends outside of it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cabgate import API_VERSION
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_cli.commands.declarations import score
from cabgate_cli.exit_codes import ExitCode
from cabgate_cli.main import main
from unit.cli.support import EXAMPLES, run

CABGATE = Path(sys.executable).with_name("cabgate")
VERDICTS = ("approve", "reject", "take", "attest", "revoke")
CODE = re.compile(r"^ +(\d+) +(\S.*)$", re.MULTILINE)


def commands(group: click.Group = main, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of every command, of a group its commands'."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


def shown(*command: str) -> dict[int, str]:
    """The exit codes that the help of a command lists."""
    codes = run(*command, "--help").stdout.partition("Exit codes:")[2]
    return {int(number): text for number, text in CODE.findall(codes)}


def test_the_first_help_has_the_whole_table() -> None:
    assert shown() == {int(code): code.meaning for code in ExitCode}


@pytest.mark.parametrize("command", list(commands()))
def test_each_command_says_which_it_has(command: tuple[str, ...]) -> None:
    codes = shown(*command)
    assert {0, 2} <= set(codes) <= {0, 1, 2, 3, 4}
    assert codes[2] == ExitCode.USAGE.meaning
    assert codes.get(4, ExitCode.UNAVAILABLE.meaning) == ExitCode.UNAVAILABLE.meaning


@pytest.mark.parametrize("command", [c for c in commands() if 4 in shown(*c)])
def test_a_cluster_that_cannot_be_reached_is_one_code(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    workload, verdict = ["deployment/web"], ["web-1", "--because", "x", "--digest", "x"]
    words: dict[str, list[str | Path]] = {}
    words |= {"intent": workload, "explain": workload, "wait": ["checkout"], "show": ["web-1"],
             "diff": ["web-1"]} | dict.fromkeys(VERDICTS, verdict)  # fmt: skip
    (tmp_path / "outcomes.csv").write_text("change,failed,at\nweb-1,true,2026-03-01\n")
    words["calibrate"] = ["--outcomes", tmp_path / "outcomes.csv"]
    model = {"apiVersion": API_VERSION, "kind": "RiskModel", **DEFAULT_RISK_MODEL.to_dict()}
    (tmp_path / "model.json").write_text(json.dumps(model))
    words |= {"policy explain": ["--score", "60"], "policy check": ["--as-group", "cab"]}
    words["replay"] = ["--model", tmp_path / "model.json"]
    words["outcome report"] = ["web-1", "--severity", "2", "--id", "i", "--source", "s"]
    out = ["--out", tmp_path / "x"] if command[-1] in ("export", "prune") else []
    time = ["--since", "2026-01-01", "--until", "2026-02-01"] if command[0] == "audit" else []
    own = words.get(" ".join(command), words.get(command[-1], []))
    arguments = [*time, *own, *out, "--kubeconfig", tmp_path / "absent"]
    result = run(*command, *map(str, arguments), code=4)
    assert "no cluster to read from" in result.stderr


@pytest.mark.parametrize("command", list(commands()))
def test_wrong_usage_is_one_code(command: tuple[str, ...]) -> None:
    run(*command, "--frob", code=2)


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted"),
        (RuntimeError("oops"), ExitCode.INTERNAL, "RuntimeError: oops\nunexpected error: please"),
    ],
)
def test_what_is_no_answer_never_looks_like_one(
    monkeypatch: pytest.MonkeyPatch, fault: BaseException, code: int, said: str
) -> None:
    """Left to Python and click, both end with 1, which is the answer no."""

    def ends(path: str) -> None:
        raise fault

    monkeypatch.setattr(score, "read_documents", ends)
    result = CliRunner().invoke(main, ["score", "-f", "x"])
    assert (result.exit_code, said in result.stderr) == (code, True)


def test_a_reader_that_has_seen_enough_is_no_answer_either() -> None:
    read, write = os.pipe()
    os.close(read)
    arguments = ["score", "-f", EXAMPLES / "auto-approve" / "intent.yaml"]
    with os.fdopen(write, "wb") as pipe:
        ended = subprocess.run(
            [CABGATE, *arguments], stdout=pipe, stderr=subprocess.PIPE, check=False
        )
    assert (ended.returncode, ended.stderr) == (ExitCode.UNAVAILABLE, b"")
