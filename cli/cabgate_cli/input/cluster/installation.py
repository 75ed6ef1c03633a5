# SPDX-License-Identifier: Apache-2.0
"""How the cluster's cabgate is set, read from the ConfigMap that the chart makes of its values."""

from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version

from cabgate.api.kinds import GatedKind
from cabgate.rollout.installation import (
    CONFIG_MAP,
    EXCLUDED,
    SYSTEM_NAMESPACE,
    InstallationError,
    InstallationSettings,
    parse_installation,
)
from cabgate.rollout.modes import Mode
from cabgate_cli.errors import Unavailable, note
from cabgate_cli.input.cluster.client import Cluster, NotAllowed, NotFound

MAX_NAMED = 10
"""Kinds that a note names."""

MAX_NAME = 253
"""Characters of one of them: no more is a name."""

WHAT = f"ConfigMap {CONFIG_MAP} in namespace {SYSTEM_NAMESPACE}"

DEFAULTS = (
    f"taken: ring 0 without a label, mode {Mode.ENFORCE}, no further kinds, excluded namespaces "
    f"{', '.join((*EXCLUDED, SYSTEM_NAMESPACE))}, where no option says otherwise"
)


def installation_of(
    cluster: Cluster,
    *,
    default_ring: int | None = None,
    mode: str | None = None,
    kinds: Iterable[GatedKind] = (),
) -> InstallationSettings:
    """The settings of the cluster's installation; what is given counts instead.

    Where they cannot be had, a note says so, what to do, and by which defaults it goes on. Raises
    `Unavailable` where the API server does not answer, or what it has makes no sense.
    """
    settings = _read(cluster)
    given = tuple(kinds)
    named = {(kind.group, kind.kind) for kind in given}
    others = tuple(kind for kind in settings.kinds if (kind.group, kind.kind) not in named)
    return replace(
        settings,
        default_ring=settings.default_ring if default_ring is None else default_ring,
        mode=settings.mode if mode is None else Mode(mode),
        kinds=(*others, *given),
    )


def _read(cluster: Cluster) -> InstallationSettings:
    try:
        found = cluster.get(f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/configmaps/{CONFIG_MAP}", WHAT)
    except NotFound:
        _unknown("there is none. Is cabgate installed by its chart? Install it")
    except NotAllowed:
        _unknown(
            f"you may not read it. Ask for the Role cabgate-installation-reader of namespace "
            f"{SYSTEM_NAMESPACE}"
        )
    else:
        return _settings_in(found.get("data"))
    return InstallationSettings()


def _settings_in(data: object) -> InstallationSettings:
    try:
        settings = parse_installation(data if isinstance(data, dict) else {})
    except InstallationError as error:
        raise Unavailable(
            f"{WHAT}: {error}. It says how cabgate is set; install the chart again"
        ) from None
    own = version("cabgate")
    if settings.app_version != own:
        note(
            f"this is cabgate {own}, and the cluster's is {settings.app_version[:MAX_NAME]}: what "
            "they say may differ. Take the command of the same release"
        )
    if settings.unknown_kinds:
        first = ", ".join(kind[:MAX_NAME] for kind in settings.unknown_kinds[:MAX_NAMED])
        left = len(settings.unknown_kinds) - MAX_NAMED
        more = f" and {left} more" if left > 0 else ""
        note(
            f"the cluster's cabgate also gates {first}{more}, which this release knows nothing of: "
            "it is left out"
        )
    return settings


def _unknown(why: str) -> None:
    note(f"how cabgate is set here is not known ({WHAT}): {why}; {DEFAULTS}")
