# SPDX-License-Identifier: Apache-2.0
"""The metadata of records, by which they are found and which nobody ties down."""

from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest, metadata_of

_GUARDED = ("labels", "ownerReferences", "finalizers")


def check_untied(admission: AdmissionRequest, what: str, about: str) -> None:
    """Raise `Refusal` for a new record that somebody else could keep or take away: `what` it is,
    and what it is `about`."""
    for name in ("ownerReferences", "finalizers"):
        if metadata_of(admission.object).get(name):
            raise Refusal(
                RefusalReason.WRONG_CONTENT,
                f"{what} has none: it is a record and outlives its {about}",
                f"metadata.{name}",
            )


def judge_metadata(admission: AdmissionRequest, what: str) -> AdmissionAnswer:
    """The answer to a write of a record, its status and its spec aside. Raises `Refusal`."""
    old, new = metadata_of(admission.old_object), metadata_of(admission.object)
    for name in _GUARDED:
        before, after = old.get(name) or [], new.get(name) or []
        removed_finalizers = name == "finalizers" and all(item in before for item in after)
        if before != after and not removed_finalizers:
            raise Refusal(
                RefusalReason.WRITTEN_BY_OPERATOR_ONLY,
                f"{what} is a record: it is found by its labels and outlives what it is about; "
                "use annotations for notes",
                f"metadata.{name}",
            )
    return AdmissionAnswer(allowed=True, reason="MetadataWrite")
