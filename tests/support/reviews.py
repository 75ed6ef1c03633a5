# SPDX-License-Identifier: Apache-2.0
"""What tests of reviews share."""

import datetime

from cabgate_samples.objects import MIDDLING
from support.gate import denial

OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
RISKIER = {**MIDDLING, "scope": {"affectedComponents": 20}}
"""Evidence of score 72.50, which is for people too."""
BETTER = {**MIDDLING, "scope": {"affectedComponents": 2}}


def middling(number):
    """Evidence that waits for a person, other content for each number: what was decided once is
    not decided again under another name."""
    return {**MIDDLING, "testResults": {**MIDDLING["testResults"], "passed": 100 + number}}


VERDICTS = ["Approved", "ConditionallyApproved", "Rejected", "UnderReview"]
"""What a reviewer says of a request that waits."""

CONDITIONS = [{"name": "watch", "description": "someone watches"}]


def decisions(gate, name, namespace, resource="cabrequest"):
    status = gate.get(resource, name, namespace).get("status", {})
    return [
        (entry["verdict"], entry["author"]["username"]) for entry in status.get("decisions", [])
    ]


def now(**shift):
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(**shift)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def refused(gate, user, name, namespace, verdict="Approved", resource="cabrequest", **review):
    """What the webhook said to a review that it refused."""
    result = gate.review(user, resource, name, namespace, verdict, check=False, **review)
    return denial(result)


def entry_of(request, username, verdict="Approved", **changes):
    """A decision as the webhook would write it."""
    made = {
        "sequence": len(request.get("status", {}).get("decisions", [])) + 1,
        "verdict": verdict,
        "author": {"type": "Person", "username": username},
        "at": now(),
        "evidenceDigest": request["spec"]["evidenceDigest"],
        "rationale": "crafted",
    }
    return {**made, **changes}
