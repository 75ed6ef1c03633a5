# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium, over an API server that is made up: deciding without JavaScript and
by keyboard. tests/cluster/portal/test_page.py has the real API server and the real command."""

import pytest

from unit.portal.page.in_browser import put_freezes

pytestmark = pytest.mark.slow


def test_the_calendar_works_without_javascript(serving, opened):
    put_freezes(serving.api)
    page = opened(java_script_enabled=False)
    page.get_by_role("link", name="Calendar").click()
    page.wait_for_url("**/calendar")
    now = page.get_by_role("region", name="Now")
    assert "Christmas" in now.inner_text()
    now.get_by_text("Who overrides it").click()
    assert "--override christmas" in now.inner_text()
    page.get_by_label("Namespace").fill("gone")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**namespace=gone")
    assert page.get_by_role("alert").is_visible()


def test_three_clicks_from_what_waits_to_a_decision_without_javascript(serving, opened, shop):
    page = opened(java_script_enabled=False)
    assert "Waiting for a decision" in page.inner_text("h1")
    page.get_by_role("link", name="checkout").click()
    page.get_by_label("Why").click()
    page.keyboard.type("The scan is explained")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url("**recorded=Approved")
    assert len(serving.patches()) == 1


def test_it_is_decided_by_keyboard_alone(serving, opened, shop):
    page = opened()

    def go_to(wanted):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.outerHTML").find(wanted) >= 0:
                return
        pytest.fail(f"{wanted} is not reached")

    go_to(shop[0])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{shop[0]}")
    go_to('id="rationale"')
    page.keyboard.type("Read the report")
    go_to('value="reject"')
    page.keyboard.press("Enter")
    page.wait_for_url("**recorded=Rejected")


def test_enter_in_a_field_decides_nothing(serving, opened, shop):
    page = opened()
    page.goto(serving.url(shop[0]))
    page.get_by_text("On approval conditions").click()
    page.locator("#condition1-name").fill("watch")
    page.evaluate("document.addEventListener('submit', () => { window.submitted = true })")
    page.keyboard.press("Enter")
    assert page.evaluate("window.submitted") is None
    assert page.url == serving.url(shop[0])
    assert serving.patches() == []


def test_what_changes_meanwhile_is_told_and_nothing_typed_is_lost(serving, opened, shop):
    page = opened()
    page.goto(serving.url(shop[0]))
    page.get_by_label("Why").fill("typed for an hour")
    for obj in serving.api.objects.values():
        if obj["kind"] == "CABRequest":
            obj["metadata"]["uid"] = "made-anew"
    page.evaluate(
        "htmx.ajax('GET', document.querySelector('#news').getAttribute('hx-get'), '#news')"
    )
    page.get_by_text("This has changed since you opened it").wait_for()
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Nothing was sent").wait_for()
    assert page.get_by_label("Why").input_value() == "typed for an hour"
    assert serving.patches() == []
