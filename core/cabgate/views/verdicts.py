# SPDX-License-Identifier: Apache-2.0
"""What a reviewer's answer is written as, by whatever program."""

from collections.abc import Mapping
from typing import Any

from cabgate.api.exception import ExceptionReview
from cabgate.api.request import RequestReview


def review_for(
    verdict: str,
    digest: str,
    rationale: str | None,
    details: Mapping[str, Any],
    *,
    of_exception: bool,
) -> dict[str, Any]:
    """What is written into `status.review`: a verdict on the evidence of a digest, with `details`
    such as `conditions`, `condition` or `images`.

    Raises `pydantic.ValidationError` for what the API server's schema would refuse.
    """
    review: dict[str, Any] = {"verdict": verdict, **details}
    if rationale is not None:
        review["rationale"] = rationale
    review["evidenceDigest"] = digest
    model = ExceptionReview if of_exception else RequestReview
    model.model_validate(review)
    return review
