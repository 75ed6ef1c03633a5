# SPDX-License-Identifier: Apache-2.0
"""Whether two names may be those of one user."""

import unicodedata

from cabgate.text.characters import is_hidden


def same_name(first: str, second: str) -> bool:
    """Whether two names may be those of one user: written with other case or width of letters, with
    blanks around them or with characters that nobody sees. A doubt is a denial."""
    return first == second or folded(first).strip() == folded(second).strip()


def may_be_same(username: str, uid: str, other: str, other_uid: str) -> bool:
    """Whether two records may be of one user: by name, or by uid where both have one, since a name
    can be given anew."""
    return same_name(username, other) or (uid != "" and uid == other_uid)


def folded(name: str) -> str:
    """A name as it is compared. Once more after the case, which takes letters apart."""
    if name.isascii() and name.isprintable():
        return name.casefold()
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in plain if not is_hidden(c))
