# SPDX-License-Identifier: Apache-2.0
"""Objects with a text in each field that their schema lets it into."""

import copy

from pydantic import ValidationError

KEPT = {"metadata", "apiVersion", "kind", "requestRef", "intentRef"}
"""What objects are found by."""


def fields_for(obj, model, text):
    """The paths of the fields of an object that its model takes a text in, all at once."""
    made, found = copy.deepcopy(obj), []
    for path in list(_texts(made)):
        before = _put(made, path, text)
        try:
            model.model_validate(made)
        except ValidationError:
            _put(made, path, before)
        else:
            found.append(path)
    return found


def filled(obj, paths, text):
    """An object with a text at some paths."""
    made = copy.deepcopy(obj)
    for path in paths:
        _put(made, path, text)
    return made


def _texts(value, path=()):
    if isinstance(value, str):
        yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, each in items:
        if key not in KEPT:
            yield from _texts(each, (*path, key))


def _put(obj, path, text):
    """Put a text there; what was there before."""
    *way, last = path
    for key in way:
        obj = obj[key]
    before, obj[last] = obj[last], text
    return before
