# SPDX-License-Identifier: Apache-2.0
"""Objects that the definitions take, and changes of them that they do not."""

import copy

from cabgate_samples.objects import exception, target

NAMESPACE = "records"


DIGEST = "v1:sha256:" + "a" * 64


def request(name="web-aaaaaaaa", **spec):
    return {
        "apiVersion": "cabgate.dev/v1alpha1",
        "kind": "CABRequest",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "intentRef": {"name": "web", "uid": "u", "generation": 1},
            "targets": [target(["web:1"])],
            "correlationID": "CAB-1",
            "submittedBy": [{"username": "requester"}],
            "ring": 2,
            "evidence": {},
            "evidenceDigest": DIGEST,
            "assessment": {
                "score": "52.50",
                "gate": "ManualReview",
                "factors": [
                    {
                        "name": "f",
                        "weight": "1",
                        "observed": "x",
                        "risk": "0.5",
                        "contribution": "50.00",
                        "explanation": "x",
                    }
                ],
                "riskModel": {"name": "m", "version": "1", "digest": "sha256:" + "a" * 64},
            },
            **spec,
        },
    }


def entry(sequence=1, verdict="Approved", **changes):
    return {
        "sequence": sequence,
        "verdict": verdict,
        "author": {"type": "Person", "username": "reviewer"},
        "at": "2026-01-01T00:00:00Z",
        "evidenceDigest": DIGEST,
        "rationale": "x",
        **changes,
    }


def put(obj, path, value):
    """An object with something else at a dotted path; `...` takes it away, `[n]` is an item."""
    made = copy.deepcopy(obj)
    place = made
    *parents, last = [int(k) if k.isdigit() else k for k in path.split(".")]
    for key in parents:
        place = place[key] if isinstance(place, list) else place.setdefault(key, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return made


INTENTS = [
    # path, value, field of the message, what it says of what is allowed
    ("spec", ..., "spec", "Required value"),
    ("spec.targets", ..., "spec.targets", "Required value"),
    ("spec.targets", [], "spec.targets", "at least 1 items"),
    ("spec.targets", [target(["a"], name=f"n{n}") for n in range(21)], "spec.targets", "20 items"),
    ("spec.targets", [target(["a"]), target(["b"])], "spec.targets", "duplicate workload"),
    ("spec.targets.0.images", ..., "spec.targets[0].images", "Required value"),
    ("spec.targets.0.images", [], "spec.targets[0].images", "at least 1 items"),
    ("spec.targets.0.images", [" "], "spec.targets[0].images[0]", "must not be blank"),
    ("spec.targets.0.images", ["a", ""], "spec.targets[0].images[1]", "at least 1 chars"),
    ("spec.targets.0.images", ["a", "a"], "spec.targets[0].images", "duplicate image"),
    ("spec.targets.0.images", ["x" * 513], "spec.targets[0].images[0]", "512"),
    ("spec.targets.0.images", [f"i{n}" for n in range(51)], "spec.targets[0].images", "50 items"),
    ("spec.targets.0.images", "web:1", "spec.targets[0].images", "must be of type array"),
    ("spec.targets.0.name", "", "spec.targets[0].name", "at least 1 chars"),
    ("spec.targets.0.kind", ..., "spec.targets[0].kind", "Required value"),
    ("spec.targets.0.apiVersion", ..., "spec.targets[0].apiVersion", "Required value"),
    # Also with every webhook down: the cases of what can never match.
    ("spec.targets.0.kind", "deployment", "spec.targets", "of a kind that is never gated"),
    ("spec.targets.0.kind", "Deployments", "spec.targets", "apps/v1 DaemonSet, Deployment, Rep"),
    ("spec.targets.0.kind", "Service", "spec.targets", "of a kind that is never gated"),
    ("spec.targets.0.apiVersion", "v1", "spec.targets", "of a kind that is never gated"),
    ("spec.targets.0.apiVersion", "extensions/v1beta1", "spec.targets", "never gated"),
    ("spec.targets.0.apiVersion", "batch/v1", "spec.targets", "never gated"),
    ("spec.targets.0.name", "Web_App", "spec.targets", "a name that no object has"),
    ("spec.targets.0.name", "web.", "spec.targets", "a name that no object has"),
    ("spec.targets.0.images", ["web:1 "], "spec.targets", "in ASCII and without blanks"),
    (
        "spec.evidence.artifacts",
        [{"name": "a", "images": ["web:1", "we b:1"]}],
        "spec.evidence.artifacts",
        "in ASCII and without blanks",
    ),
    ("spec.summary", " ", "spec.summary", "must not be blank"),
    ("spec.summary", "x" * 4097, "spec.summary", "4096"),
    # What makes `kubectl get -o yaml` fail for everybody, or reads as another text.
    ("spec.summary", "a\u009b", "spec.summary", r'Invalid value: "a\u009b"'),
    ("spec.summary", "a\u202eb", "spec.summary", r'Invalid value: "a\u202eb"'),
    ("spec.summary", "a\rb", "spec.summary", "should match"),
    ("spec.targets.0.images", ["a", "b\nc"], "spec.targets[0].images[1]", r'"b\nc"'),
    ("spec.requester", "re\u200bviewer", "spec.requester", "no character that nobody sees"),
    ("spec.evidence.artifacts", [{"name": "a\u200b"}], "artifacts[0].name", r'"a\u200b"'),
    ("spec.correlationID", "a b", "spec.correlationID", "should match"),
    ("spec.correlationID", "x" * 129, "spec.correlationID", "128"),
    ("spec.requester", "", "spec.requester", "at least 1 chars"),
    ("metadata.name", "x" * 201, "metadata.name may have at most 200", "characters"),
    ("spec.evidence.testResults.coveragePercent", 101, "coveragePercent", "equal to 100"),
    ("spec.evidence.testResults.coveragePercent", -0.1, "coveragePercent", "equal to 0"),
    ("spec.evidence.testResults.coveragePercent", "95", "coveragePercent", "type number"),
    (
        "spec.evidence.testResults.coveragePercent",
        0.95,
        "coveragePercent",
        "can be read as a share",
    ),
    ("spec.evidence.testResults.coveragePercent", 1, "coveragePercent", "and as percent"),
    ("spec.evidence.testResults.passed", -1, "testResults.passed", "equal to 0"),
    ("spec.evidence.testResults.failed", -1, "testResults.failed", "equal to 0"),
    ("spec.evidence.testResults.skipped", -1, "testResults.skipped", "equal to 0"),
    ("spec.evidence.testResults.passed", 1.5, "testResults.passed", "type integer"),
    ("spec.evidence.testResults.sha256", "a" * 63, "testResults.sha256", "should match"),
    ("spec.evidence.testResults.sha256", "g" * 64, "testResults.sha256", "should match"),
    ("spec.evidence.scanResults.critical", -1, "scanResults.critical", "equal to 0"),
    ("spec.evidence.scanResults.high", -1, "scanResults.high", "equal to 0"),
    ("spec.evidence.scanResults.medium", -1, "scanResults.medium", "equal to 0"),
    ("spec.evidence.scanResults.low", 2_000_000_000, "scanResults.low", "equal to 1000000000"),
    ("spec.evidence.scanResults.sha256", "x", "scanResults.sha256", "should match"),
    ("spec.evidence.scanResults.scanner", " ", "scanResults.scanner", "must not be blank"),
    ("spec.evidence.manualTesting.status", "Done", "manualTesting.status", '"Completed"'),
    ("spec.evidence.manualTesting.at", "yesterday", "manualTesting.at", "RFC 3339 in capitals"),
    (
        "spec.evidence.manualTesting.at",
        "2026-02-27t15:30:00z",
        "manualTesting.at",
        "RFC 3339 in capitals",
    ),
    ("spec.evidence.rollbackPlan.validated", "yes", "rollbackPlan.validated", "type boolean"),
    ("spec.evidence.rollbackPlan.sha256", "x", "rollbackPlan.sha256", "should match"),
    ("spec.evidence.rollbackPlan.uri", "", "rollbackPlan.uri", "at least 1 chars"),
    ("spec.evidence.deploymentPlan.uri", "x" * 2049, "deploymentPlan.uri", "2048"),
    ("spec.evidence.deploymentPlan.sha256", "x", "deploymentPlan.sha256", "should match"),
    ("spec.evidence.scope.affectedComponents", -1, "affectedComponents", "equal to 0"),
    (
        "spec.evidence.artifacts",
        [{"name": "a"}, {"name": "a"}],
        "artifacts",
        "duplicate artifact",
    ),
    ("spec.evidence.artifacts", [{"name": " "}], "artifacts[0].name", "must not be blank"),
    ("spec.evidence.artifacts", [{"uri": "x"}], "artifacts[0].name", "Required value"),
    ("spec.evidence.artifacts", [{"name": "a", "sha256": "x"}], "artifacts[0].sha256", "match"),
    ("spec.evidence.artifacts", [{"name": f"{n}"} for n in range(101)], "artifacts", "100 items"),
    ("spec.evidence.artifacts", [{"name": "a", "images": [" "]}], "images[0]", "must not be blank"),
    (
        "spec.evidence.artifacts",
        [{"name": "a", "images": [f"web:{n}" for n in range(51)]}],
        "artifacts[0].images",
        "50 items",
    ),
    ("spec.submittedBy", [{"username": f"{n}"} for n in range(101)], "submittedBy", "100 items"),
]


EXCEPTIONS = [
    ("spec.durationDays", 0, "spec.durationDays", "equal to 1"),
    ("spec.durationDays", 91, "spec.durationDays", "equal to 90"),
    ("spec.compensatingControls", [], "spec.compensatingControls", "at least 1 items"),
    ("spec.compensatingControls", ..., "spec.compensatingControls", "Required value"),
    ("spec.compensatingControls", [" \n"], "compensatingControls[0]", "must not be blank"),
    ("spec.reason", " ", "spec.reason", "must not be blank"),
    ("spec.reason", "a\u009b", "spec.reason", r'"a\u009b"'),
    ("spec.compensatingControls", ["a", "b\u2066"], "compensatingControls[1]", r'"b\u2066"'),
    ("spec.reason", ..., "spec.reason", "Required value"),
    ("spec.requestRef", ..., "spec.requestRef", "Required value"),
]


REQUESTS = [
    ("spec", ..., "spec", "Required value"),
    ("spec.evidenceDigest", "sha256:0", "spec.evidenceDigest", "should match"),
    ("spec.assessment.score", "52.5", "spec.assessment.score", "should match"),
    ("spec.assessment.score", "101.00", "spec.assessment.score", "should match"),
    ("spec.assessment.gate", "Maybe", "spec.assessment.gate", '"AutoApprove"'),
    ("spec.assessment.factors", [], "spec.assessment.factors", "at least 1 items"),
    ("spec.assessment.factors.0.weight", "2", "factors[0].weight", "should match"),
    ("spec.assessment.factors.0.risk", "-1", "factors[0].risk", "should match"),
    ("spec.ring", 5, "spec.ring", "equal to 4"),
    ("spec.ring", ..., "spec.ring", "Required value"),
]


IMMUTABLE = [
    (request("fixed"), {"ring": 0}),
    (request("fixed"), {"targets": [target(["evil:1"])]}),
    (request("fixed"), {"submittedBy": [{"username": "x"}]}),
    (request("fixed"), {"requester": "x"}),
    (exception(NAMESPACE, "fixed", name="fixed"), {"requestRef": {"name": "x"}}),
    (exception(NAMESPACE, "fixed", name="fixed"), {"durationDays": 90}),
    (exception(NAMESPACE, "fixed", name="fixed"), {"reason": "x"}),
]


SELECTORS = [
    ("cabreq", "status.state=Submitted", ["shop-aaaaaaaa"]),
    ("cabreq", "spec.intentRef.name=shop", ["shop-aaaaaaaa", "shop-bbbbbbbb"]),
    ("cabreq", "spec.intentRef.name=shop,status.state=Superseded", ["shop-bbbbbbbb"]),
    ("cabreq", "status.state=Rejected", []),
    ("cabreq", "spec.correlationID=CHG-7/a", ["cart-aaaaaaaa", "shop-aaaaaaaa"]),
    ("cabreq", "spec.correlationID=CHG-7,status.state!=Approved", ["shop-bbbbbbbb"]),
    ("cabex", "status.state=Pending", ["cart-leave"]),
    ("cabex", "spec.requestRef.name=cart-aaaaaaaa", ["cart-leave"]),
    ("di", "status.state=Submitted", ["shop"]),
    ("di", "status.requestName=shop-aaaaaaaa", ["shop"]),
    ("di", "status.correlationID=CHG-7/a", ["shop"]),
    ("di", "status.correlationID=CHG-7", []),
]


COLUMNS = {
    ("di", ""): [
        *("NAME", "READY", "STATE", "SCORE", "GATE", "REQUEST", "TARGETS", "AGE", "MESSAGE")
    ],
    ("cabreq", ""): ["NAME", "STATE", "SCORE", "GATE", "TARGETS", "SUBMITTER", "RING", "AGE"],
    ("cabex", ""): ["NAME", "STATE", "REQUEST", "EXPIRES", "AGE"],
    ("cabreq", "-owide"): [
        *("NAME", "STATE", "SCORE", "GATE", "TARGETS", "SUBMITTER", "RING"),
        *("INTENT", "CORRELATION", "AGE"),
    ],
    ("cabex", "-owide"): ["NAME", "STATE", "REQUEST", "EXPIRES", "DAYS", "AGE"],
}


ROWS = {
    "di": ["shop", "False", "Submitted", "52.50", "ManualReview", "shop-aaaaaaaa"],
    "cabreq": [
        "shop-aaaaaaaa",
        "Submitted",
        "52.50",
        "ManualReview",
        "Deployment/web",
        "requester",
        "2",
    ],
    "cabex": ["cart-leave", "Pending", "cart-aaaaaaaa", "2030-01-08T00:00:00Z"],
}


EXPLAINED = {
    "di.spec.evidence": "What the team shows for its rollout",
    "di.spec.targets.images": "compared exactly",
    "di.spec.submittedBy": "kept by the webhook",
    "cabreq.spec.assessment.gate": "by the thresholds of the model",
    "cabreq.status.review": "What a reviewer writes",
    "cabreq.status.review.verdict": "ConditionallyApproved",
    "cabreq.status.decisions": "append-only",
    "cabex.spec.durationDays": "in days from its creation, 1 to 90",
    "cabex.status.expiresAt": "creation plus durationDays",
    "cabrm.spec.factors.bands.upTo": "none in the last",
}
