# SPDX-License-Identifier: Apache-2.0
"""Labels of an intent that its requests repeat: those that a team selects by, never those by which
a tool knows what is its own."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABRequest, DeploymentIntent
from cabgate.lifecycle.requests.copied_labels import (
    DEFAULT_REQUEST_LABELS,
    FREE_LABELS,
    MAX_REQUEST_LABELS,
    check_request_labels,
    copied_labels,
    label_problem,
)
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.text.refusal import Refusal
from cabgate_samples.models import intent
from unit.core.standings import check_created, request_for

OF_TOOLS = [
    "argocd.argoproj.io/instance",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "applyset.kubernetes.io/part-of",
    "cabgate.dev/ring",
    "target.cabgate.dev/0123",
    "helm.sh/chart",
    "helm.toolkit.fluxcd.io/name",
    "kapp.k14s.io/app",
    "kustomize.toolkit.fluxcd.io/name",
    "objectset.rio.cattle.io/hash",
]


def labelled(labels: Mapping[str, str]) -> DeploymentIntent:
    live = intent()
    return live.model_copy(
        update={"metadata": live.metadata.model_copy(update={"labels": dict(labels)})}
    )


def with_labels(made: CABRequest, **more: str) -> CABRequest:
    labels = {**made.metadata.labels, **{key.replace("__", "/"): more[key] for key in more}}
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"labels": labels})})


def created(made: CABRequest, live: DeploymentIntent) -> str | None:
    """The field of what the webhook has against a new request, or None."""
    try:
        check_created(made, live, [], DEFAULT_RISK_MODEL)
    except Refusal as refused:
        return refused.field
    return None


@pytest.mark.parametrize("key", OF_TOOLS)
def test_no_label_of_a_tool_is_copied_even_if_it_is_asked_for(key: str) -> None:
    live = labelled({key: "web", "team": "shop"})
    made = request_for(live, 2, labels=[key, "team"])
    assert made.metadata.labels["team"] == "shop"
    assert key not in made.metadata.labels
    with pytest.raises(ValueError, match="could be taken for the tool's own"):
        check_request_labels(["team", key])


@pytest.mark.parametrize("key", ["team", "shop.example.com/squad", *FREE_LABELS])
def test_what_only_describes_can_be_copied(key: str) -> None:
    assert label_problem(key) is None


@pytest.mark.parametrize(
    "key", ["", "a b", "-team", "team-", "/team", "a/b/c", "A.b/team", "x" * 64]
)
def test_what_is_the_key_of_no_label_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="is the key of no label"):
        check_request_labels([key])


def test_no_more_than_a_number_are_copied() -> None:
    keys = [f"label-{number}" for number in range(MAX_REQUEST_LABELS + 1)]
    check_request_labels(keys[:-1])
    with pytest.raises(ValueError, match="9 labels; allowed: 8 at most"):
        check_request_labels(keys)
    assert list(copied_labels(dict.fromkeys(keys, "x"), keys)) == keys[:-1]


def test_a_request_repeats_what_is_asked_for_and_what_the_intent_has() -> None:
    live = labelled({"team": "shop", "tier": "gold"})
    bare = request_for(live, 2)
    made = request_for(live, 2, labels=DEFAULT_REQUEST_LABELS)
    assert made.metadata.labels == {**bare.metadata.labels, "team": "shop"}
    assert (made.spec, made.metadata.name) == (bare.spec, bare.metadata.name)
    assert created(made, live) is created(bare, live) is None


@pytest.mark.parametrize(
    ("labels", "more"),
    [
        ({}, {"team": "shop"}),
        ({"team": "shop"}, {"team": "bank"}),
        ({"argocd.argoproj.io/instance": "web"}, {"argocd.argoproj.io__instance": "web"}),
        ({}, {"target.cabgate.dev__0123": ""}),
        ({"target.cabgate.dev/0123": ""}, {"target.cabgate.dev__0123": ""}),
        ({f"l{n}": "" for n in range(9)}, {f"l{n}": "" for n in range(9)}),
    ],
)
def test_the_webhook_takes_no_other_label_of_the_operator(
    labels: dict[str, str], more: dict[str, str]
) -> None:
    live = labelled(labels)
    assert created(with_labels(request_for(live, 2), **more), live) == "metadata.labels"


KEYS = st.sampled_from(["team", "tier", "app.kubernetes.io/part-of", *OF_TOOLS])


@given(st.dictionaries(KEYS, st.sampled_from(["", "a", "b"])), st.lists(KEYS))
def test_whatever_is_asked_for_the_webhook_takes_what_the_rule_makes(
    labels: dict[str, str], keys: list[str]
) -> None:
    live = labelled(labels)
    made = request_for(live, 2, labels=keys)
    assert created(made, live) is None
    assert made.metadata.labels.items() >= request_for(live, 2).metadata.labels.items()
