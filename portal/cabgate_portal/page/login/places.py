# SPDX-License-Identifier: Apache-2.0
"""Where somebody goes on once they are signed in: a page of the portal, and nowhere else."""

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

START = "/queue"
"""Where they go on if they asked for no page."""

MAX_PLACE = 1000
"""Longest place that is kept, in characters."""

_PATH = re.compile(
    r"/(queue|workload|calendar|ledger|dashboard|(requests|exceptions)/[a-z0-9.-]{1,330})"
)


def place_of(asked: str) -> str:
    """A page of the portal that was asked for, put together anew; `START` for anything else."""
    if len(asked) > MAX_PLACE or not asked.isascii() or not asked.isprintable():
        return START
    try:
        url = urlsplit(asked)
        pairs = parse_qsl(url.query, keep_blank_values=True)
    except ValueError:
        return START
    if url.scheme or url.netloc or not _PATH.fullmatch(url.path):
        return START
    # What somebody is told was recorded is told where they recorded it.
    kept = [(name, value) for name, value in pairs if name != "recorded"]
    place = f"{url.path}?{urlencode(kept)}" if kept else url.path
    return place if len(place) <= MAX_PLACE else START  # written anew it may be three times as long
