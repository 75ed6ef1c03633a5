# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab show` of an exception that is not the first one."""

import pytest

from support.renewed import LINES, chain
from unit.cli.fake_kubectl import FakeKubectl, installed
from unit.cli.support import run


@pytest.mark.parametrize("shown", ["cabex/leave-3", "asked-2"])
def test_the_chain_stands_below_what_is_decided_the_oldest_first(
    monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    _, _, objects = chain()
    installed(monkeypatch, FakeKubectl(objects))
    lines = run("show", shown).stdout.splitlines()
    [begins] = [number for number, line in enumerate(lines) if line.startswith("renews ")]
    assert [line.removeprefix("renews").strip() for line in lines[begins : begins + 2]] == LINES
    assert lines[begins + 2].startswith("CABRequest ")
