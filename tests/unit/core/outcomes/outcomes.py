# SPDX-License-Identifier: Apache-2.0
"""Outcomes for tests, by seconds after a moment."""

from datetime import UTC, datetime, timedelta

from cabgate.api import RolloutOutcome

BEGUN = datetime(2026, 3, 2, 8, tzinfo=UTC)
IMAGE = "registry.example/shop/web@sha256:" + "a" * 64
LATER_IMAGE = "registry.example/shop/web@sha256:" + "b" * 64


def at(seconds):
    return BEGUN + timedelta(seconds=seconds)


def stamp(seconds):
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def interruption(begins, ends=None, reason="Unavailable"):
    """An interruption as the API server has it."""
    until = {} if ends is None else {"until": stamp(ends)}
    return {"from": stamp(begins), "reason": reason, **until}


def outcome_of(
    *interruptions, result=None, ended=None, pods=(0, 0), incidents=(), created=0, **more
):
    """One that began at `created` and was interrupted; `more` is of its spec and its name."""
    status = {
        "interruptions": list(interruptions),
        "pods": {"seen": pods[0], "failed": pods[1]},
        "incidents": list(incidents),
    }
    if result is not None:
        status |= {"result": result, "endedAt": stamp(ended)}
    metadata = {"name": more.pop("name", "web-1"), "namespace": "shop"}
    if created is not None:
        metadata["creationTimestamp"] = stamp(created)
    spec = {
        "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "images": [IMAGE],
        "template": "r1:sha256:" + "c" * 64,
        "ring": 1,
        "intentName": "web",
        **more,
    }
    return RolloutOutcome.model_validate({"metadata": metadata, "spec": spec, "status": status})
