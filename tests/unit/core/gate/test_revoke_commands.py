# SPDX-License-Identifier: Apache-2.0
"""The command that `ImagesNeeded` prints is for the images that are meant, or has a place for
them."""

import json
import re
import shlex

import pytest

from cabgate.gate.commands import revoke_request
from cabgate.text.refusal import Refusal
from cabgate.writes.revoking import images_to_revoke
from cabgate_samples.models import NOW, by_person, request, target
from unit.core.standings import Surroundings

IMMUTABLE = "web:1 field is immutable"
"""A phrase on which Flux acts, and which no message prints."""


def release(name, *targets):
    return request("ManualReview", by_person("Approved"), targets=[*targets], name=name)


def refused(subject, *others):
    with pytest.raises(Refusal) as found:
        images_to_revoke(subject, [], Surroundings([subject, *others], [], NOW))
    return found.value.message


def images_of(message):
    """What the command that ends a message names."""
    command = message.partition("Revoke with: ")[2]
    return json.loads(shlex.split(command)[-1])["status"]["review"]["images"]


WEB, DB = target("web", "web:2"), target("db", "db:1")


def test_where_all_is_approved_elsewhere_the_command_names_no_image_for_the_reviewer():
    new, same = release("new", WEB, DB), release("same", WEB, DB)
    message = refused(new, same)
    assert images_of(message) == ["..."]
    assert 'Put the images that you mean in place of "..."' in message
    assert "as they stand in spec.targets of the request" in message
    assert 'With "images":["*"] it denies Deployment db: db:1, Deployment web: web:2.' in message


def test_an_image_that_is_printed_otherwise_is_in_no_command():
    odd = release("odd", target("web", IMMUTABLE), DB)
    message = refused(odd, release("old", DB))
    assert images_of(message) == ["..."]
    assert 'in place of "..."' in message
    assert "is immutable" not in message


def test_images_without_room_in_a_command_have_a_place_there():
    wide = release("wide", target("web", *(f"web:{n:02}{'x' * 90}" for n in range(9))), DB)
    message = refused(wide, release("old", DB))
    assert images_of(message) == ["..."]
    assert 'in place of "..."' in message


@pytest.mark.parametrize("image", ["web:1'; echo", 'web:"1"', "web:\\1", "wéb:1", "web:1  b"])
def test_a_command_names_an_image_exactly_or_not_at_all(image):
    named = json.loads(shlex.split(revoke_request(release("r", WEB), [image]))[-1])
    assert named["status"]["review"]["images"] in ([image], ["..."])


def test_what_stands_in_the_place_is_refused_with_the_way_to_the_images():
    new = release("new", target("web", IMMUTABLE), DB)
    with pytest.raises(Refusal) as found:
        images_to_revoke(new, ["..."], Surroundings([new], [], NOW))
    assert re.search(r"\.\.\. is not an image of request new;.* see: kubectl get cabrequest new "
                     r"-n shop -o json$", found.value.message)  # fmt: skip
