# SPDX-License-Identifier: Apache-2.0
"""Risk models as a cluster admin would write them."""

import copy

from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_samples.objects import API_VERSION


def risk_model(name, *, default=False, **spec):
    """The built-in model under another name, with some of its spec changed."""
    return {
        "apiVersion": API_VERSION,
        "kind": "RiskModel",
        "metadata": {
            "name": name,
            "labels": {"cabgate.dev/default-risk-model": "true"} if default else {},
        },
        "spec": {**copy.deepcopy(DEFAULT_RISK_MODEL.spec.to_dict()), "version": "7", **spec},
    }


def changed(path, value):
    """A model whose spec has something else at a dotted path; `...` takes it away."""
    made = risk_model("broken")
    place = made["spec"]
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return made


COVERAGE, FINDINGS, SCOPE, TESTING, ROLLBACK = (f"factors.{number}" for number in range(5))

SENSELESS = [
    # path, value, field of the message, what it says of what is allowed
    (f"{COVERAGE}.weight", "0.3", "spec.factors", "sum to 1.05; allowed: exactly 1"),
    (f"{COVERAGE}.weight", "0.249999", "spec.factors", "sum to 0.999999; allowed: exactly 1"),
    (f"{FINDINGS}.bands.0.upTo", "2", "spec.factors[1].bands[1].upTo", "before, 2"),
    (f"{COVERAGE}.bands.0.upTo", "95", "spec.factors[0].bands[1].upTo", "holds no number"),
    (f"{COVERAGE}.bands.0.upTo", "0", "spec.factors[0].bands[0].upTo", "limit above 0"),
    (f"{COVERAGE}.bands.2.upTo", "100", "spec.factors[0].bands[2].upTo", "last band has no limit"),
    (f"{COVERAGE}.bands.1.upTo", ..., "spec.factors[0].bands[1].upTo", "only the last band"),
    (f"{COVERAGE}.bands.2.value", "x", "spec.factors[0].bands[2].value", "is a number: give upTo"),
    (f"{COVERAGE}.bands.2.inclusive", False, "spec.factors[0].bands[2].inclusive", "absent"),
    (f"{TESTING}.bands.1.value", "Done", "spec.factors[3].bands[1].value", "allowed: Completed"),
    (f"{TESTING}.bands.1.value", "Completed", "spec.factors[3].bands[1].value", "a band before"),
    (f"{TESTING}.bands.1.value", ..., "spec.factors[3].bands[1].value", "absent; allowed"),
    (f"{TESTING}.bands.1", ..., "spec.factors[3].bands", "no band holds InProgress"),
    (f"{ROLLBACK}.bands.2.upTo", "1", "spec.factors[4].bands[2].upTo", "is a word: give value"),
    ("autoApproveUpTo", "75.01", "spec.autoApproveUpTo", "up to manualReviewUpTo, 75.00"),
]
"""What the schema cannot refuse: the webhook and the command line do."""

MALFORMED = [
    (f"{COVERAGE}.name", "gutFeeling", "spec.factors[0].name", "testCoverage"),
    (f"{COVERAGE}.name", "rollback", "spec.factors[4]", "uplicate"),
    (f"{COVERAGE}.weight", "1.1", "spec.factors[0].weight", "match"),
    (f"{COVERAGE}.weight", "-0.25", "spec.factors[0].weight", "match"),
    (f"{COVERAGE}.weight", 0.25, "spec.factors[0].weight", "string"),
    (f"{COVERAGE}.bands.0.risk", "1.5", "spec.factors[0].bands[0].risk", "match"),
    (f"{COVERAGE}.bands.0.risk", ..., "spec.factors[0].bands[0].risk", "equired"),
    (f"{COVERAGE}.bands.0.upTo", "-1", "spec.factors[0].bands[0].upTo", "match"),
    (f"{COVERAGE}.bands", [], "spec.factors[0].bands", "at least 1"),
    ("factors", [], "spec.factors", "at least 1"),
    ("floors.0.name", "BadVibes", "spec.floors[0].name", "FailedTests"),
    ("floors.0.name", "FailedTests", "spec.floors[1]", "uplicate"),
    ("floors.0.gate", "Maybe", "spec.floors[0].gate", "ManualReview"),
    ("manualReviewUpTo", "100.01", "spec.manualReviewUpTo", "match"),
    ("autoApproveUpTo", "50", "spec.autoApproveUpTo", "match"),
    ("autoApproveUpTo", "50.001", "spec.autoApproveUpTo", ""),
    ("version", ..., "spec.version", "equired"),
    ("version", " ", "spec.version", "blank"),
]
"""What the schema refuses, with every process of ours dead; what it says is the API server's."""
