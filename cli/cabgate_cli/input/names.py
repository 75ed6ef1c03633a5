# SPDX-License-Identifier: Apache-2.0
"""Names that the API server would refuse are refused here, before they are printed."""

import re

from cabgate.text.foreign import quoted
from cabgate_cli.errors import BadInput

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_ALLOWED = "lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"


def object_name(value: str, field: str, max_length: int = 253) -> str:
    """A name that an object may have; raises `BadInput` with the field otherwise."""
    # Imported here alone: what names no object starts without the models.
    from cabgate.api.base import SUBDOMAIN

    if not re.fullmatch(SUBDOMAIN, value):
        raise BadInput(f"{field}: {quoted(value)} cannot be a name; allowed: {_ALLOWED}")
    if len(value) > max_length:
        raise BadInput(
            f"{field}: has {len(value)} characters; allowed: at most {max_length} characters"
        )
    return value


def namespace_name(value: str, field: str) -> str:
    """A name that a namespace may have; raises `BadInput` with the field otherwise."""
    if not re.fullmatch(_LABEL, value):
        raise BadInput(
            f"{field}: {quoted(value)} cannot be a namespace; allowed: 1 to 63 lower-case letters, "
            "digits and '-', beginning and ending with a letter or digit"
        )
    return value
