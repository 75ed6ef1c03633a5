# SPDX-License-Identifier: Apache-2.0
"""Images that nothing can run are refused where they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.rollout.image_names import check_images, image_problem, image_problems
from cabgate.text.refusal import Refusal
from cabgate_samples.models import intent, target
from cabgate_samples.objects import GOOD

REFERENCES = st.from_regex(r"[a-z0-9.:/_@+-]{1,40}", fullmatch=True)
BLANKS = st.sampled_from(
    [" ", "\t", "\n", "\r", "\x00", "\x7f", "\x85", "\xa0", "\u2003", "\u200b"]
)


def declared(*images, named=("web:1",)):
    evidence = {**GOOD, "artifacts": [{"name": "a"}, {"name": "b", "images": list(named)}]}
    targets = [target("db", "db:1"), target("web", *images)]
    return intent(evidence, targets, named=False).spec


def refused(old, new):
    with pytest.raises(Refusal) as caught:
        check_images(old, new)
    return str(caught.value)


def test_the_refusal_names_the_place_and_what_to_write():
    assert refused(None, declared("side:1", "web:1 ")) == (
        "Invalid: spec.targets[1].images[1]: 'web:1 ' is the name of no image: it holds U+0020 at "
        "character 6, and one has printed ASCII characters alone, without blanks; write web:1"
    )
    found = refused(None, declared("web:1", named=["web:1", "we b:1"]))
    assert found.startswith("Invalid: spec.evidence.artifacts[1].images[1]: 'we b:1' is the name ")
    assert "; write" not in found  # nobody can tell what was meant


def test_what_stands_unchanged_is_left_alone():
    """Else nobody could change the summary of an intent that an older release took in."""
    standing = declared("web:1 ")
    check_images(standing, standing.model_copy(update={"summary": "other"}))
    refused(standing, declared("web:1 ", "side:1"))
    refused(standing, declared("web:1 ", named=["web:2"]))
    check_images(standing, declared("web:1"))


@given(REFERENCES)
def test_whatever_a_registry_takes_is_an_image(image):
    assert image_problem(image) is None


@given(REFERENCES, REFERENCES, BLANKS)
def test_no_blank_and_no_control_character_passes_wherever_it_stands(first, last, blank):
    for image in (blank + first, first + blank, first + blank + last):
        problem = image_problem(image)
        assert problem is not None
        assert f"U+{ord(blank):04X}" in problem
        paths = [path for path, _ in image_problems(declared(image, named=[image]))]
        assert paths == ["spec.targets[1].images[0]", "spec.evidence.artifacts[1].images[0]"]
