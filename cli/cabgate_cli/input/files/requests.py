# SPDX-License-Identifier: Apache-2.0
"""A request from a file: the intent that its frozen copy holds, to be scored anew."""

from pydantic import ValidationError

from cabgate.api import CABRequest, DeploymentIntent, RiskModel
from cabgate.api.base import first_problem
from cabgate.api.intent import DeploymentIntentSpec, IntentMeta
from cabgate.risk.facts import FLOOR_FACTS
from cabgate.risk.image_evidence import UNNAMED_IMAGES, unnamed_images
from cabgate_cli.errors import BadInput, note
from cabgate_cli.input.files.documents import Document


def intent_of_request(document: Document, model: RiskModel) -> DeploymentIntent:
    """The intent as it was when a request was opened; raises `BadInput` for what is no request.

    Notes what keeps the score under a model from being the one that the request records.
    """
    try:
        request = CABRequest.model_validate(document.content)
    except ValidationError as error:
        first = first_problem(error)
        raise BadInput(f"{document.source}: {first.path}: {first.message}") from None
    spec, name = request.spec, request.metadata.name
    if spec.intent_ref is None:
        why = "spec.intentRef: Field required"
        if spec.break_glass is not None:
            why = f"CABRequest {name} was opened for a broken glass: there is no evidence to score"
        raise BadInput(f"{document.source}: {why}")
    recorded = spec.assessment.risk_model
    if recorded.digest != model.digest:
        note(
            f"CABRequest {name} was scored with RiskModel {recorded.name} {recorded.version}, "
            f"{recorded.digest}: give that one with --model"
        )
    for floor in spec.assessment.floors:
        if floor.name not in {*FLOOR_FACTS, UNNAMED_IMAGES}:
            note(f"CABRequest {name} has the floor {floor.name}, which follows from other requests")
    if spec.assessment.provenance:
        note(
            f"CABRequest {name} records who signed its evidence, which is scored here as declared: "
            "what was signed stands in its intent (cabgate evidence verify)"
        )
    recorded_floors = {floor.name for floor in spec.assessment.floors}
    if unnamed_images(spec.targets, spec.evidence) and UNNAMED_IMAGES not in recorded_floors:
        note(
            f"CABRequest {name} was opened before there was the floor {UNNAMED_IMAGES}, which its "
            "record does not have"
        )
    return DeploymentIntent(
        metadata=IntentMeta(name=spec.intent_ref.name, namespace=request.metadata.namespace),
        spec=DeploymentIntentSpec(
            targets=spec.targets,
            summary=spec.summary,
            correlation_id=spec.correlation_id,
            evidence=spec.evidence,
        ),
    )
