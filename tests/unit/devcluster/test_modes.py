# SPDX-License-Identifier: Apache-2.0
"""Admission configuration outside mode Enforce: what ignores a dead webhook, and what does not."""

import copy
from typing import Any

import pytest
import yaml

from cabgate_devcluster.installation import ROOT
from cabgate_devcluster.modes import for_mode

WEBHOOKS = list(yaml.safe_load_all((ROOT / "deploy" / "webhooks.yaml").read_text()))
VALIDATING = next(d for d in WEBHOOKS if d["kind"] == "ValidatingWebhookConfiguration")
DOCUMENTS = [
    document
    for path in sorted((ROOT / "deploy").glob("*.yaml"))
    for found in yaml.safe_load_all(path.read_text())
    for document in (found["items"] if found["kind"] == "List" else [found])
]


def entries(mode: str) -> dict[str, dict[str, Any]]:
    (made,) = for_mode(copy.deepcopy(VALIDATING), mode)
    found = {entry["name"]: entry for entry in made["webhooks"]}
    assert len(found) == len(made["webhooks"]), "names are unique"
    return found


def test_in_mode_enforce_the_files_are_as_they_are() -> None:
    for document in DOCUMENTS:
        assert for_mode(copy.deepcopy(document), "Enforce") == [document]


@pytest.mark.parametrize("mode", ["Warn", "Audit"])
def test_each_entry_of_the_gate_has_a_twin_and_nothing_else_changes(mode: str) -> None:
    before, after = entries("Enforce"), entries(mode)
    gate = {name for name in before if name != "records.cabgate.dev"}
    assert gate
    assert set(after) == set(before) | {f"enforced-{name}" for name in gate}
    assert after["records.cabgate.dev"] == before["records.cabgate.dev"]
    for name in gate:
        assert after[name]["failurePolicy"] == "Ignore"
        twin = after[f"enforced-{name}"]
        assert twin["failurePolicy"] == "Fail"
        assert twin["clientConfig"]["service"]["path"] == "/validate/enforce"
        for key in ("rules", "matchConditions", "matchPolicy", "timeoutSeconds"):
            assert twin[key] == after[name][key] == before[name][key]
        # Selected as before, and by the mode besides.
        old = before[name]["namespaceSelector"]["matchExpressions"]
        for entry in (twin, after[name]):
            assert entry["namespaceSelector"]["matchExpressions"][: len(old)] == old
            assert len(entry["namespaceSelector"]["matchExpressions"]) > len(old)


@pytest.mark.parametrize("mode", ["Warn", "Audit"])
def test_the_policies_of_labels_and_records_deny_in_every_mode(mode: str) -> None:
    for document in DOCUMENTS:
        name = document["metadata"]["name"]
        if document["kind"] == "ValidatingAdmissionPolicyBinding" and "revisions" not in name:
            assert for_mode(copy.deepcopy(document), mode) == [document], name
