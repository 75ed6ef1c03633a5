# SPDX-License-Identifier: Apache-2.0
"""What rules read of the terms of a stored request, whatever holds it: see `cabgate.api.stored`."""

from collections.abc import Sequence
from typing import Protocol


class Asked(Protocol):
    """So many different people, each with a verb, have to approve."""

    @property
    def count(self) -> int: ...
    @property
    def verb(self) -> str: ...


class StoredNeed(Asked, Protocol):
    """The same of a request, with how long its approval is valid."""

    @property
    def valid_for_seconds(self) -> int | None: ...


class StoredEscalation(Protocol):
    """What changes once a request has waited for so long."""

    @property
    def after_seconds(self) -> int: ...
    @property
    def level(self) -> int: ...
    @property
    def also_decides(self) -> str | None: ...


class StoredExceptionNeed(Protocol):
    """What an exception for a request needs."""

    @property
    def count(self) -> int: ...
    @property
    def max_days(self) -> int: ...
    @property
    def require(self) -> Sequence[str]: ...


class StoredPromotionNeed(Protocol):
    """What has to have become of a release in one ring before it is rolled out into the next."""

    @property
    def ring(self) -> int: ...
    @property
    def from_(self) -> int: ...
    @property
    def soak_seconds(self) -> int: ...
    @property
    def success_percent(self) -> str: ...
    @property
    def min_pods(self) -> int: ...
    @property
    def incidents(self) -> int: ...
    @property
    def namespaces(self) -> Sequence[str]: ...


class StoredPromotion(Protocol):
    """What has to have become of a release in the rings before."""

    @property
    def release(self) -> str | None: ...
    @property
    def needs(self) -> Sequence[StoredPromotionNeed]: ...


class StoredTerms(Protocol):
    """What a change policy asks of a request."""

    @property
    def approvals(self) -> Sequence[StoredNeed]: ...
    @property
    def escalation(self) -> Sequence[StoredEscalation]: ...
    @property
    def exceptions(self) -> StoredExceptionNeed | None: ...
    @property
    def promotion(self) -> StoredPromotion | None: ...
