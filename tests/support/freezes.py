# SPDX-License-Identifier: Apache-2.0
"""Freezes as a cluster admin would write them, and as the API server has them."""

from datetime import UTC, datetime, timedelta

from cabgate.api.base import rfc3339
from cabgate_samples.models import NOW
from cabgate_samples.objects import API_VERSION

DAY = timedelta(days=1)


def interval(begins=-DAY, ends=DAY, now=NOW):
    """An interval around a moment."""
    return {"from": rfc3339(now + begins), "until": rfc3339(now + ends)}


def freeze(name="christmas", *intervals, created=NOW - 9 * DAY, terms=(), **spec):
    """A freeze with some intervals; by default, one that holds now."""
    if terms:
        spec["namespaceSelector"] = {"matchExpressions": list(terms)}
    return {
        "apiVersion": API_VERSION,
        "kind": "ChangeFreeze",
        "metadata": {"name": name, "creationTimestamp": rfc3339(created)},
        "spec": {
            "kind": "Freeze",
            "title": "Christmas 2026",
            "reason": "Nobody is there to mend what breaks.",
            "intervals": list(intervals) or [interval()],
            **spec,
        },
    }


def freeze_of(namespace, name, kind="Freeze", *intervals):
    """A freeze of one namespace, to be created: by default a Freeze that holds now, or a Window
    that is over, so that each of them keeps back what is new."""
    around = (-DAY, DAY) if kind == "Freeze" else (-2 * DAY, -DAY)
    kept_back = interval(*around, now=datetime.now(UTC))
    term = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]}
    return freeze(name, *(intervals or [kept_back]), terms=[term], kind=kind)
