# SPDX-License-Identifier: Apache-2.0
"""What a workload ran before, and what nobody can pass for it."""

from typing import Any

import pytest

from cabgate.api.base import rfc3339
from cabgate.rollout.earlier import revisions_of, same_as, selected_by, without_claims
from cabgate.rollout.normal_form import normal_form
from cabgate.rollout.pods import images_by_name
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, template_of_forms
from cabgate_samples.models import NOW

WEB = Workload("apps", "Deployment", "web")
OWNER = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "name": "web",
    "uid": "u-1",
    "controller": True,
}


def pod(image: str = "web:1", *command: str) -> dict[str, Any]:
    container = {"name": "app", "image": image, "command": list(command)}
    labels = {"app": "web", "pod-template-hash": "5d4f8"}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container]}}


def kept(template: Any, name: str = "web-5d4f8", owner: Any = OWNER, **metadata: Any) -> Any:
    owners = [] if owner is None else [owner]
    said = {"name": name, "ownerReferences": owners, "creationTimestamp": rfc3339(NOW), **metadata}
    return {"metadata": said, "spec": {"replicas": 0, "template": template}}


def template(image: str = "web:1", *command: str) -> Template:
    made = pod(image, *command)
    return template_of_forms([normal_form(made)], [images_by_name(made)])


def test_what_ran_is_found_again_by_what_its_containers_did() -> None:
    revisions = revisions_of(WEB, "u-1", [kept(pod()), kept(pod("web:2"), "web-7c9b2")])
    assert [each.name for each in same_as(["web:1"], template(), revisions)] == ["web-5d4f8"]
    assert [each.name for each in same_as(["web:2"], template("web:2"), revisions)] == ["web-7c9b2"]
    assert same_as(["web:3"], template(), revisions) == []
    assert same_as(["web:1", "web:2"], template(), revisions) == []
    assert same_as([], template(), revisions) == []
    assert [each.created for each in revisions] == [NOW, NOW]
    assert same_as(["web:1"], template("web:1", "sh"), revisions) == []
    assert same_as(["web:1"], Template(""), revisions) == []
    assert same_as(["web:1"], None, revisions) == []


def test_images_that_changed_their_containers_did_not_run() -> None:
    def two(first: str, second: str) -> dict[str, Any]:
        made = pod(first)
        made["spec"]["containers"].append({"name": "side", "image": second})
        return made

    def of(made: dict[str, Any]) -> Template:
        return template_of_forms([normal_form(made)], [images_by_name(made)])

    revisions = revisions_of(WEB, "u-1", [kept(two("web:1", "side:1"))])
    both = ["web:1", "side:1"]
    assert same_as(both, of(two("web:1", "side:1")), revisions)
    assert same_as(both, of(two("side:1", "web:1")), revisions) == []


@pytest.mark.parametrize(
    "forged",
    [
        kept(pod(), "other-5d4f8"),
        kept(pod(), "web-canary-5d4f8"),
        kept(pod(), "web-mine"),
        kept(pod(), "web-"),
        kept(pod(), "web"),
        kept(pod(), owner=None),
        kept(pod(), owner={**OWNER, "uid": "u-2"}),
        kept(pod(), owner={**OWNER, "kind": "Rollout"}),
        kept(pod(), owner={**OWNER, "apiVersion": "apps.kruise.io/v1"}),
        kept(pod(), owner={**OWNER, "controller": False}),
        kept(pod(), owner={**OWNER, "controller": "true"}),
        kept(pod(), owner="web"),
        kept(pod(), ownerReferences="web"),
        kept(pod(), creationTimestamp="yesterday"),
        kept(pod(), creationTimestamp=None),
        kept({"spec": {}}) | {"data": {"spec": {"template": 7}}},
        kept(pod("web:1", "x" * 70_000)),
        {"metadata": None},
        {},
    ],
)
def test_what_is_not_of_its_controller_is_no_revision(forged: Any) -> None:
    found = revisions_of(WEB, "u-1", [forged])
    assert same_as(["web:1"], template(), found) == []


def test_nothing_is_of_a_workload_without_a_uid() -> None:
    assert revisions_of(WEB, "", [kept(pod(), owner={**OWNER, "uid": ""})]) == []


def test_a_controller_revision_has_its_template_in_its_data() -> None:
    orders = Workload("apps", "StatefulSet", "orders")
    owner = {**OWNER, "kind": "StatefulSet", "name": "orders"}
    revision = kept(None, "orders-6f7c8", owner)
    revision["data"] = {"spec": {"template": {**pod(), "$patch": "replace"}}}
    (found,) = revisions_of(orders, "u-1", [revision])
    assert same_as(["web:1"], template(), [found]) == [found]


def test_claims_beside_a_template_are_left_out() -> None:
    stored = {"kind": "StatefulSet", "spec": {"template": {}, "volumeClaimTemplates": [{}]}}
    assert without_claims(stored) == {"kind": "StatefulSet", "spec": {"template": {}}}
    assert without_claims({"spec": 1}) == {"spec": 1}


def test_revisions_are_asked_for_by_all_that_a_workload_selects_them_by() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "track", "operator": "NotIn", "values": ["canary"]},
        {"key": "app", "operator": "Exists"},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "size", "operator": "Gt", "values": ["3"]},
    ]
    selector = {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": expressions}
    found = selected_by({"spec": {"selector": selector}})
    assert found == "a=1,b=2,tier in (a,b),track notin (canary),app,!old"
    assert selected_by({"spec": {}}) == ""
