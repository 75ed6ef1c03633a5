# SPDX-License-Identifier: Apache-2.0
"""What the work queue holds: which object to look at again, never what was seen of it."""

from enum import StrEnum
from typing import NamedTuple


class Subject(StrEnum):
    """Kinds of work."""

    INTENT = "intent"
    """An intent and every request made from it: the one writer of both statuses."""
    EXCEPTION = "exception"
    """An exception."""
    NAMESPACE = "namespace"
    """The intents of a namespace, whose ring may have changed."""
    LEDGER = "ledger"
    """The chain of a namespace: decisions that it lacks."""
    HEADS = "heads"
    """The publication of where the chains end."""
    OUTCOME = "outcome"
    """What becomes of a workload (`name` is its resource, a slash and its name) of an intent."""
    RETENTION = "retention"
    """The requests of a namespace that nobody needs any more."""
    EVIDENCE = "evidence"
    """What is kept beside a request, or beside all of them, and goes with it."""
    MODELS = "models"
    """The built-in risk model, where it is absent; and the intents that had no valid model."""
    COVERAGE = "coverage"
    """What runs in a namespace although nothing covers it."""
    GLASS = "glass"
    """A workload (`name` is its resource, a slash and its name) that says its glass was broken."""
    RETROSPECT = "retrospect"
    """A request that was opened for a broken glass."""
    CERTIFICATES = "certificates"
    """The certificates of the webhook, where cabgate makes them itself."""
    INSTALLATION = "installation"
    """Whether commands read that the installation is set as the operator was told."""
    WATCH = "watch"
    """Whether a watch that began again (`name` is its resource) goes on from a version that is."""


class Key(NamedTuple):
    """One object to reconcile; it may exist or not."""

    subject: Subject
    namespace: str
    name: str

    def __str__(self) -> str:
        where = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.subject} {where}"
