# SPDX-License-Identifier: Apache-2.0
"""The system's Chromium, driven by Playwright: no browser is downloaded."""

import os
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe

from cabgate_demo.browser import CHROMIUM, launched
from cabgate_devcluster import wait_until

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
"""What axe-core checks."""


@contextmanager
def chromium():
    """A browser. Skips the test where there is none; CI installs one."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("CI has no Chromium: apt-get install chromium")
        pytest.skip("no Chromium: apt-get install chromium")
    with launched() as browser:
        yield browser


def approve(page, why):
    """Fill in the form and press the button, again while the API server does not know a kind."""
    page.get_by_label("Why").fill(why)

    def recorded():
        with page.expect_navigation():  # the answer, not what stood there before
            page.get_by_role("button", name="Approve").click()
        return "is recorded, in your name" in page.inner_text("main")

    wait_until(recorded, "it is recorded", timeout=120)


def violations(page):
    """What axe-core finds on a page, as texts."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


def too_wide(page):
    """What of a page has to be moved sideways to be read: the elements that reach out of it."""
    return page.evaluate(
        """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
        [...document.body.querySelectorAll('*')]
        .filter(each => each.getBoundingClientRect().right > window.innerWidth)
        .map(each => each.outerHTML.slice(0, 200))"""
    )
