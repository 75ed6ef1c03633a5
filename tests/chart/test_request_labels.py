# SPDX-License-Identifier: Apache-2.0
"""Which labels of an intent its requests repeat is told to the operator, and what would hand
requests to a tool is refused before anything is installed."""

import pytest

from cabgate.lifecycle.requests.copied_labels import DEFAULT_REQUEST_LABELS, label_problem
from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.installed.chart import manifests
from cabgate_kube.process.settings import read_settings
from cabgate_operator.settings import Settings


def seen(render, **values):
    args = render(**values).container("operator")["args"]
    given = [each for each in args if each.startswith("--request-label=")]
    return read_settings(Settings, given, "cabgate-operator").request_label


def test_the_operator_is_told(render):
    assert seen(render) == DEFAULT_REQUEST_LABELS == Settings().request_label
    assert seen(render, requestLabels=["squad", "example.com/team"]) == (
        "squad",
        "example.com/team",
    )


def test_none_is_none(render):
    assert seen(render, requestLabels=[]) == ()


@pytest.mark.parametrize(
    "key",
    [
        "argocd.argoproj.io/instance",
        "app.kubernetes.io/instance",
        "cabgate.dev/ring",
        "kustomize.toolkit.fluxcd.io/name",
    ],
)
def test_a_label_of_a_tool_is_refused_in_the_words_of_the_operator(key):
    with pytest.raises(DevClusterError) as error:
        manifests({"requestLabels": ["team", key]})
    assert f"requestLabels: {label_problem(key)}" in str(error.value)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["a b"], "at '/requestLabels/0'"),
        (["team", "team"], "at '/requestLabels'"),
        ([f"l{number}" for number in range(9)], "maxItems: got 9, want 8"),
        (None, "missing property 'requestLabels'"),
    ],
)
def test_what_is_no_list_of_labels_is_refused(labels, words):
    with pytest.raises(DevClusterError) as error:
        manifests({"requestLabels": labels})
    assert words in str(error.value)
