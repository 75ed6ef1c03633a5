# SPDX-License-Identifier: Apache-2.0
"""Whether commands read that the installation is set as the operator was told by its options."""

import logging
from collections.abc import Sequence

from cabgate.rollout.installation import (
    CONFIG_MAP,
    SYSTEM_NAMESPACE,
    InstallationError,
    InstallationSettings,
    parse_installation,
)
from cabgate_kube.errors import ApiError
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import CONFIG_MAPS
from cabgate_operator.work.context import Context
from cabgate_operator.work.controller import Controller
from cabgate_operator.work.keys import Key, Subject

log = logging.getLogger(__name__)


INSTALLATION = Key(Subject.INSTALLATION, SYSTEM_NAMESPACE, CONFIG_MAP)
"""The ConfigMap, as work."""


class Installation(Controller):
    """Looks after each sweep at the ConfigMap that commands read. That it says something else stops
    nothing: nothing of ours obeys it. It is counted and logged, since commands tell people what is
    in it."""

    subjects = (Subject.INSTALLATION,)

    def end_sweep(self) -> Sequence[Key]:
        """Look at it again."""
        return (INSTALLATION,)

    async def reconcile(self, context: Context, key: Key) -> None:
        """Compare it with the options."""
        problem = await _problem(context)
        context.metrics.installation_differs.set(1 if problem else 0)
        if problem:
            log.warning(
                "ConfigMap %s/%s: %s. Commands tell people by it: install the chart again, or "
                "restart the operator if it runs an older release",
                *(SYSTEM_NAMESPACE, CONFIG_MAP, problem),
                extra=fields(
                    namespace=SYSTEM_NAMESPACE, object=CONFIG_MAP, reason="InstallationDiffers"
                ),
            )


async def _problem(context: Context) -> str:
    try:
        raw = await context.api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, CONFIG_MAP)
    except ApiError as error:
        return f"cannot be read: {error}"
    if raw is None:
        return "is absent"
    try:
        published = parse_installation(raw.get("data") or {})
    except InstallationError as error:
        return str(error)
    return _difference(published, context.installation)


def _difference(published: InstallationSettings, own: InstallationSettings) -> str:
    differ = [
        key
        for key, same in (
            ("defaultRing", published.default_ring == own.default_ring),
            ("excludedNamespaces", published.all_excluded == own.all_excluded),
            ("gatedKinds", published.same_kinds(own)),
        )
        if not same
    ]
    if not differ:
        return ""
    return f"{', '.join(f'data.{key}' for key in differ)}: not as the operator's options say"
