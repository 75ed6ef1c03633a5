# SPDX-License-Identifier: Apache-2.0
"""What both processes say of settings that cannot be: variables that no setting reads, values that
make no sense."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationError

from cabgate.lifecycle.copied_labels import MAX_REQUEST_LABELS, check_request_labels
from cabgate.review.identity import configured_machines

PREFIX = "CABGATE_"
"""What the name of every environment variable of ours begins with."""

_SERVICE_LINK = re.compile(
    r"CABGATE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)"
)
_PORT_LINK = re.compile(r"(tcp|udp|sctp)://")


class SettingsError(Exception):
    """Settings that cannot be used; the message names each of them, one a line."""


def option_of(key: str) -> str:
    """The command-line option of a setting: `--log-format` of `log_format`."""
    return f"--{key.replace('_', '-')}"


def variable_of(key: str) -> str:
    """The environment variable of a setting: `CABGATE_LOG_FORMAT` of `log_format`."""
    return PREFIX + key.upper()


def unknown_variables(environment: Mapping[str, str], keys: Collection[str]) -> list[str]:
    """Variables of ours that no setting reads: a misspelt one would be obeyed by nobody.

    What Kubernetes itself puts into a Pod's environment for a Service whose name begins with
    cabgate is none of them.
    """
    known = {variable_of(key) for key in keys}
    return sorted(
        name
        for name, value in environment.items()
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and not _is_service_link(name, value)
    )


def _words_of(value: object) -> object:
    """The words of a setting that is a list: several options of one name come joined by commas, in
    the variable they are separated by spaces."""
    if not isinstance(value, str):
        return value
    return tuple(part for part in re.split(r"[\s,]+", value) if part)


def _machine_groups(value: tuple[str, ...]) -> tuple[str, ...]:
    configured_machines(value, ())
    return value


def _machine_prefixes(value: tuple[str, ...]) -> tuple[str, ...]:
    configured_machines((), value)
    return value


MachineGroups = Annotated[
    tuple[str, ...], BeforeValidator(_words_of), AfterValidator(_machine_groups)
]
"""The setting `machine_group` of both processes."""

MachineUserPrefixes = Annotated[
    tuple[str, ...], BeforeValidator(_words_of), AfterValidator(_machine_prefixes)
]
"""The setting `machine_user_prefix` of both processes."""

MACHINE_GROUP = (
    "A group whose members are machines, which never decide; can be given more than once, in the "
    "variable separated by spaces."
)
"""What the first of them is."""

MACHINE_USER_PREFIX = (
    "How the user names of machines begin that are no service accounts; can be given more than "
    "once, in the variable separated by spaces."
)
"""What the second is."""


Names = Annotated[tuple[str, ...], BeforeValidator(_words_of)]
"""A setting of names, such as `excluded_namespace` of both processes."""

EXCLUDED_NAMESPACE = (
    "A namespace in which nothing is gated or guarded, beside cabgate's own, as the chart's "
    "policies were told: it is not counted, and what reads like a break of the glass is none "
    "there; can be given more than once, in the variable separated by spaces."
)
"""What that is."""


def _request_labels(value: tuple[str, ...]) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(each for each in value if each))
    check_request_labels(keys)
    return keys


RequestLabels = Annotated[
    tuple[str, ...], BeforeValidator(_words_of), AfterValidator(_request_labels)
]
"""The setting `request_label` of the operator: an empty one says that there is none."""

REQUEST_LABEL = (
    "Key of a label that a request repeats of its intent's, to select by; can be given more than "
    f"once, up to {MAX_REQUEST_LABELS} times, in the variable separated by spaces; empty: none."
)
"""What that is."""


def _is_service_link(name: str, value: str) -> bool:
    if name.endswith("_PORT") and _PORT_LINK.match(value):
        return True
    return bool(_SERVICE_LINK.fullmatch(name))


def explained(error: ValidationError) -> str:
    """What is wrong with which setting, one a line; the values are not repeated."""
    lines = []
    for found in error.errors(include_input=False, include_url=False, include_context=False):
        key = str(found["loc"][0]) if found["loc"] else ""
        what = "is not set" if found["type"] == "missing" else found["msg"]
        what = what.removeprefix("Value error, ")
        lines.append(f"{option_of(key)} ({variable_of(key)}): {what}" if key else what)
    return "\n".join(lines)
