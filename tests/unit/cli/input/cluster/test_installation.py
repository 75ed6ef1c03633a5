# SPDX-License-Identifier: Apache-2.0
"""What commands take of the installation's settings, with the client replaced: tests/cluster has
the real."""

from importlib.metadata import version
from typing import Any

import pytest

from cabgate.api.kinds import GatedKind
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.modes import Mode
from cabgate.rollout.workloads import configured_kind
from cabgate_cli.errors import Unavailable
from cabgate_cli.input.cluster.client import Cluster, NotAllowed, NotFound
from cabgate_cli.input.cluster.installation import installation_of

DATA = {
    "defaultRing": "2",
    "mode": "Warn",
    "excludedNamespaces": "monitoring",
    "gatedKinds": "x.io/Y=spec.template",
    "builtInKinds": "Pod",
    "appVersion": version("cabgate"),
    "chartVersion": "1",
}


def settings(answer: Any, **given: Any) -> InstallationSettings:
    """The settings where the one read has an answer, or fails."""

    class Answering(Cluster):
        def __init__(self) -> None:
            pass

        def get(self, path: str, what: str, verb: str = "get", **query: str) -> dict[str, Any]:
            assert path == "/api/v1/namespaces/cabgate-system/configmaps/cabgate-installation"
            if isinstance(answer, Exception):
                raise answer
            return {"data": answer}

    return installation_of(Answering(), **given)


def names(kinds: tuple[GatedKind, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(kind.kind, kind.templates) for kind in kinds]


def test_the_settings_count_and_what_is_given_counts_instead(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = settings(DATA)
    assert (found.default_ring, found.mode) == (2, Mode.WARN)
    assert found.excluded == {"monitoring"}
    given = settings(
        DATA,
        default_ring=0,
        mode="Audit",
        kinds=(configured_kind("x.io/Y=spec.other"), configured_kind("x.io/Z=spec.z")),
    )
    assert (given.default_ring, given.mode) == (0, Mode.AUDIT)
    assert names(given.kinds) == [("Y", ("spec.other",)), ("Z", ("spec.z",))]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NotFound("x"), "Is cabgate installed by its chart?"),
        (NotAllowed("x"), "Ask for the Role cabgate-installation-reader"),
    ],
)
def test_where_it_cannot_be_had_the_defaults_count_and_that_is_said(
    error: Exception, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settings(error) == InstallationSettings()
    said = capsys.readouterr().err
    assert advice in said
    assert "taken: ring 0 without a label, mode Enforce, no further kinds, excluded" in said


def test_an_api_server_that_does_not_answer_is_no_default() -> None:
    with pytest.raises(Unavailable, match="gone"):
        settings(Unavailable("gone"))


def test_what_makes_no_sense_is_told_with_its_key() -> None:
    for data, key in (({**DATA, "mode": "x"}, "data.mode"), (None, "data.defaultRing: absent")):
        with pytest.raises(Unavailable, match=key):
            settings(data)


def test_another_release_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    settings({**DATA, "appVersion": "9.9.9", "builtInKinds": "Pod\nNew.x.io"})
    said = capsys.readouterr().err
    assert "the cluster's is 9.9.9" in said
    assert "also gates New.x.io" in said
