# SPDX-License-Identifier: Apache-2.0
"""The evidence of a rollout, as the team declares it.

No field has a default: a default that an upgrade adds would change the digests of old objects.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from cabgate.api.base import (
    Count,
    Image,
    Model,
    Sha256,
    ShortText,
    Uri,
    cel,
    replaced_whole,
    validations,
)
from cabgate.api.types import MAX_IMAGES


def may_be_ratio(coverage: float) -> bool:
    """Whether a coverage can be read in two ways: as a share, or in percent."""
    return 0 < coverage <= 1


RATIO = (
    "can be read as a share (0.95 is 95 percent: write 95) and as percent (less than 1 percent: "
    "write 0)"
)
"""What is said of such a coverage."""

NO_RATIO = cel("self <= 0.0 || self > 1.0", f"coveragePercent {RATIO}")
"""Of what comes in alone: what an older release took in is still to be decided."""


class ManualTestingStatus(StrEnum):
    """How far manual testing has come."""

    COMPLETED = "Completed"
    IN_PROGRESS = "InProgress"
    NOT_STARTED = "NotStarted"


class ArtifactOrigin(StrEnum):
    """Who built what an artifact is about."""

    THIRD_PARTY = "ThirdParty"


class Artifact(Model):
    """A build product of this release."""

    name: ShortText
    """Name of the artifact, unique within the evidence."""
    uri: Uri | None = None
    """Where it can be had."""
    sha256: Sha256 | None = None
    """SHA-256 of the artifact, 64 hexadecimal digits."""
    images: (
        Annotated[
            list[Image],
            Field(max_length=MAX_IMAGES, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        ]
        | None
    ) = None
    """The images that the evidence is about, as the targets name them, compared exactly. An image
    of a target that no artifact names has no evidence: a person decides at least."""
    origin: ArtifactOrigin | None = None
    """ThirdParty: somebody else built its images, such as those of a chart, so that nobody here can
    say how far their code is tested. Absent: not said. A claim, which the reviewer sees."""


class TestResults(Model):
    """The outcome of the automated tests."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    coverage_percent: (
        Annotated[
            float,
            Field(
                ge=0,
                le=100,
                allow_inf_nan=False,
                json_schema_extra=validations(NO_RATIO),
            ),
        ]
        | None
    ) = None
    """Test coverage in percent, 0 to 100; above 0 it is more than 1."""
    passed: Count | None = None
    """Tests that passed."""
    failed: Count | None = None
    """Tests that failed."""
    skipped: Count | None = None
    """Tests that were skipped."""
    uri: Uri | None = None
    """Where the report can be read."""
    sha256: Sha256 | None = None
    """SHA-256 of the report, 64 hexadecimal digits."""


class ScanResults(Model):
    """The outcome of the security scan: findings by severity."""

    critical: Count | None = None
    """Critical findings."""
    high: Count | None = None
    """High findings."""
    medium: Count | None = None
    """Medium findings."""
    low: Count | None = None
    """Low findings."""
    scanner: ShortText | None = None
    """Name and version of the scanner."""
    uri: Uri | None = None
    """Where the report can be read."""
    sha256: Sha256 | None = None
    """SHA-256 of the report, 64 hexadecimal digits."""


MOMENT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})$"
)
"""How a moment is written that is kept as text. Not as a date-time of OpenAPI: that takes small
letters, with which CEL cannot read the object any more, and no rule of it lets any write pass.
Intents alone are asked for it: what is stored already is still to be read, and its request to be
opened and decided."""

NO_IMAGE_CHARACTER = "[^!-~]"
"""What no image reference holds: blanks, and whatever is not ASCII or cannot be seen."""


class ManualTesting(Model):
    """Manual testing of this release."""

    status: ManualTestingStatus | None = None
    """How far it has come."""
    by: ShortText | None = None
    """Who tested."""
    at: Annotated[str, StringConstraints(max_length=64)] | None = None
    """When, as RFC 3339; kept as written, so that the digest is that of what was written."""
    uri: Uri | None = None
    """Where the record can be read."""


class RollbackPlan(Model):
    """How to go back to what ran before."""

    validated: bool | None = None
    """Whether the plan was tried."""
    uri: Uri | None = None
    """Where the plan can be read."""
    sha256: Sha256 | None = None
    """SHA-256 of the plan, 64 hexadecimal digits."""


class DeploymentPlan(Model):
    """How the rollout is done."""

    uri: Uri | None = None
    """Where the plan can be read."""
    sha256: Sha256 | None = None
    """SHA-256 of the plan, 64 hexadecimal digits."""


class Scope(Model):
    """How much the change touches."""

    affected_components: Count | None = None
    """Number of components that the change touches."""


MAX_PAYLOAD = 32 * 1024
"""Longest payload of an attestation, in characters of base64."""


class AttestationSignature(Model):
    """A signature of an envelope."""

    keyid: (
        Annotated[str, StringConstraints(max_length=256, pattern=r"^[A-Za-z0-9+/=:._-]*$")] | None
    ) = None
    """A hint of the tool that signed; cabgate does not go by it."""
    sig: Annotated[str, StringConstraints(max_length=512, pattern="^[A-Za-z0-9+/]+={0,2}$")]
    """The signature in base64."""


class Attestation(Model):
    """A DSSE envelope: what a pipeline signed of the evidence, as an in-toto Statement."""

    payload_type: Annotated[str, StringConstraints(max_length=64)] | None = None
    """application/vnd.in-toto+json."""
    payload: (
        Annotated[str, StringConstraints(max_length=MAX_PAYLOAD, pattern="^[A-Za-z0-9+/]+={0,2}$")]
        | None
    ) = None
    """The Statement in base64."""
    signatures: (
        Annotated[
            list[AttestationSignature],
            Field(max_length=1, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        ]
        | None
    ) = None
    """Its one signature."""
    sha256: Sha256 | None = None
    """Of requests: the SHA-256 of the envelope, which stands in the intent."""


class Evidence(Model):
    """What the team shows for its rollout. All of it is optional: what is missing is named and
    scores worst. It is declared by the team, unless a signer that is trusted speaks for it."""

    # Replaced whole, as lists are: what somebody added by hand is no evidence of later releases.
    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    artifacts: (
        Annotated[
            list[Artifact],
            Field(
                max_length=100,
                json_schema_extra=replaced_whole(
                    "self.map(a, a.name)", "duplicate artifact: name it once"
                ),
            ),
        ]
        | None
    ) = None
    """Build products of this release."""
    test_results: TestResults | None = None
    """The outcome of the automated tests."""
    scan_results: ScanResults | None = None
    """The outcome of the security scan."""
    manual_testing: ManualTesting | None = None
    """Manual testing of this release."""
    rollback_plan: RollbackPlan | None = None
    """How to go back to what ran before."""
    deployment_plan: DeploymentPlan | None = None
    """How the rollout is done."""
    scope: Scope | None = None
    """How much the change touches."""
    attestations: (
        Annotated[
            list[Attestation],
            Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        ]
        | None
    ) = None
    """What pipelines signed of the evidence: `cabgate evidence sign`. A request has the SHA-256 of
    each."""
