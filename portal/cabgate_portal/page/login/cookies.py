# SPDX-License-Identifier: Apache-2.0
"""Cookies of any length, in chunks: a browser keeps none over 4 KB, and an ID token that lists
groups is longer.

`__Host-` has the browser take them from this very host alone, over TLS, for the path `/`: no other
host of the domain can plant one.
"""

from collections.abc import Iterable, Mapping, Sequence

CHUNK = 3500
"""Characters of a chunk: name and attributes fit beside it into 4096 bytes."""

MAX_CHUNKS = 8
"""Chunks of one cookie. With the other headers they stay under the longest head of a request, of
which a part may be counted twice."""

_COUNTS = {str(number): number for number in range(1, MAX_CHUNKS + 1)}

STRICT, LAX = "Strict", "Lax"


def cookies_of(headers: Iterable[str]) -> dict[str, str]:
    """The cookies of a request, by name. One that is given twice is left out: a browser has one of
    a name that begins with `__Host-`, so somebody else wrote that. Nothing but blanks and tabs
    is taken off a name: with another character in front any host of the domain can plant it."""
    found: dict[str, str] = {}
    twice = set()
    for header in headers:
        for each in header.split(";"):
            name, _, value = each.strip(" \t").partition("=")
            if name in found:
                twice.add(name)
            found[name] = value
    return {name: value for name, value in found.items() if name not in twice}


def chunks(name: str, value: str) -> dict[str, str]:
    """A long value as several cookies; the first says how many they are. Raises `ValueError` for
    one that is too long."""
    parts = [value[at : at + CHUNK] for at in range(0, len(value), CHUNK)]
    if len(parts) > MAX_CHUNKS:
        raise ValueError(f"over {MAX_CHUNKS * CHUNK} characters")
    parts[0] = f"{len(parts)}.{parts[0]}"
    return {f"{name}-{number}": part for number, part in enumerate(parts)}


def joined(name: str, cookies: Mapping[str, str]) -> str | None:
    """The value that was cut into chunks; None where one is missing. Chunks of two values are
    joined, too: that they do not belong together is for whoever opens the seal."""
    count, _, first = cookies.get(f"{name}-0", "").partition(".")
    if count not in _COUNTS:
        return None
    further = [cookies.get(f"{name}-{number}") for number in range(1, _COUNTS[count])]
    return first + "".join(part or "" for part in further) if all(further) else None


def set_cookies(values: Mapping[str, str], same_site: str, seconds: int | None = None) -> list[str]:
    """Headers Set-Cookie. Without `seconds` they are gone when the browser is closed."""
    age = "" if seconds is None else f"; Max-Age={seconds}"
    rest = f"Path=/; Secure; HttpOnly; SameSite={same_site}{age}"
    return [f"{name}={value}; {rest}" for name, value in values.items()]


def removed(names: Sequence[str], same_site: str) -> list[str]:
    """Headers Set-Cookie that have a browser forget some cookies."""
    return set_cookies(dict.fromkeys(names, ""), same_site, 0)
