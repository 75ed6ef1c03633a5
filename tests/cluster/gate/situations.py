# SPDX-License-Identifier: Apache-2.0
"""Rollouts that are denied, a situation for each reason."""

import copy
import json
import re

from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, target
from support.gate import denial

KINDS = ["Deployment", "StatefulSet", "DaemonSet"]


def container(image, name="c0"):
    return {"name": name, "image": image}


def template_of(obj, **pod):
    """The workload with more in its pod's spec."""
    changed = copy.deepcopy(obj)
    changed["spec"]["template"]["spec"].update(pod)
    return changed


def denied(gate, user, obj, *args, verb="create"):
    return denial(gate.refused(user, verb, "-f", "-", *args, stdin=json.dumps(obj)))


LONG = "registry.example.com/" + "long-path/" * 20 + "image"


def situations(gate, namespace):
    """Name of the workload and expected reason of a denial of each kind."""
    opened = {
        "pending": (MIDDLING, "Submitted"),
        "bad": (BAD, "ExceptionRequired"),
        "asked": (BAD, "ExceptionRequired"),
        "rejected": (MIDDLING, "Submitted"),
        "other": (GOOD, "AutoApproved"),
    }
    for name, (evidence, _) in opened.items():
        targets = [target([f"{LONG}:{n}" for n in range(5)], name=name)]
        gate.apply("requester", intent(namespace, name=name, evidence=evidence, targets=targets))
    names = {
        name: gate.request_of(namespace, name, state)["metadata"]["name"]
        for name, (_, state) in opened.items()
    }
    gate.create("requester", exception(namespace, names["asked"]))
    gate.review("reviewer", "cabrequest", names["rejected"], namespace, "Rejected",
                rationale="ünvollständig " * 200)  # fmt: skip
    return {
        "pending": "ReviewPending",
        "bad": "ExceptionRequired",
        "asked": "ExceptionPending",
        "rejected": "Rejected",
        "other": "ImagesNotCovered",
        "none": "NoRequest",
    }


COMMAND = re.compile(r"(?:kubectl|cabgate) (?!.*(?:kubectl|cabgate) ).*$")


"""The last one, which is the next step."""
