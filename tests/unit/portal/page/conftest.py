# SPDX-License-Identifier: Apache-2.0
"""An issuer for the tests of signing in, with a page that its people sign in to; and the page in a
real browser."""

from datetime import UTC, datetime

import pytest

from cabgate_samples.models import exception
from cabgate_samples.objects import BAD, MIDDLING
from support.browser import chromium
from unit.portal.page.in_browser import Serving
from unit.portal.page.signing_in import Clock, SignIns, issuer_of


@pytest.fixture(scope="module")
def serving_issuer(tmp_path_factory):
    issuer, ca = issuer_of(tmp_path_factory.mktemp("issuer"))
    with issuer:
        yield issuer, ca


@pytest.fixture
def served(serving_issuer):
    """The issuer and its authority, as each test begins."""
    issuer, _ = serving_issuer
    issuer.person, issuer.claims, issuer.give, issuer.pages_instead = "rita", {}, None, {}
    issuer.asked.clear()
    return serving_issuer


@pytest.fixture
def clock():
    return Clock(datetime.now(UTC))


@pytest.fixture
def made(served, clock):
    return SignIns(*served, clock)


@pytest.fixture(scope="module")
def serving():
    made = Serving()
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def opened(serving, browser):
    """Makes pages of contexts that have opened the page. What nobody is to see is in `problems` of
    each: dialogs, errors, what the content policy kept from running, and calls of other hosts."""
    serving.api.objects.clear()
    serving.api.answers.clear()
    serving.api.calls.clear()
    contexts, problems = [], []

    def make(**options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("dialog", lambda found: (problems.append(found.message), found.dismiss()))
        page.on("pageerror", lambda found: problems.append(str(found)))
        page.on("console", lambda m: problems.append(m.text) if "Security Policy" in m.text else 0)
        own = f"http://{serving.host}/"
        page.on("request", lambda r: None if r.url.startswith(own) else problems.append(r.url))
        page.goto(serving.entry())
        page.problems = problems
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def shop(serving, opened):
    """What a busy shop has: requests, and an exception that waits."""
    _, first = serving.put("ManualReview", MIDDLING, "checkout")
    bad, _ = serving.put("ExceptionRequired", BAD, "basket", "The fix of the outage")
    return first, serving.put_exception(exception(bad))
