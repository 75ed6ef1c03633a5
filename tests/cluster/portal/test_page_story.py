# SPDX-License-Identifier: Apache-2.0
"""The demo's story, told by kubectl, and by four people who decide on the page in a real Chromium:
with a mouse, and by keyboard on a narrow screen without JavaScript. `make test-browser` runs it;
test_page.py has a short form."""

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
from support.page_stage import PEOPLE, Keyboard, Mouse, ledger_of, staged

pytestmark = pytest.mark.long


WAYS = {
    "mouse": (Mouse(), {}),
    "keyboard, without JavaScript, 320 px wide": (
        Keyboard(),
        {"java_script_enabled": False, "viewport": {"width": 320, "height": 800}},
    ),
}
"""With what people decide, and the options of their browsers."""


@pytest.fixture(scope="module")
def console():
    """Where nobody looks; and processes start as those of the demo do."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv(DAYS_VARIABLE, raising=False)
        patched.setattr(DevCluster, "forking", False)
        yield Console(width=WIDTH, file=io.StringIO())


@pytest.fixture(scope="module")
def by_kubectl(console):
    """What the ledger says after the story as kubectl tells it."""
    with played(console) as cluster:
        return ledger_of(cluster, NAMESPACE)


@pytest.mark.parametrize("way", WAYS)
def test_the_page_leaves_the_ledger_that_kubectl_leaves(console, by_kubectl, way):
    hand, options = WAYS[way]
    with chromium() as browser:
        ending = ExitStack()
        stage_of = staged(browser, ending, hand, **options)
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
