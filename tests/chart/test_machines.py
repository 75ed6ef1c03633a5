# SPDX-License-Identifier: Apache-2.0
"""Which users are machines is told to webhook and operator alike."""

import pytest

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.installed.chart import arguments, manifests
from cabgate_kube.process.settings import read_settings
from cabgate_operator.settings import Settings
from cabgate_webhook.settings import WebhookSettings

VALUES = {"machineGroups": ["ci-robots", "oidc:bots"], "machineUserPrefixes": ["ci:", "bot@"]}


@pytest.mark.parametrize("component", ["webhook", "operator"])
def test_both_processes_are_told(component, render):
    given = render(**VALUES).container(component)["args"]
    machines = [each for each in given if each.startswith("--machine-")]
    assert machines == [
        "--machine-group=ci-robots",
        "--machine-group=oidc:bots",
        "--machine-user-prefix=ci:",
        "--machine-user-prefix=bot@",
    ]
    assert not [each for each in arguments(None, component) if "machine" in each]


def read(words):
    return read_settings(WebhookSettings, words, "cabgate-webhook")


def test_they_read_what_they_are_told(render, tmp_path, monkeypatch):
    path = tmp_path / "file.pem"
    path.write_text("")
    files = [f"--{key}={path}" for key in ("certificate", "key", "signing-key", "admission-proof")]
    given = [a for a in render(**VALUES).container("webhook")["args"] if "--machine" in a]
    webhook = read([*files, *given]).machines
    monkeypatch.setenv("CABGATE_MACHINE_GROUP", "ci-robots oidc:bots")
    monkeypatch.setenv("CABGATE_MACHINE_USER_PREFIX", "ci: bot@")
    assert Settings().machines == webhook == read(files).machines
    assert webhook.groups == {"ci-robots", "oidc:bots"}
    assert webhook.user_prefixes == ("ci:", "bot@")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"machineGroups": [""]}, "at '/machineGroups/0'"),
        ({"machineGroups": ["a b"]}, "at '/machineGroups/0'"),
        ({"machineGroups": ["a,b"]}, "at '/machineGroups/0'"),
        ({"machineGroups": ["system:authenticated"]}, "at '/machineGroups/0'"),
        ({"machineUserPrefixes": [""]}, "at '/machineUserPrefixes/0'"),
        ({"machineUserPrefixes": [":"]}, "at '/machineUserPrefixes/0'"),
        ({"machineUserPrefixes": None}, "missing property 'machineUserPrefixes'"),
    ],
)
def test_what_would_take_everybody_for_a_machine_is_refused(values, words):
    with pytest.raises(DevClusterError) as error:
        manifests(values)
    assert words in str(error.value)
