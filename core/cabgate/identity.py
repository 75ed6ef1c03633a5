# SPDX-License-Identifier: Apache-2.0
"""Who acts, as the API server authenticated it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cabgate.api.types import MAX_GROUP_NAME, MAX_GROUPS, Author, AuthorType, Submitter

SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
"""How the user name of every service account begins; no certificate of a person should."""

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
"""Key of a user's extra under which the API server names the credential that was used."""


@dataclass(frozen=True)
class User:
    """An authenticated user."""

    username: str
    uid: str = ""
    groups: Sequence[str] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def author(self) -> Author:
        """How a decision of this user records who made it."""
        groups = [group for group in self.groups if 0 < len(group) <= MAX_GROUP_NAME]
        credential = next(iter(self.extra.get(CREDENTIAL_ID, ())), "")
        return Author(
            type=AuthorType.PERSON,
            username=self.username,
            uid=self.uid,
            groups=groups[:MAX_GROUPS],
            credential_id=credential if len(credential) <= MAX_GROUP_NAME else "",
        )

    @property
    def is_service_account(self) -> bool:
        """Whether this is a machine."""
        return is_service_account(self.username)

    def is_same_as(self, submitter: Submitter) -> bool:
        """Whether this is the user that a submitter records: by name, or by uid where both have
        one, since a name can be given anew."""
        return self.username == submitter.username or (self.uid != "" and self.uid == submitter.uid)


def is_service_account(username: str) -> bool:
    """Whether a user name is that of a service account."""
    return username.startswith(SERVICE_ACCOUNT_PREFIX)


def service_account_of(username: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user name; None for anybody else."""
    if not is_service_account(username):
        return None
    namespace, _, name = username.removeprefix(SERVICE_ACCOUNT_PREFIX).partition(":")
    return (namespace, name) if namespace and name else None
