# SPDX-License-Identifier: Apache-2.0
"""How an installation is set: what is excluded, and what the ConfigMap says."""

import pytest

from cabgate.api.kinds import BUILT_IN
from cabgate.rollout.installation import (
    InstallationError,
    InstallationSettings,
    kind_name,
    parse_installation,
)
from cabgate.rollout.modes import Mode

DATA = {
    "defaultRing": "2",
    "mode": "Warn",
    "excludedNamespaces": "monitoring\ncabgate-system\n",
    "gatedKinds": "apps.kruise.io/CloneSet=spec.template\nx.io/Y=spec.a,spec.b[*].c\n",
    "builtInKinds": "\n".join(map(kind_name, BUILT_IN)),
    "appVersion": "0.1.0",
    "chartVersion": "0.1.1",
}
RING_3 = {"cabgate.dev/ring": "3"}


def test_what_the_chart_was_told_is_read() -> None:
    found = parse_installation(DATA)
    assert (found.default_ring, found.mode) == (2, Mode.WARN)
    assert found.excluded == {"monitoring", "cabgate-system"}
    assert [(kind.group, kind.kind, kind.templates) for kind in found.kinds] == [
        ("apps.kruise.io", "CloneSet", ("spec.template",)),
        ("x.io", "Y", ("spec.a", "spec.b[*].c")),
    ]
    assert (found.app_version, found.chart_version) == ("0.1.0", "0.1.1")
    assert found.unknown_kinds == ()
    assert parse_installation({**DATA, "keyOfALaterRelease": "x"}) == found


def test_kinds_that_only_a_later_release_gates_are_named() -> None:
    later = {**DATA, "builtInKinds": f"{DATA['builtInKinds']}\nCloneSet.apps.kruise.io\n"}
    assert parse_installation(later).unknown_kinds == ("CloneSet.apps.kruise.io",)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("defaultRing", "5", "data.defaultRing: '5'; allowed: 0 to 4"),
        ("defaultRing", "", "data.defaultRing: ''; allowed: 0 to 4"),
        ("mode", "enforce", "data.mode: 'enforce'; allowed: Enforce, Warn, Audit"),
        ("gatedKinds", "CloneSet", "data.gatedKinds: 'CloneSet': not a kind; allowed: GROUP/"),
        ("gatedKinds", "apps/Deployment=spec.template", "Deployment of apps is gated already"),
        ("excludedNamespaces", 7, "data.excludedNamespaces: not a text"),
        *((key, None, f"data.{key}: absent") for key in DATA),
    ],
)
def test_what_makes_no_sense_is_told_with_its_key(key: str, value: object, says: str) -> None:
    with pytest.raises(InstallationError) as error:
        parse_installation({**DATA, key: value})
    assert says in str(error.value)


def test_in_an_excluded_namespace_no_ring_counts() -> None:
    settings = InstallationSettings(default_ring=2, excluded=frozenset({"monitoring"}))
    assert settings.namespace_ring("monitoring", RING_3) == 0
    assert settings.workload_ring("monitoring", RING_3) == 0
    assert settings.namespace_ring("shop", None) == 2
    assert settings.namespace_ring("shop", RING_3) == 3
    assert settings.workload_ring("shop", None, RING_3) == 3
    # What is not named is not excluded, cabgate's own namespace apart.
    assert not settings.excludes("kube-system")
    assert settings.excludes("cabgate-system")
    assert InstallationSettings().excludes("kube-system")


def test_the_same_kinds_in_another_order_are_the_same() -> None:
    one = parse_installation(DATA)
    other = parse_installation(
        {**DATA, "gatedKinds": "x.io/Y=spec.b[*].c,spec.a apps.kruise.io/CloneSet=spec.template"}
    )
    assert one.same_kinds(other)
    assert not one.same_kinds(InstallationSettings())
