# SPDX-License-Identifier: Apache-2.0
"""Evidence: its digest, and what of it is missing."""

import contextlib
import re
from datetime import datetime
from typing import Any

from cabgate.api.evidence import MOMENT, Attestation, Evidence
from cabgate.api.intent import DeploymentIntentSpec
from cabgate.api.request import CABRequestSpec
from cabgate.text.canonical import sha256_hex
from cabgate.text.refusal import Refusal, RefusalReason

DIGEST_VERSION = "v1"
"""Version of the recipe below; another recipe gets another version, so that digests of two
recipes are never compared."""


def evidence_digest(spec: DeploymentIntentSpec | CABRequestSpec) -> str:
    """Digest of targets, images and evidence: what a decision is about.

    The order of targets, artifacts and the images of either does not matter; nor does anything
    else of the spec, such as its summary. Where there is no evidence because the glass was broken,
    the break itself is digested.

    A spec does not change, so its digest is computed when it is first asked for and kept beside its
    fields. A copy with other parts has another digest: what is kept says of which parts it is.
    """
    parts = _digested(spec)
    kept: tuple[object, ...]
    digest: str
    kept, digest = vars(spec).get(_KEPT, ((), ""))
    if not digest or any(one is not other for one, other in zip(kept, parts, strict=True)):
        digest = f"{DIGEST_VERSION}:sha256:{sha256_hex(_content(spec))}"
        vars(spec)[_KEPT] = parts, digest
    return digest


def frozen(evidence: Evidence) -> Evidence:
    """Evidence as a request has it: without what is empty, and of each envelope its SHA-256 alone,
    so that rollouts read no envelope."""
    found = Evidence.model_validate(evidence.to_dict())
    if found.attestations is None:
        return found
    digests = [
        each if each.payload is None else Attestation(sha256=sha256_hex(each.to_dict()))
        for each in found.attestations
    ]
    return found.model_copy(update={"attestations": digests})


_KEPT = "kept_digest"


def _digested(spec: DeploymentIntentSpec | CABRequestSpec) -> tuple[object, ...]:
    broken = spec.break_glass if isinstance(spec, CABRequestSpec) else None
    return spec.targets, spec.evidence, broken


def _content(spec: DeploymentIntentSpec | CABRequestSpec) -> dict[str, Any]:
    evidence = frozen(spec.evidence).to_dict()
    if "attestations" in evidence:
        evidence["attestations"].sort(key=lambda attestation: str(attestation.get("sha256", "")))
    if "artifacts" in evidence:
        evidence["artifacts"].sort(key=lambda artifact: str(artifact["name"]))
        for artifact in evidence["artifacts"]:
            if "images" in artifact:
                artifact["images"] = sorted(set(artifact["images"]))
    targets = [
        {**target.to_dict(), "images": sorted(set(target.images))} for target in spec.targets
    ]
    for each in targets:
        each.pop("templateFields", None)  # they follow from the template, and are for messages
    targets.sort(key=lambda target: (target["apiVersion"], target["kind"], target["name"]))
    content = {"targets": targets, "evidence": evidence}
    if isinstance(spec, CABRequestSpec) and spec.break_glass is not None:
        # Each break is decided for itself, also where the images are those of another.
        content["breakGlass"] = spec.break_glass.to_dict()
    return content


def moment_problem(evidence: Evidence) -> str | None:
    """What is wrong with the time of the manual testing; None if nothing is."""
    testing = evidence.manual_testing
    if testing is None or testing.at is None:
        return None
    if _is_moment(testing.at):
        return None
    meant = testing.at.strip().upper()
    advice = f"; write {meant}" if _is_moment(meant) else ""
    return f"is not a time; allowed: RFC 3339, such as 2026-01-31T12:00:00Z{advice}"


def _is_moment(text: str) -> bool:
    if re.fullmatch(MOMENT, text):
        with contextlib.suppress(ValueError):
            datetime.fromisoformat(text)
            return True
    return False


def check_moments(old: DeploymentIntentSpec | None, new: DeploymentIntentSpec) -> None:
    """Raise `Refusal` for evidence that is declared anew and gives a time which is none: rules of
    the schema cannot read that, and refuse it with a 422."""
    if old is not None and old.evidence == new.evidence:
        return
    problem = moment_problem(new.evidence)
    if problem is not None:
        raise Refusal(RefusalReason.INVALID, problem, "spec.evidence.manualTesting.at")


def incomplete_package(evidence: Evidence, *, tests: bool = True) -> list[str]:
    """Field paths that an evidence package needs and this one lacks.

    The package: artifacts, test results, scan results, deployment plan, rollback plan. Of the
    results, the figures that the risk model's floors read; of the plans, where they can be read.
    Without `tests`, test results need not be there.
    """
    missing = [path for path, present in _package(evidence) if not present]
    asked = tests or evidence.test_results is not None
    return [path for path in missing if asked or path != "testResults"]


def _package(evidence: Evidence) -> list[tuple[str, bool]]:
    tests = evidence.test_results
    scan = evidence.scan_results
    plan = evidence.deployment_plan
    rollback = evidence.rollback_plan
    items = [("artifacts", bool(evidence.artifacts))]
    if tests is None:
        items.append(("testResults", False))
    else:
        items.append(("testResults.passed", tests.passed is not None))
        items.append(("testResults.failed", tests.failed is not None))
    if scan is None:
        items.append(("scanResults", False))
    else:
        items.append(("scanResults.critical", scan.critical is not None))
        items.append(("scanResults.high", scan.high is not None))
    items.append(
        ("deploymentPlan", False) if plan is None else ("deploymentPlan.uri", plan.uri is not None)
    )
    items.append(
        ("rollbackPlan", False)
        if rollback is None
        else ("rollbackPlan.uri", rollback.uri is not None)
    )
    return items
