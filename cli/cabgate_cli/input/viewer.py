# SPDX-License-Identifier: Apache-2.0
"""Who looks, and when. Imports no model."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cabgate.review.identity import User


def now() -> datetime:
    """The time, by this machine's clock."""
    return datetime.now(UTC)


def user_of(info: Mapping[str, Any] | None) -> User | None:
    """Who acts, of what the API server says."""
    if info is None:
        return None
    return User(str(info["username"]), str(info.get("uid") or ""), info.get("groups") or ())
