# SPDX-License-Identifier: Apache-2.0
"""The demo's story, told twice: by kubectl, and by four people who decide on the page in a real
Chromium. `make test-browser` runs it; test_page.py has a short form."""

import io
from contextlib import ExitStack

import pytest
from rich.console import Console

from cabgate_demo.files import NAMESPACE
from cabgate_demo.later import DAYS_VARIABLE
from cabgate_demo.play import played
from cabgate_demo.stage import WIDTH
from cabgate_devcluster import DevCluster
from support.browser import chromium
from support.page_stage import PEOPLE, ledger_of, staged

pytestmark = pytest.mark.long


@pytest.fixture
def console(monkeypatch):
    """Where nobody looks; and processes start as those of the demo do."""
    monkeypatch.delenv(DAYS_VARIABLE, raising=False)
    monkeypatch.setattr(DevCluster, "forking", False)
    return Console(width=WIDTH, file=io.StringIO())


def test_the_page_leaves_the_ledger_that_kubectl_leaves(console):
    with played(console) as cluster:
        by_kubectl = ledger_of(cluster, NAMESPACE)
    with chromium() as browser:
        ending = ExitStack()
        stage_of = staged(browser, ending)
        with played(console, stage_of=stage_of) as cluster, ending:
            by_page = ledger_of(cluster, NAMESPACE)
    subjects, people = by_page
    assert people == by_kubectl[1]
    assert subjects == by_kubectl[0]
    # It was the page that decided and refused, whatever else kubectl did.
    assert stage_of.made.decided == [
        ("reviewer", "approve"), ("security", "approve"), ("security", "revoke"),
        ("reviewer", "approve"), ("reviewer", "approve"), ("lead", "approve"),
        ("reviewer", "approve"),
    ]  # fmt: skip
    assert stage_of.made.denied == [
        ("requester", "approve"), ("reviewer", "approve"), ("lead", "approve"), ("lead", "approve"),
    ]  # fmt: skip
    assert {user for user, _ in stage_of.made.decided + stage_of.made.denied} == set(PEOPLE)
