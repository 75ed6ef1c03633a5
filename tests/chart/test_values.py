# SPDX-License-Identifier: Apache-2.0
"""Values that make no sense are refused, in words that name them."""

import pytest

from cabgate.workloads import GatedKindError, configured_kind
from cabgate_devcluster.chart import manifests
from cabgate_devcluster.errors import DevClusterError

KIND = {"group": "x.io", "kind": "Foo", "resource": "foos", "paths": ["spec.template"]}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mod": "Warn"}, "additional properties 'mod' not allowed"),
        ({"webhook": {"replica": 3}}, "at '/webhook': additional properties 'replica' not allowed"),
        ({"mode": "warn"}, "at '/mode': value must be one of 'Enforce', 'Warn', 'Audit'"),
        ({"defaultRing": 5}, "at '/defaultRing': maximum: got 5, want 4"),
        ({"defaultRing": "2"}, "at '/defaultRing': got string, want integer"),
        ({"requireDigestsFrom": -1}, "at '/requireDigestsFrom': minimum: got -1, want 0"),
        ({"controllers": ["it's"]}, "at '/controllers/0'"),
        ({"controllers": ["a", "a"]}, "at '/controllers': items at 0 and 1 are equal"),
        ({"excludedNamespaces": ["Shop"]}, "at '/excludedNamespaces/0'"),
        ({"lowerRingServiceAccounts": ["flux"]}, "at '/lowerRingServiceAccounts/0'"),
        ({"breakGlassServiceAccounts": ["alice"]}, "at '/breakGlassServiceAccounts/0'"),
        ({"gatedKinds": [{"group": "x.io"}]}, "missing properties 'kind', 'resource', 'paths'"),
        ({"gatedKinds": [{**KIND, "paths": []}]}, "at '/gatedKinds/0/paths': minItems"),
        ({"gatedKinds": [{**KIND, "paths": ["spec..x"]}]}, "at '/gatedKinds/0/paths/0'"),
        ({"gatedKinds": [{**KIND, "paths": ["a'b"]}]}, "at '/gatedKinds/0/paths/0'"),
        ({"image": {"digest": "latest"}}, "at '/image/digest'"),
        ({"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy'"),
        ({"certificates": {"mode": "none"}}, "at '/certificates/mode'"),
        ({"webhook": {"replicas": 0}}, "at '/webhook/replicas': minimum: got 0, want 1"),
        # The webhook takes 4 s to say that it does not know.
        ({"webhook": {"timeoutSeconds": 4}}, "at '/webhook/timeoutSeconds'"),
        ({"networkPolicy": {"apiServerPorts": []}}, "at '/networkPolicy/apiServerPorts'"),
        ({"monitoring": {"podMonitor": {"interval": "often"}}}, "podMonitor/interval'"),
    ],
)
def test_a_bad_value_is_refused(values, words):
    with pytest.raises(DevClusterError) as refused:
        manifests(values)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "path", ["spec.template", "spec.workers[*].template", "spec.a-b.c_d", "[*]", "a..b", ""]
)
def test_chart_and_webhook_agree_on_what_a_path_is(path):
    try:
        configured_kind(f"x.io/Foo={path}")
        webhook = True
    except GatedKindError:
        webhook = False
    try:
        manifests({"gatedKinds": [{**KIND, "paths": [path]}]})
        chart = True
    except DevClusterError:
        chart = False
    assert chart == webhook
