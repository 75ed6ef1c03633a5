# SPDX-License-Identifier: Apache-2.0
"""Which URLs something may be sent to: what is sent is for nobody on the way, and a URL stands in
files that others read."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints


def https_url(text: str) -> str:
    """A URL that something may be sent to. Raises `ValueError`, which does not repeat it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme != "https" or not parts.hostname or port == 0:
        raise ValueError("is no https URL with a host: https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user or a password in it: put them into a file, and name that")
    if parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("has a fragment, a blank or characters that are to be escaped")
    return text


HttpsURL = Annotated[str, StringConstraints(max_length=2048), AfterValidator(https_url)]
