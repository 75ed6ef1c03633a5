# SPDX-License-Identifier: Apache-2.0
"""What rules and messages read of a stored request or exception, whatever holds it: the models of
this package, or the types of the webhook and of the queue, which hold this and no more. What is not
here cannot be asked for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from cabgate.api.stored_terms import StoredTerms
from cabgate.api.values import AuthorType, ExceptionVerdict, RequestVerdict, SubmitterType, Tier


class StoredMeta(Protocol):
    """Metadata."""

    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def creation_timestamp(self) -> datetime | None: ...


class StoredTarget(Protocol):
    """A workload with its images."""

    @property
    def api_version(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def images(self) -> Sequence[str]: ...
    @property
    def template(self) -> str | None: ...
    @property
    def template_fields(self) -> Sequence[str]: ...


class StoredIntentRef(Protocol):
    """The intent that a request was made from."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def applied_by(self) -> str | None: ...


class StoredSubmitter(Protocol):
    """Who submitted."""

    @property
    def username(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def type(self) -> SubmitterType | None: ...


class StoredReport(Protocol):
    """Test or scan results, without their figures, which go by name."""

    @property
    def uri(self) -> str | None: ...
    @property
    def sha256(self) -> str | None: ...


class StoredReports(Protocol):
    """The evidence that counts against requests that come later."""

    @property
    def test_results(self) -> StoredReport | None: ...
    @property
    def scan_results(self) -> StoredReport | None: ...


class StoredFactor(Protocol):
    """A factor of an assessment."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> str: ...
    @property
    def observed(self) -> str: ...
    @property
    def risk(self) -> str: ...


class StoredFloor(Protocol):
    """A floor of an assessment."""

    @property
    def name(self) -> str: ...
    @property
    def gate(self) -> Tier: ...
    @property
    def explanation(self) -> str: ...


class StoredRiskModel(Protocol):
    """The risk model of an assessment."""

    @property
    def digest(self) -> str: ...


class StoredAssessment(Protocol):
    """Score and gate."""

    @property
    def score(self) -> str: ...
    @property
    def gate(self) -> Tier: ...
    @property
    def factors(self) -> Sequence[StoredFactor]: ...
    @property
    def floors(self) -> Sequence[StoredFloor]: ...
    @property
    def missing(self) -> Sequence[str]: ...
    @property
    def risk_model(self) -> StoredRiskModel: ...


class StoredSpec(Protocol):
    """What is to be decided."""

    @property
    def intent_ref(self) -> StoredIntentRef | None: ...
    @property
    def break_glass(self) -> object | None: ...
    @property
    def targets(self) -> Sequence[StoredTarget]: ...
    @property
    def correlation_id(self) -> str: ...
    @property
    def submitted_by(self) -> Sequence[StoredSubmitter]: ...
    @property
    def requester(self) -> str | None: ...
    @property
    def requested_by(self) -> Sequence[str]: ...
    @property
    def evidence(self) -> StoredReports: ...
    @property
    def evidence_digest(self) -> str: ...
    @property
    def assessment(self) -> StoredAssessment: ...
    @property
    def requires(self) -> Sequence[str]: ...
    @property
    def terms(self) -> StoredTerms | None: ...


class StoredAuthor(Protocol):
    """Who decided."""

    @property
    def type(self) -> AuthorType: ...
    @property
    def username(self) -> str: ...
    @property
    def uid(self) -> str: ...


class StoredCondition(Protocol):
    """A condition of an approval."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def not_before(self) -> datetime | None: ...
    @property
    def not_after(self) -> datetime | None: ...
    @property
    def needs_attestation(self) -> bool: ...
    @property
    def is_obligation(self) -> bool: ...


class StoredChecked(Protocol):
    """What an approval was given in knowledge of."""

    @property
    def refusals(self) -> int | None: ...
    @property
    def lifts(self) -> Sequence[str]: ...


class StoredApproval(Protocol):
    """An entry of the decisions of a request or an exception, as far as it lifts a refusal."""

    @property
    def at(self) -> datetime: ...
    @property
    def checked(self) -> StoredChecked | None: ...


class StoredEntry(StoredApproval, Protocol):
    """An entry of the decisions of a request."""

    @property
    def sequence(self) -> int: ...
    @property
    def evidence_digest(self) -> str: ...
    @property
    def author(self) -> StoredAuthor: ...
    @property
    def verdict(self) -> RequestVerdict: ...
    @property
    def rationale(self) -> str: ...
    @property
    def conditions(self) -> Sequence[StoredCondition]: ...
    @property
    def verbs(self) -> Sequence[str]: ...
    @property
    def overrides(self) -> Sequence[str]: ...
    @property
    def condition(self) -> str | None: ...
    @property
    def images(self) -> Sequence[str]: ...


class StoredStatusCondition(Protocol):
    """A condition of a status, without what it says to people."""

    @property
    def type(self) -> str: ...
    @property
    def status(self) -> str: ...


class StoredStatus(Protocol):
    """What became of it."""

    @property
    def decisions(self) -> Sequence[StoredEntry]: ...
    @property
    def conditions(self) -> Sequence[StoredStatusCondition]: ...


class Declared(Protocol):
    """A request as far as it does not change: what it is called, and what it asks for."""

    @property
    def metadata(self) -> StoredMeta: ...
    @property
    def spec(self) -> StoredSpec: ...


class StoredRequest(Declared, Protocol):
    """A request."""

    @property
    def status(self) -> StoredStatus: ...


class StoredBreak(Protocol):
    """A broken glass, as lists show it."""

    @property
    def ticket(self) -> str: ...
    @property
    def reason(self) -> str: ...


class ListedSpec(StoredSpec, Protocol):
    """What is to be decided, with what a list shows of it to people."""

    @property
    def break_glass(self) -> StoredBreak | None: ...
    @property
    def summary(self) -> str | None: ...
    @property
    def ring(self) -> int: ...


class ListedRequest(Protocol):
    """A request as a list shows it."""

    @property
    def metadata(self) -> StoredMeta: ...
    @property
    def spec(self) -> ListedSpec: ...
    @property
    def status(self) -> StoredStatus: ...


class StoredRequestRef(Protocol):
    """The request that an exception is for."""

    @property
    def name(self) -> str: ...


class StoredInterval(Protocol):
    """From a moment until another."""

    @property
    def from_(self) -> datetime: ...
    @property
    def until(self) -> datetime: ...


class StoredConstraints(Protocol):
    """What an exception admits no rollout beyond."""

    @property
    def max_replicas(self) -> int | None: ...
    @property
    def max_ring(self) -> int | None: ...
    @property
    def until(self) -> datetime | None: ...
    @property
    def windows(self) -> Sequence[StoredInterval]: ...


class StoredExceptionSpec(Protocol):
    """Why, for how long, and how far."""

    @property
    def request_ref(self) -> StoredRequestRef: ...
    @property
    def reason(self) -> str: ...
    @property
    def duration_days(self) -> int: ...
    @property
    def constraints(self) -> StoredConstraints | None: ...
    @property
    def approvals_needed(self) -> int | None: ...
    @property
    def submitted_by(self) -> Sequence[StoredSubmitter]: ...


class StoredExceptionEntry(StoredApproval, Protocol):
    """An entry of the decisions of an exception."""

    @property
    def sequence(self) -> int: ...
    @property
    def evidence_digest(self) -> str: ...
    @property
    def author(self) -> StoredAuthor: ...
    @property
    def verdict(self) -> ExceptionVerdict: ...
    @property
    def constraints(self) -> StoredConstraints | None: ...


class StoredExceptionStatus(Protocol):
    """What became of an exception."""

    @property
    def decisions(self) -> Sequence[StoredExceptionEntry]: ...


class DeclaredException(Protocol):
    """An exception as far as it does not change."""

    @property
    def metadata(self) -> StoredMeta: ...
    @property
    def spec(self) -> StoredExceptionSpec: ...


class StoredException(DeclaredException, Protocol):
    """An exception."""

    @property
    def status(self) -> StoredExceptionStatus: ...
