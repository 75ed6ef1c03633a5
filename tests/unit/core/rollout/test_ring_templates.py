# SPDX-License-Identifier: Apache-2.0
"""What a workload has in common with itself in the ring before."""

import pytest

from cabgate.api.kinds import BUILT_IN
from cabgate.rollout.templates import Template, ring_template, template_of_forms
from cabgate.rollout.workloads import template_of

DEPLOYMENT = next(kind for kind in BUILT_IN if kind.kind == "Deployment")
SUM = "sha256:" + "1" * 64
WEB = {"name": "web", "image": f"shop/web@{SUM}", "env": [{"name": "RING", "value": "1"}]}


def digest(replicas=1, init=None, **changes):
    pod = {"containers": [{**WEB, **changes}], **({"initContainers": [init]} if init else {})}
    spec = {"replicas": replicas, "template": {"spec": pod}}
    return ring_template(template_of(DEPLOYMENT, {"spec": spec}))


@pytest.mark.parametrize(
    "changes",
    [
        {"env": []},
        {"env": [{"name": "RING", "value": "2"}]},
        {"envFrom": [{"configMapRef": {"name": "ring-2"}}]},
        {"replicas": 9},
        {"resources": {"limits": {"cpu": "2"}}},
        {"image": f"mirror/web:other@{SUM}"},  # it is the same, wherever it is kept
    ],
)
def test_what_may_differ_from_ring_to_ring(changes):
    assert digest(**changes) == digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"command": ["sleep", "infinity"]},
        {"args": ["--dry-run"]},
        {"securityContext": {"privileged": True}},
        {"name": "other"},
        {"image": "shop/web@sha256:" + "2" * 64},
        {"image": "shop/web:1"},
    ],
)
def test_what_may_not(changes):
    """Whoever may make a namespace of a low ring would have a perfect soak by `sleep`."""
    assert digest(**changes) != digest()


def test_variables_of_init_containers_may_differ_and_what_they_run_may_not():
    init = {"name": "migrate", "image": "shop/web:1", "command": ["migrate"]}
    before = digest(init=init)
    assert digest(init={**init, "env": [{"name": "DB", "value": "x"}]}) == before
    assert digest(init={**init, "command": ["true"]}) != before


def test_it_is_not_the_digest_of_all():
    template = template_of(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [WEB]}}}})
    assert ring_template(template) != template.digest


def test_what_cannot_be_compared_has_none():
    assert ring_template(None) is None
    assert ring_template(Template("")) is None
    assert ring_template(Template("t1:sha256:" + "a" * 64)) is None


APP, SIDE = (f"shop/{name}@sha256:{digit * 64}" for name, digit in (("app", "a"), ("side", "b")))


def of_two(app, side, field="containers"):
    """Two containers, one of which may start before the other."""
    side = {"name": "side", "image": side, "command": ["run"]}
    pod = {"containers": [{"name": "app", "image": app, "command": ["run"]}]}
    pod[field] = [*pod.get(field, []), side]
    return ring_template(template_of(DEPLOYMENT, {"spec": {"template": {"spec": pod}}}))


@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_which_container_runs_which_image_is_a_part_of_it(field):
    assert of_two(APP, SIDE, field) == of_two(APP, SIDE, field)
    assert of_two(APP, SIDE, field) != of_two(SIDE, APP, field)


def test_which_volume_has_which_image_is_a_part_of_it():
    def mounted(first, second):
        pod = {"containers": [WEB], "volumes": [
            {"name": name, "image": {"reference": image}}
            for name, image in (("model", first), ("data", second))
        ]}  # fmt: skip
        return ring_template(template_of(DEPLOYMENT, {"spec": {"template": {"spec": pod}}}))

    assert mounted(APP, SIDE) != mounted(SIDE, APP)


def test_a_form_without_its_images_is_compared_with_nothing():
    assert ring_template(template_of_forms([{"containers": {"app": {}}}])) is None
