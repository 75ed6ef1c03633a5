# SPDX-License-Identifier: Apache-2.0
"""The chart, rendered by Helm."""

import copy
import functools
import json

import pytest

from cabgate_devcluster.installed.chart import manifests


@functools.cache
def _objects(values):
    """What the chart makes of a set of values, read once: that takes longer than most tests."""
    return manifests(json.loads(values))


class Rendered:
    """The objects of a set of values."""

    def __init__(self, values):
        self.objects = copy.deepcopy(_objects(json.dumps(values, sort_keys=True)))

    def all(self, kind):
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind, name):
        found = [each for each in self.all(kind) if each["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} {kind} {name}"
        return found[0]

    def has(self, kind, name):
        return any(each["metadata"]["name"] == name for each in self.all(kind))

    def container(self, name):
        pod = self.one("Deployment", f"cabgate-{name}")["spec"]["template"]["spec"]
        assert len(pod["containers"]) == 1
        return pod["containers"][0]

    def webhooks(self):
        configuration = self.one("ValidatingWebhookConfiguration", "cabgate")
        return {each["name"]: each for each in configuration["webhooks"]}

    def condition(self, policy, name, kind="ValidatingAdmissionPolicy"):
        found = self.one(kind, policy)["spec"]["matchConditions"]
        return next(each["expression"] for each in found if each["name"] == name)


@pytest.fixture(scope="session")
def render():
    """Render a set of values; the same set once only."""

    def rendered(**values):
        return Rendered(values)

    return rendered
