# SPDX-License-Identifier: Apache-2.0
"""Settings of a process: each is an option of its command line and an environment variable. What
cannot be is refused: variables that no setting reads, values that make no sense."""

import os
import re
import sys
import types
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import click
from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from cabgate.api.base import problems
from cabgate.lifecycle.requests.copied_labels import MAX_REQUEST_LABELS, check_request_labels
from cabgate.review.identity import configured_machines

PREFIX = "CABGATE_"
"""What the name of every environment variable of ours begins with."""

_SERVICE_LINK = re.compile(
    r"CABGATE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)"
)
_PORT_LINK = re.compile(r"(tcp|udp|sctp)://")


class SettingsError(Exception):
    """Settings that cannot be used; the message names each of them, one a line."""


S = TypeVar("S", bound=BaseSettings)


def read_settings(model: type[S], arguments: Sequence[str], program: str) -> S:
    """The settings of a program: what its command line gives, else the environment, else the
    defaults.

    Raises `SettingsError`. `--help` and unknown options exit.
    """
    given = _parsed(model, arguments, program)
    unknown = unknown_variables(os.environ, model.model_fields)
    if unknown:
        raise SettingsError("\n".join(f"{name}: no such setting" for name in unknown))
    try:
        return model(**{key: value for key, value in given.items() if value not in (None, ())})
    except ValidationError as error:
        raise SettingsError(explained(error)) from None


def _parsed(model: type[BaseSettings], arguments: Sequence[str], program: str) -> Mapping[str, Any]:
    """What a command line gives, as text: the model says what is wrong with it, as of variables."""
    options: list[click.Parameter] = [
        _option(key, field) for key, field in model.model_fields.items()
    ]
    command = click.Command(program, params=options, help=model.__doc__)
    try:
        return command.make_context(program, list(arguments)).params
    except click.exceptions.Exit as end:  # --help
        sys.exit(end.exit_code)
    except click.UsageError as error:
        error.show()
        sys.exit(error.exit_code)


def _option(key: str, field: FieldInfo) -> click.Option:
    default = shown_default(field)
    about = [variable_of(key), *([f"default: {default}"] if default else [])]
    if field.is_required():
        about = [variable_of(key), "required"]
    flag, multiple = field.annotation is bool, isinstance(field.default, tuple)
    metavar = None if flag else _form_of(field.annotation)
    return click.Option(
        [option_of(key)],
        help=f"{field.description}  [{'; '.join(about)}]",
        default=None,
        is_flag=flag,
        multiple=multiple,
        metavar=metavar,
    )


def shown_default(field: FieldInfo) -> str:
    """The default of a setting, as people write it; empty if there is none."""
    value = field.default
    if field.is_required() or value is None:
        return ""
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _form_of(annotation: Any) -> str:
    """What stands for a value in the help."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return f"[{'|'.join(get_args(annotation))}]"
    return {int: "INTEGER", float: "NUMBER", Path: "FILE"}.get(annotation, "TEXT")


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
    """The words of a setting that is a list: one text in the variable, one of each option. An
    option without a word stays, for whoever refuses it."""
    if isinstance(value, str):
        return _words_in(value)
    if not isinstance(value, tuple):
        return value
    return tuple(word for text in value for word in _words_in(text) or ("",))


def _words_in(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s,]+", text) if word)


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
    for found in problems(error):
        key = found.path.partition(".")[0]
        what = "is not set" if found.code == "missing" else found.message
        lines.append(f"{option_of(key)} ({variable_of(key)}): {what}" if key else what)
    return "\n".join(lines)
