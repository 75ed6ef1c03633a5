# SPDX-License-Identifier: Apache-2.0
"""Values that make no sense are refused, in words that name them."""

import pytest

from cabgate.rollout.workloads import GatedKindError, configured_kind
from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.installed.chart import manifests
from support.templates import of

KIND = {"group": "x.io", "kind": "Foo", "resource": "foos", "paths": ["spec.template"]}

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
TERM = {"matchExpressions": [{"key": "zone", "operator": "Is", "values": ["a"]}]}


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
        ({"monitoring": {"podMonitor": {"interval": "30s5m"}}}, "podMonitor/interval'"),
        ({"image": {"repository": "a b"}}, "at '/image/repository'"),
        ({"operator": {"replicas": None}}, "at '/operator': missing property 'replicas'"),
        ({"webhook": None}, "at '': missing property 'webhook'"),
        ({"controllers": None}, "at '': missing property 'controllers'"),
        (
            {"webhook": {"tolerations": [{"foo": "x"}]}},
            "at '/webhook/tolerations/0': additional properties 'foo' not allowed",
        ),
        ({"webhook": {"tolerations": [{"effect": "Never"}]}}, "/tolerations/0/effect': value must"),
        ({"operator": {"affinity": {"foo": {}}}}, "at '/operator/affinity': additional properties"),
        (
            {"operator": {"affinity": {"podAntiAffinity": {REQUIRED: [{"labelSelector": {}}]}}}},
            f"podAntiAffinity/{REQUIRED}/0': missing property 'topologyKey'",
        ),
        (
            {"webhook": {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [TERM]}}}}},
            "matchExpressions/0/operator': value must be one of",
        ),
        (
            {"webhook": {"resources": {"limits": {"memory": "lots"}}}},
            "at '/webhook/resources/limits/memory': 'lots' does not match pattern",
        ),
        (
            {"webhook": {"resources": {"limits": {"memroy": "1Gi"}}}},
            "at '/webhook/resources/limits': additional properties 'memroy' not allowed",
        ),
        ({"operator": {"resources": {"requests": {"cpu": -1}}}}, "minimum: got -1, want 0"),
        ({"webhook": {"nodeSelector": {"a": "b c"}}}, "at '/webhook/nodeSelector/a'"),
        ({"webhook": {"podLabels": {"-a": "b"}}}, "at '/webhook/podLabels': additional properties"),
        ({"webhook": {"podAnnotations": {"a": 1}}}, "podAnnotations/a': got number, want string"),
        (
            {"networkPolicy": {"admissionFrom": [{"cidr": "10.0.0.0/8"}]}},
            "at '/networkPolicy/admissionFrom/0': additional properties 'cidr' not allowed",
        ),
        ({"networkPolicy": {"metricsFrom": [{}]}}, "metricsFrom/0': minProperties: got 0, want 1"),
        (
            {"networkPolicy": {"metricsFrom": [{"ipBlock": {"cidr": "::/0"}, "podSelector": {}}]}},
            "at '/networkPolicy/metricsFrom/0': maxProperties: got 2, want 1",
        ),
        ({"relay": {"cluster": "a b"}}, "at '/relay/cluster'"),
        ({"relay": {"siem": {"sinks": [{"name": "a"}]}}}, "at '/relay/siem/sinks/0'"),
        (
            {"relay": {"siem": {"sinks": [{"name": "a", "type": "https", "url": "http://a/"}]}}},
            "at '/relay/siem/sinks/0/url'",
        ),
        (
            {
                "relay": {
                    "siem": {
                        "sinks": [
                            {"name": "a", "type": "https", "url": "https://a/", "header": "X-Key"}
                        ]
                    }
                }
            },
            "at '/relay/siem/sinks/0",
        ),
        (
            {"relay": {"siem": {"sinks": [{"name": "a", "type": "stdout", "url": "https://a/"}]}}},
            "at '/relay/siem/sinks/0",
        ),
        ({"relay": {"store": {"url": "postgresql://u:secret@h/d"}}}, "at '/relay/store'"),
        ({"networkPolicy": {"storePorts": []}}, "at '/networkPolicy/storePorts'"),
        (
            {"certificates": {"certManager": {"issuerRef": {"kind": "Issuer"}}}},
            "at '/certificates/certManager/issuerRef': missing property 'name'",
        ),
    ],
)
def test_a_bad_value_is_refused(values, words):
    with pytest.raises(DevClusterError) as refused:
        manifests(values)
    assert words in str(refused.value)


def managed(**values):
    return {"certificates": {"mode": "cert-manager", "certManager": values}}


@of("checks.yaml")
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"webhook": {"podLabels": {"app.kubernetes.io/component": "x"}}},
            "webhook.podLabels: the label app.kubernetes.io/component is set by the chart",
        ),
        (
            {"operator": {"podLabels": {"helm.sh/chart": "x"}}},
            "operator.podLabels: the label helm.sh/chart is set by the chart",
        ),
        (
            {"monitoring": {"podMonitor": {"labels": {"app.kubernetes.io/name": "x"}}}},
            "monitoring.podMonitor.labels: the label app.kubernetes.io/name is set by the chart",
        ),
        (
            {"webhook": {"podAnnotations": {"kubectl.kubernetes.io/default-container": "x"}}},
            "webhook.podAnnotations: the annotation kubectl.kubernetes.io/default-container is set",
        ),
        (
            {"relay": {"podAnnotations": {"kubectl.kubernetes.io/default-container": "x"}}},
            "relay.podAnnotations: the annotation kubectl.kubernetes.io/default-container is set",
        ),
        ({"relay": {"enabled": True, "store": {"secret": "s"}}}, "relay.cluster: empty"),
        (
            {
                "relay": {
                    "enabled": True,
                    "cluster": "prod",
                    "siem": {"sinks": [{"name": "a", "type": "stdout"}] * 2},
                }
            },
            "relay.siem.sinks[1].name: a is there twice",
        ),
        (
            {"relay": {"enabled": True, "cluster": "prod", "store": {"key": "dsn"}}},
            "relay.store.secret: empty; name the Secret in namespace cabgate-system whose key dsn",
        ),
        (managed(renewBefore="2160h"), "renewBefore has to be less than duration"),
        (managed(duration="1h30m", renewBefore="89m60s"), "renewBefore has to be less than"),
        (managed(duration="59m59s", renewBefore="10m"), "59m59s is less than cert-manager takes"),
        (managed(renewBefore="299s"), "299s is less than cert-manager takes, 5m"),
        (managed(duration="14601h"), "14601h is longer than the chart's own CA holds"),
    ],
)
def test_values_that_do_not_go_together_are_refused(values, words):
    with pytest.raises(DevClusterError) as refused:
        manifests(values)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        managed(duration="1h30m", renewBefore="89m59s"),
        managed(duration="20000h", issuerRef={"name": "platform"}),
        {"certificates": {"certManager": {"renewBefore": "9999h"}}},
        {
            "webhook": {
                "resources": {"requests": {"cpu": 0.5, "example.com/card": 1}, "limits": None}
            }
        },
        {"webhook": {"podLabels": {"team": "platform", "example.com/x": ""}}},
        {
            each: {"tolerations": None, "affinity": None, "podLabels": None, "resources": None}
            for each in ("webhook", "operator")
        },
        {"operator": {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "zone"}]}}}},
        {"networkPolicy": {"admissionFrom": [{"ipBlock": {"cidr": "fd00::/8", "except": []}}]}},
    ],
)
def test_values_that_make_sense_are_taken(values):
    assert manifests(values)


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
