# SPDX-License-Identifier: Apache-2.0
"""Which images a pod template runs: all of them, or an error that says where."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.rollout.pods import PodTemplateError, template_images

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


def template(**spec: Any) -> dict[str, Any]:
    return {"spec": spec}


def test_every_place_that_names_an_image_counts() -> None:
    found = template_images(
        template(
            containers=[{"name": "web", "image": "web:1"}, {"name": "proxy", "image": "proxy:1"}],
            initContainers=[{"image": "init:1"}, {"image": "sidecar:1", "restartPolicy": "Always"}],
            ephemeralContainers=[{"image": "debug:1"}],
            volumes=[
                {"name": "model", "image": {"reference": "model:1", "pullPolicy": "Always"}},
                {"name": "tmp", "emptyDir": {}},
            ],
        )
    )
    assert found == ("debug:1", "init:1", "model:1", "proxy:1", "sidecar:1", "web:1")


def test_an_image_that_runs_twice_is_named_once() -> None:
    assert template_images(template(containers=[{"image": "a"}, {"image": "a"}])) == ("a",)


def test_null_lists_are_empty_lists() -> None:
    spec = {"containers": [{"image": "a"}], "initContainers": None, "volumes": None}
    assert template_images(template(**spec)) == ("a",)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, "spec.template: not an object"),
        ([], "spec.template: not an object"),
        ({}, "spec.template.spec: not an object"),
        ({"spec": "x"}, "spec.template.spec: not an object"),
        (template(), "spec.template.spec.containers: no image"),
        (template(containers=[]), "spec.template.spec.containers: no image"),
        (template(containers={}), "spec.template.spec.containers: not a list"),
        (template(containers="web"), "spec.template.spec.containers: not a list"),
        (template(containers=["web"]), "spec.template.spec.containers[0]: not an object"),
        (template(containers=[{}]), "spec.template.spec.containers[0].image: no image"),
        (template(containers=[{"image": ""}]), "spec.template.spec.containers[0].image: no image"),
        (template(containers=[{"image": 1}]), "spec.template.spec.containers[0].image: no image"),
        (
            template(containers=[{"image": "a"}, {"image": None}]),
            "spec.template.spec.containers[1].image: no image",
        ),
        (
            template(containers=[{"image": "a"}], initContainers=[{}]),
            "spec.template.spec.initContainers[0].image: no image",
        ),
        (
            template(containers=[{"image": "a"}], volumes=[{"image": {}}]),
            "spec.template.spec.volumes[0].image.reference: no image",
        ),
        (
            template(containers=[{"image": "a"}], volumes=[{"image": "x"}]),
            "spec.template.spec.volumes[0].image: not an object",
        ),
        (template(containers=[{"image": "a"}], volumes=[0]), "volumes[0]: not an object"),
    ],
)
def test_what_is_not_a_pod_template_is_an_error_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(PodTemplateError) as error:
        template_images(value)
    assert path in str(error.value)


def test_the_path_begins_where_the_caller_says() -> None:
    with pytest.raises(PodTemplateError, match=r"^spec\.jobTemplate\.spec: not an object"):
        template_images({}, "spec.jobTemplate")


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with contextlib.suppress(PodTemplateError):
        template_images(value)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "containers": JSON | st.lists(st.dictionaries(st.just("image"), JSON), max_size=3),
            "initContainers": JSON,
            "ephemeralContainers": JSON,
            "volumes": JSON | st.lists(st.dictionaries(st.just("image"), JSON), max_size=3),
        },
    )
)
def test_nearly_a_pod_template_is_read_or_refused(spec: Any) -> None:
    try:
        found = template_images({"spec": spec})
    except PodTemplateError:
        return
    assert found
    assert all(isinstance(image, str) and image for image in found)
