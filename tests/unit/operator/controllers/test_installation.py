# SPDX-License-Identifier: Apache-2.0
"""The operator says where commands read something else than it was told."""

import pytest

from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.workloads import configured_kind
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import CONFIG_MAPS, Object
from cabgate_operator.controllers.installation import INSTALLATION, Installation
from unit.operator.support import World

TOLD = InstallationSettings(
    default_ring=1,
    excluded=frozenset({"monitoring"}),
    kinds=(configured_kind("apps.kruise.io/CloneSet=spec.template"),),
)
SAME = {
    "defaultRing": "1",
    "mode": "Audit",
    "excludedNamespaces": "monitoring\ncabgate-system\n",
    "gatedKinds": "apps.kruise.io/CloneSet=spec.template\n",
    "builtInKinds": "Pod",
    "appVersion": "0.1.0",
    "chartVersion": "0.1.0",
}


def published(**data: str) -> Object:
    metadata = {"namespace": "cabgate-system", "name": "cabgate-installation"}
    return {"metadata": metadata, "data": {**SAME, **data}}


async def said(body: Object | None, caplog: pytest.LogCaptureFixture) -> tuple[float | None, str]:
    world = World()
    world.context.installation = TOLD
    if body is not None:
        world.api.put(CONFIG_MAPS, body)
    caplog.clear()
    await Installation().reconcile(world.context, INSTALLATION)
    registry = world.context.metrics.registry
    return registry.get_sample_value("cabgate_installation_differs"), caplog.text


async def test_the_same_in_other_words_is_no_difference(caplog: pytest.LogCaptureFixture) -> None:
    assert await said(published(), caplog) == (0, "")
    assert await said(published(excludedNamespaces="monitoring"), caplog) == (0, "")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (None, "is absent"),
        (published(defaultRing="2"), "data.defaultRing: not as the operator's options say"),
        (published(excludedNamespaces="monitoring shop"), "data.excludedNamespaces: not as"),
        (published(defaultRing="0", gatedKinds=""), "data.defaultRing, data.gatedKinds: not as"),
        (published(mode="no"), "data.mode: 'no'; allowed:"),
    ],
)
async def test_a_difference_is_counted_and_named(
    body: Object | None, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    differs, text = await said(body, caplog)
    assert differs == 1
    assert says in text


async def test_that_it_cannot_be_read_is_said_and_stops_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()

    async def refused(*_: object) -> None:
        raise ApiError(403, "Forbidden", "no")

    monkeypatch.setattr(world.api, "get", refused)
    await Installation().reconcile(world.context, INSTALLATION)
    assert "cannot be read" in caplog.text
