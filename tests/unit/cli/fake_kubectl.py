# SPDX-License-Identifier: Apache-2.0
"""A kubectl that answers from objects in memory, for the commands that run it."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cabgate.api import CABException, CABRequest, DeploymentIntent, RolloutOutcome
from cabgate.api.base import Model
from cabgate_cli.input.kubectl.process import Kubectl, Ran
from cabgate_samples.models import NOW

PLURALS = {
    CABRequest: "cabrequests",
    CABException: "cabexceptions",
    DeploymentIntent: "deploymentintents",
    RolloutOutcome: "rolloutoutcomes",
}


@dataclass
class FakeKubectl:
    """What the cluster has, who asks, and what was asked."""

    objects: list[Model] = field(default_factory=list)
    username: str | None = "rita"
    namespace: str = "shop"
    forbidden: tuple[str, ...] = ()
    """Plurals that may not be read."""
    denial: str = ""
    """What a patch is answered with, if it is refused."""
    calls: list[tuple[str, ...]] = field(default_factory=list)
    options: set[tuple[str, ...]] = field(default_factory=set)

    def run(self, kubectl: Kubectl, *args: str, quiet: bool = False) -> Ran:
        self.calls.append(args)
        self.options.add(kubectl.options)
        if args[:2] == ("config", "view"):
            return Ran(0, self.namespace, "")
        if args[:2] == ("auth", "whoami"):
            if self.username is None:
                return Ran(1, "", "error: the server does not know\n")
            return Ran(0, json.dumps({"status": {"userInfo": {"username": self.username}}}), "")
        if args[0] == "patch":
            return Ran(1 if self.denial else 0, "", self.denial)
        return self._got(args[2])

    @property
    def patches(self) -> list[tuple[str, str, Any]]:
        """What was sent: the resource, the name and the review."""
        return [
            (call[1], call[2], json.loads(call[-1])["status"]["review"])
            for call in self.calls
            if call[0] == "patch"
        ]

    def _got(self, target: str) -> Ran:
        url = urlsplit(target)
        parts = url.path.split("/")[4:]
        namespace = parts[1] if parts[0] == "namespaces" else None
        plural, *name = parts[2:] if namespace else parts
        if plural in self.forbidden:
            return Ran(1, "", f"Error from server (Forbidden): {plural} is forbidden\n")
        query = parse_qs(url.query)
        fields, labels = (query.get(key, [""])[0] for key in ("fieldSelector", "labelSelector"))
        found = [
            each.model_dump(mode="json", by_alias=True, exclude_none=True)
            for each in self.objects
            if PLURALS[type(each)] == plural and self._matches(each, namespace, fields, labels)
        ]
        if not name:
            return Ran(0, json.dumps({"items": found}), "")
        named = [each for each in found if each["metadata"]["name"] == name[0]]
        if named:
            return Ran(0, json.dumps(named[0]), "")
        return Ran(1, "", f"Error from server (NotFound): {plural} {name[0]!r} not found\n")

    @staticmethod
    def _matches(each: Any, namespace: str | None, fields: str, labels: str) -> bool:
        if namespace not in (None, each.metadata.namespace):
            return False
        for part in filter(None, labels.split(",")):
            key, is_equal, value = part.partition("=")
            if each.metadata.labels.get(key, None if is_equal else "") not in (value,):
                return False
        wanted = [p.partition("=")[2] for p in fields.split(",") if p.startswith("spec.corr")]
        if wanted and each.spec.correlation_id not in wanted:
            return False
        state = getattr(each.status, "state", None) or ""
        return f"status.state!={state}" not in fields.split(",")


def installed(monkeypatch: pytest.MonkeyPatch, fake: FakeKubectl) -> FakeKubectl:
    """A fake in place of kubectl, at the time of its objects."""

    def run(kubectl: Kubectl, *args: str, quiet: bool = False) -> Ran:
        return fake.run(kubectl, *args, quiet=quiet)

    monkeypatch.setattr(Kubectl, "run", run)
    for module in ("viewer", "kubectl.reviewing"):
        monkeypatch.setattr(f"cabgate_cli.input.{module}.now", lambda: NOW)
    return fake
