# SPDX-License-Identifier: Apache-2.0
"""Admission configuration for a cluster that does not enforce."""

import copy
from typing import Any

ENFORCE = "Enforce"
WARN = "Warn"

_LABEL = "cabgate.dev/mode"

# Labels select no "absent or one of": so a malformed mode is matched by both. Either denies it.
_NOT_ENFORCED = ({"key": _LABEL, "operator": "NotIn", "values": [ENFORCE]},)
_ENFORCED = (
    {"key": _LABEL, "operator": "Exists"},
    {"key": _LABEL, "operator": "NotIn", "values": [WARN, "Audit"]},
)
_WARNED = ({"key": _LABEL, "operator": "In", "values": [WARN]},)


def for_mode(document: dict[str, Any], mode: str) -> list[dict[str, Any]]:
    """A document of `deploy/` as a cluster of some mode has it: as one document, or more.

    Outside mode Enforce a dead webhook stops no rollout, but in namespaces labelled Enforce: each
    entry of the gate ignores failures, and has a twin for those namespaces that does not. The
    binding of ControllerRevisions denies in those alone. All else is the same in every mode.
    """
    kind, name = document["kind"], document["metadata"]["name"]
    if mode == ENFORCE:
        return [document]
    if (kind, name) == ("ValidatingAdmissionPolicyBinding", "revisions.cabgate.dev"):
        bindings = [_binding(document, name, _ENFORCED, "Deny")]
        if mode == WARN:
            return [*bindings, _binding(document, f"warn-{name}", _NOT_ENFORCED, "Warn", "Audit")]
        return [
            *bindings,
            _binding(document, f"warn-{name}", _WARNED, "Warn"),
            _binding(document, f"audit-{name}", _NOT_ENFORCED, "Audit"),
        ]
    if kind != "ValidatingWebhookConfiguration":
        return [document]
    entries: list[dict[str, Any]] = []
    for entry in document["webhooks"]:
        entries += _entries(entry) if _is_of_the_gate(entry) else [entry]
    return [{**document, "webhooks": entries}]


def _is_of_the_gate(entry: dict[str, Any]) -> bool:
    return all("cabgate.dev" not in rule["apiGroups"] for rule in entry["rules"])


def _entries(entry: dict[str, Any]) -> list[dict[str, Any]]:
    ignoring = _selecting(entry, _NOT_ENFORCED) | {"failurePolicy": "Ignore"}
    failing = _selecting(entry, _ENFORCED) | {"name": f"enforced-{entry['name']}"}
    # So the webhook knows the mode even where it cannot read the namespace.
    failing["clientConfig"]["service"]["path"] += "/enforce"
    return [ignoring, failing]


def _binding(
    document: dict[str, Any], name: str, expressions: tuple[dict[str, Any], ...], *actions: str
) -> dict[str, Any]:
    made = copy.deepcopy(document)
    made["metadata"]["name"] = name
    made["spec"]["validationActions"] = list(actions)
    made["spec"]["matchResources"] = {"namespaceSelector": {"matchExpressions": [*expressions]}}
    return made


def _selecting(entry: dict[str, Any], expressions: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    made = copy.deepcopy(entry)
    selector = made.setdefault("namespaceSelector", {})
    selector["matchExpressions"] = [*selector.get("matchExpressions", []), *expressions]
    return made
