# SPDX-License-Identifier: Apache-2.0
"""Which function reconciles what, where it needs nothing but the context and the key."""

from collections.abc import Awaitable, Callable, Mapping

from cabgate_operator.controllers.break_glass import reconcile_glass, reconcile_retrospect
from cabgate_operator.controllers.exceptions import reconcile_exception
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.controllers.models import reconcile_models
from cabgate_operator.work.context import Context
from cabgate_operator.work.keys import Key, Subject

RECONCILERS: Mapping[Subject, Callable[[Context, Key], Awaitable[None]]] = {
    Subject.INTENT: reconcile_intent,
    Subject.EXCEPTION: reconcile_exception,
    Subject.MODELS: reconcile_models,
    Subject.GLASS: reconcile_glass,
    Subject.RETROSPECT: reconcile_retrospect,
}
"""By subject; the operator as a whole does the rest."""
