# SPDX-License-Identifier: Apache-2.0
"""Intents that were written a moment ago, for which a denied rollout is worth holding for a moment:
the operator is about to judge them. And those that it has judged and opened no request for: they
say why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import Field

from cabgate.api.base import Model, Timestamp
from cabgate.api.stored import StoredTarget
from cabgate.api.types import Target
from cabgate.gate.commands import show_intent
from cabgate.gate.composing import compose, sentence, shortened
from cabgate.gate.messages import tried
from cabgate.gate.verdict import Reason
from cabgate.rollout.rollout import Rollout

FRESH = timedelta(seconds=5)
"""How long after it was written an intent is waited for. One that is not judged then has an
operator that is down or behind, and to wait for it would hold up each rollout for nothing. Times of
objects have whole seconds, so up to one of these five is lost."""

WITHOUT_A_REQUEST = frozenset({Reason.NO_REQUEST, Reason.IMAGES_NOT_COVERED})
"""The denials of images that no request names."""

DENIED_FOR_WANT_OF_A_REQUEST = WITHOUT_A_REQUEST | {Reason.TEMPLATE_NOT_COVERED}
"""The denials that a request can end which the operator is about to open."""


class WriterEntry(Model):
    """The part of an entry of `metadata.managedFields` that tells when somebody wrote."""

    subresource: str = ""
    time: Timestamp | None = None


class ListedMeta(Model):
    """The part of the metadata of an intent that tells whether its content was judged."""

    name: str = ""
    generation: int = 0
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    managed_fields: list[WriterEntry] = Field(default_factory=list)


class ListedSpec(Model):
    """The part of the spec of an intent that tells what it is for."""

    targets: list[Target]


class ListedCondition(Model):
    """The part of a condition that tells why an intent has no request."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class ListedStatus(Model):
    """The part of the status of an intent that tells what was judged, and what became of it."""

    observed_generation: int = 0
    conditions: list[ListedCondition] = Field(default_factory=list)


class ListedIntent(Model):
    """What is read of an intent to know whether it is worth waiting for."""

    metadata: ListedMeta
    spec: ListedSpec
    status: ListedStatus = Field(default_factory=ListedStatus)

    @property
    def stamps(self) -> list[datetime]:
        """When it was created and last written by each field manager, as the API server stamped
        it: writes of a subresource, such as the operator's of the status, do not count.

        Whoever writes the intent can write these stamps too, and gains no more by it than another
        write of the intent would.
        """
        meta = self.metadata
        times = [meta.creation_timestamp]
        times += [entry.time for entry in meta.managed_fields if not entry.subresource]
        return [each for each in times if each is not None]

    @property
    def is_judged(self) -> bool:
        """Whether the operator has judged the content that it has now."""
        return self.status.observed_generation >= self.metadata.generation


class WrittenMeta(Protocol):
    """Metadata of an intent, whichever type holds it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def generation(self) -> int:
        """Its generation."""
        ...

    @property
    def deletion_timestamp(self) -> datetime | None:
        """When somebody deleted it."""
        ...


class WrittenSpec(Protocol):
    """What an intent is for."""

    @property
    def targets(self) -> Sequence[StoredTarget]:
        """Its workloads."""
        ...


class WrittenCondition(Protocol):
    """What the operator says of an intent."""

    @property
    def type(self) -> str:
        """Such as `Ready`."""
        ...

    @property
    def status(self) -> str:
        """Whether it holds."""
        ...

    @property
    def reason(self) -> str:
        """Why, for programs."""
        ...

    @property
    def message(self) -> str:
        """Why, for people."""
        ...


class WrittenStatus(Protocol):
    """What was judged."""

    @property
    def observed_generation(self) -> int:
        """The generation that the operator has judged."""
        ...

    @property
    def conditions(self) -> Sequence[WrittenCondition]:
        """What it says of that."""
        ...


class WrittenIntent(Protocol):
    """What is asked of an intent: of a `ListedIntent`, or of the webhook's type made from that."""

    @property
    def metadata(self) -> WrittenMeta:
        """Its metadata."""
        ...

    @property
    def spec(self) -> WrittenSpec:
        """What it is for."""
        ...

    @property
    def status(self) -> WrittenStatus:
        """What was judged."""
        ...

    @property
    def stamps(self) -> list[datetime]:
        """When it was written."""
        ...

    @property
    def is_judged(self) -> bool:
        """Whether the operator has judged the content that it has now."""
        ...


def intent_to_await(
    rollout: Rollout, reason: Reason, intents: Iterable[WrittenIntent], now: datetime
) -> WrittenIntent | None:
    """The intent that may end a denial in a moment, of those of the rollout's namespace; None if
    none may.

    It names the workload and every image, and was written within the last five seconds. Of several
    it is one that is not judged, the one written last. Where it is judged already, that was done
    after the requests were read on which the denial rests: to read them again is enough.
    """
    if reason not in DENIED_FOR_WANT_OF_A_REQUEST:
        return None
    found = [
        (not each.is_judged, written, each.metadata.name, each)
        for each in intents
        if (written := _written_lately(each, now)) is not None and _declares(each, rollout)
    ]
    return max(found, key=lambda each: each[:3])[3] if found else None


@dataclass(frozen=True)
class Unopened:
    """An intent that declares a rollout, and that no request was opened for."""

    name: str
    """Name of the intent."""
    reason: str
    """Why not, by the operator: such as `ChangePolicyInvalid`."""
    message: str
    """The same for people."""


def unopened(rollout: Rollout, reason: Reason, intents: Iterable[WrittenIntent]) -> Unopened | None:
    """The intent that declares everything of a denied rollout and for whose content, as it is now,
    the operator opened no request; None if there is none. Of several it is the first by name."""
    if reason not in WITHOUT_A_REQUEST:
        return None
    for each in sorted(intents, key=lambda each: each.metadata.name):
        if each.metadata.deletion_timestamp is None and each.is_judged and _declares(each, rollout):
            said = next((c for c in each.status.conditions if c.type == "Ready"), None)
            if said is not None and said.status == "False" and said.reason not in _OF_REQUESTS:
                return Unopened(each.metadata.name, said.reason, said.message)
    return None


_OF_REQUESTS = frozenset({"ReviewNeeded", *map(str, Reason)})
"""What the operator says of an intent that has a request."""


def unopened_message(rollout: Rollout, ring: int, reason: Reason, intent: Unopened) -> str:
    """The message of a denial of what an intent declares, and the operator opened no request
    for."""
    namespace = rollout.namespace
    return compose(
        f"{tried(rollout, ring, reason)} has no CABRequest for its images. DeploymentIntent "
        f"{intent.name} declares them, and none is opened for it: {shortened(intent.reason, 100)}.",
        [sentence(shortened(intent.message, 500))],
        f"Once that is mended it is opened. See: {show_intent(namespace, intent.name)}",
    )


def _written_lately(intent: WrittenIntent, now: datetime) -> datetime | None:
    """When an intent was last written, if that was a moment ago."""
    if intent.metadata.deletion_timestamp is not None:
        return None
    # A stamp that is a little ahead is that of another machine's clock. One that is far ahead was
    # written by hand, and takes the moment from no later write.
    return max((each for each in intent.stamps if abs(now - each) <= FRESH), default=None)


def _declares(intent: WrittenIntent, rollout: Rollout) -> bool:
    """Whether an intent declares everything that is rolled out."""
    meant = rollout.template
    fitting = [
        each
        for each in intent.spec.targets
        if meant is None or each.template in (None, meant.digest)
    ]
    return set(rollout.images) <= rollout.images_in(fitting)
