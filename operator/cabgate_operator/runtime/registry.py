# SPDX-License-Identifier: Apache-2.0
"""Every controller of the operator, in the order in which they are told of an event."""

from cabgate_operator.controllers.break_glass import Glass, Retrospects
from cabgate_operator.controllers.certificates import Certificates
from cabgate_operator.controllers.coverage import Coverage
from cabgate_operator.controllers.exceptions import Exceptions
from cabgate_operator.controllers.installation import Installation
from cabgate_operator.controllers.intents import Intents
from cabgate_operator.controllers.kept_evidence import KeptEvidence
from cabgate_operator.controllers.ledger import Ledger
from cabgate_operator.controllers.models import Models
from cabgate_operator.controllers.namespaces import Namespaces
from cabgate_operator.controllers.outcomes import Outcomes
from cabgate_operator.controllers.retention import Retention
from cabgate_operator.settings import Settings
from cabgate_operator.work.controller import Controller
from cabgate_operator.work.metrics import Metrics


def make_controllers(settings: Settings, metrics: Metrics) -> tuple[Controller, ...]:
    """New ones, that know nothing yet."""
    ledger, glass = Ledger(), Glass()
    certificates = (Certificates(settings.webhook_name),) if settings.manage_certificates else ()
    return (
        *(Intents(), Exceptions(), Retrospects(), Models(), Namespaces()),
        *(ledger, Retention(ledger, settings.keep_approved), KeptEvidence()),
        Outcomes(lambda: glass.served, settings.keep_approved),
        Coverage(metrics.uncovered_workloads, settings.installation, glass.absent),
        *(glass, Installation(), *certificates),
    )
