# SPDX-License-Identifier: Apache-2.0
"""Whatever a workload runs or ran, each break of its glass has a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.lifecycle.requests.break_glass import (
    BREAKABLE,
    check_opened_for_glass,
    requests_for_glass,
)
from cabgate.text.canonical import sha256_hex
from cabgate_samples.models import broken_workload
from unit.core.lifecycle.requests.test_earlier_breaks import line, listed

DEPLOYMENT = next(kind for kind in BREAKABLE if kind.kind == "Deployment")
LONG = "x" * 600
TAKEN_FOR_IT = f"{LONG[:400]}... (SHA-256 {sha256_hex(LONG)})"


def running(*images):
    made = broken_workload()
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    made["spec"]["template"]["spec"]["containers"] = containers
    return made


def seen(obj):
    """What each request names, once it has passed as the operator would create it."""
    found = requests_for_glass(DEPLOYMENT, obj)
    for each in found:
        check_opened_for_glass(each, obj)
    return [each.spec.targets[0].images for each in found]


def test_a_blank_image_takes_no_break_its_request():
    (latest,) = seen(running("web:1", " "))
    assert "web:1" in latest
    assert len(latest) == 2
    latest, first = seen(listed(line(images=("web:1", " "))))
    assert latest == ["web:9"]
    assert "web:1" in first


def test_an_image_that_reads_as_another_one_is_told_is_not_taken_for_it():
    (found,) = seen(running("evil:1", LONG, TAKEN_FOR_IT))
    assert "evil:1" in found
    assert len(found) == 3


@pytest.mark.parametrize("volume", [{"image": {"reference": ""}}, {"image": 7}, "none"])
def test_a_template_that_cannot_be_read_takes_no_break_its_request(volume):
    obj = listed(line(images=("evil:1",)))
    obj["spec"]["template"]["spec"]["volumes"] = [volume]
    assert seen(obj) == [["no image that is known"], ["evil:1"]]


IMAGES = st.text(min_size=1, max_size=600) | st.sampled_from([" ", "\u200b", LONG, TAKEN_FOR_IT])


@given(st.lists(IMAGES, min_size=1, max_size=5), st.lists(IMAGES, min_size=1, max_size=5))
def test_whatever_ran_is_told(now, before):
    obj = running(*now)
    before = [image.replace("\n", " ").replace("\t", " ") for image in before]
    earlier = listed(line(images=tuple(before)))["metadata"]["annotations"]
    obj["metadata"]["annotations"] = earlier
    assert len(seen(obj)) == 2
