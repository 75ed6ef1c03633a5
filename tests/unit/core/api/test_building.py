# SPDX-License-Identifier: Apache-2.0
"""When the models are built: not by importing them, and all of them where that is asked for."""

import subprocess
import sys

from cabgate.api import CABRequest
from cabgate.api.base import Model, build_models
from cabgate.api.descriptions import field_descriptions

LOOK = """
from cabgate.api.base import Model
import cabgate.api.decision
from cabgate.views import queue
from cabgate_cli.input import stored
def built(model):
    return [model.__name__] * model.__pydantic_complete__ + [
        name for each in model.__subclasses__() for name in built(each)
    ]
print(sorted(set(built(Model)) - {"Model"}))
"""


class Early(Model):
    name: str
    """What it is called,
    in two lines."""


class Late(Early):
    ring: int = 0
    """Its ring."""
    score: int = 0


def test_what_imports_the_models_builds_none_before_it_has_one_to_read() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_all_of_them_can_be_built_ahead() -> None:
    build_models()
    assert CABRequest.__pydantic_complete__
    assert Late.__pydantic_complete__


def test_schemas_say_what_the_docstrings_of_fields_say() -> None:
    assert field_descriptions(Late) == {
        "name": "What it is called,\nin two lines.",
        "ring": "Its ring.",
    }
    properties = Late.model_json_schema(by_alias=True)["properties"]
    assert properties["ring"]["description"] == "Its ring."
    assert "description" not in properties["score"]
