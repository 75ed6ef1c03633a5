# SPDX-License-Identifier: Apache-2.0
"""The operator's plans, for tests that hold requests as they are stored."""

from cabgate_operator.controllers import exceptions
from cabgate_operator.plans import intents, requests, texts
from unit.core.standings import of_stored

plan_request = of_stored(requests.plan_request)
plan_exception = of_stored(exceptions.plan_exception)
readiness = of_stored(intents.readiness)
Surroundings = of_stored(intents.Surroundings)
wanted_request = of_stored(intents.wanted_request)
own_request = of_stored(intents.own_request)
news_of_approval = of_stored(intents.news_of_approval)
news_of_intent = of_stored(intents.news_of_intent)
status_of_intent = of_stored(intents.status_of_intent)
about_request = of_stored(texts.about_request)
about_exception = of_stored(texts.about_exception)
