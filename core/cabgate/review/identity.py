# SPDX-License-Identifier: Apache-2.0
"""Who acts, as the API server authenticated it: and whether that is a person or a machine."""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cabgate.api.stored import StoredSubmitter
from cabgate.api.values import MAX_GROUP_NAME, MAX_GROUPS, AuthorType, SubmitterType
from cabgate.text.characters import is_hidden
from cabgate.text.names import folded
from cabgate.text.names import may_be_same as may_be_same
from cabgate.text.names import same_name as same_name

if TYPE_CHECKING:
    from cabgate.api.types import Author

SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
"""How the user name of every service account begins; no certificate of a person should."""

SYSTEM_PREFIX = "system:"
"""How the user names begin that Kubernetes keeps for itself: nodes, its own components, and whoever
is not authenticated at all."""

PEOPLE_OF_KUBERNETES = frozenset({"system:admin"})
"""Names of that kind which distributions give to people: their first administrator."""

EVERYBODY = frozenset({"system:authenticated", "system:unauthenticated"})
"""Groups that cannot tell machines from people, since people are in them too."""

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
    def author(self) -> "Author":
        """How a decision of this user records who made it."""
        from cabgate.api.types import Author  # here, since who only lists records nothing

        groups = [group for group in self.groups if 0 < len(group) <= MAX_GROUP_NAME]
        credential = next(iter(self.extra.get(CREDENTIAL_ID, ())), "")
        return Author(
            type=AuthorType.PERSON,
            username=self.username,
            uid=self.uid,
            groups=groups[:MAX_GROUPS],
            credential_id=credential if len(credential) <= MAX_GROUP_NAME else "",
        )

    def is_same_as(self, submitter: StoredSubmitter) -> bool:
        """Whether this is the user that a submitter records, see `may_be_same`."""
        return may_be_same(self.username, self.uid, submitter.username, submitter.uid)

    def may_be(self, name: str) -> bool:
        """Whether a name that somebody wrote may be this user's, see `same_name`."""
        return same_name(self.username, name)


@dataclass(frozen=True)
class Machines:
    """Which users are machines. Service accounts always are, and whatever else has a name that
    Kubernetes keeps for itself; a pipeline that signs in by OIDC or by a certificate is one by
    configuration."""

    groups: frozenset[str] = frozenset()
    """Groups whose members are machines."""
    user_prefixes: tuple[str, ...] = ()
    """How the user names of machines begin."""

    def include(self, username: str, groups: Collection[str] = ()) -> bool:
        """Whether a user is a machine. Of somebody who is only named the groups are not known.

        Names are compared without regard to case and to the width of letters: a name that only
        looks like that of a machine is none of a person.
        """
        name = folded(username)
        if name.startswith(SYSTEM_PREFIX) and name not in PEOPLE_OF_KUBERNETES:
            return True
        if any(name.startswith(folded(prefix)) for prefix in self.user_prefixes):
            return True
        return not self.groups.isdisjoint(groups)

    def submitted(self, submitter: StoredSubmitter) -> bool:
        """Whether a submitter is a machine: as it was stamped when it submitted, or, where its
        groups are no longer known, by its name."""
        return submitter.type is SubmitterType.MACHINE or self.include(submitter.username)


SERVICE_ACCOUNTS = Machines()
"""The machines of an installation that configures none."""


def configured_machines(groups: Collection[str], prefixes: Collection[str]) -> Machines:
    """Machines by configuration. Raises `ValueError` for what would take everybody for one."""
    if "" in groups or not EVERYBODY.isdisjoint(groups):
        raise ValueError(
            f"no group may be empty or {' or '.join(sorted(EVERYBODY))}: people are in it"
        )
    if any(is_blank(prefix) for prefix in prefixes):
        raise ValueError("a prefix needs a letter or a digit: everybody would be a machine")
    return Machines(frozenset(groups), tuple(prefixes))


def is_blank(name: str) -> bool:
    """Whether a name shows nothing that tells whose it is: neither a letter nor a digit."""
    return not any(not is_hidden(c) and unicodedata.category(c)[0] in "LN" for c in name)


def has_hidden(name: str) -> bool:
    """Whether a name has characters that nobody sees, or blanks around it: it would be compared as
    another than it looks like."""
    hidden = any(is_hidden(c) or (unicodedata.category(c)[0] == "Z" and c != " ") for c in name)
    return hidden or name != name.strip()


def is_service_account(username: str) -> bool:
    """Whether a user name is that of a service account."""
    return username.startswith(SERVICE_ACCOUNT_PREFIX)


def service_account_of(username: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user name; None for anybody else."""
    if not is_service_account(username):
        return None
    namespace, _, name = username.removeprefix(SERVICE_ACCOUNT_PREFIX).partition(":")
    return (namespace, name) if namespace and name else None
