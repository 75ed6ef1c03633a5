# SPDX-License-Identifier: Apache-2.0
"""What a workload has in common with itself in the ring before."""

import pytest

from cabgate.api.kinds import BUILT_IN
from cabgate.rollout.templates import Template, ring_template
from cabgate.rollout.workloads import template_of

DEPLOYMENT = next(kind for kind in BUILT_IN if kind.kind == "Deployment")
WEB = {"name": "web", "image": "shop/web:1", "env": [{"name": "RING", "value": "1"}]}


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
        {"image": "shop/web:2"},  # images are compared by themselves
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
