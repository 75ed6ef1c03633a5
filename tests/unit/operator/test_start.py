# SPDX-License-Identifier: Apache-2.0
"""How the operator's process begins."""

import pytest

from cabgate.api.base import Model
from cabgate_operator import main


def test_the_models_are_built_before_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unbuilt(Model):
        name: str

    found = []

    async def run(_: object) -> None:
        found.append(Unbuilt.__pydantic_complete__)

    monkeypatch.setattr(main, "run", run)
    main.main([])
    assert found == [True]
