# SPDX-License-Identifier: Apache-2.0
"""An issuer for the tests of signing in, and a page that its people sign in to."""

from datetime import UTC, datetime

import pytest

from unit.portal.page.signing_in import Clock, SignIns, issuer_of


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    issuer, ca = issuer_of(tmp_path_factory.mktemp("issuer"))
    with issuer:
        yield issuer, ca


@pytest.fixture
def clock():
    return Clock(datetime.now(UTC))


@pytest.fixture
def made(served, clock):
    issuer, ca = served
    issuer.person, issuer.claims, issuer.give, issuer.pages_instead = "rita", {}, None, {}
    issuer.asked.clear()
    return SignIns(issuer, ca, clock)
