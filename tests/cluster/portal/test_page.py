# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab ui` beside a real API server: each decides as themselves, in a real browser."""

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, MIDDLING, exception
from support.browser import CHROMIUM, approve, chromium, too_wide, violations
from support.cab import PLUGINS
from support.cli import cabgate
from support.freezes import freeze, interval
from support.page_stage import ledger_of
from support.reviews import decisions

PICTURE = os.environ.get("PAGE_PICTURE", "")
"""Where the picture of the docs is written; only `make test-browser` names a place."""


class Ui:
    """The page that one person has started."""

    def __init__(self, gate, who, namespace):
        kubectl = gate.cluster.binaries.kubectl
        env = {
            "KUBECONFIG": str(gate.user(who)),
            "HOME": str(gate.cluster.directory),
            "PATH": f"{PLUGINS}:{kubectl.parent}:/usr/bin:/bin",
        }
        argv = [sys.executable, "-m", "cabgate_cli", "ui"]
        self.process = gate.cluster.spawn(f"ui-{who}-{namespace}", argv, env=env)
        self.log = Path(self.process.log)
        self.entry = wait_until(self._url, "the page is served")
        self.base = self.entry.partition("/?")[0]
        self.queue = f"{self.base}/queue?namespace={namespace}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    def _url(self):
        found = re.search(r"http://127\.0\.0\.1:\S+", self.log.read_text())
        return found and found[0]


def form(text):
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text))


def sent(browser, url, fields):
    """The answer to a form; sent anew while the API server does not know a kind yet."""

    def answered():
        answer = browser.post(url, data=fields, headers={"Sec-Fetch-Site": "same-origin"})
        return None if answer.status_code == 429 else answer

    return wait_until(answered, "the form is answered", timeout=120)


def test_each_decides_on_the_page_as_themselves(gate, submitted, namespace):
    link, wrong = f"/requests/{namespace}.{submitted}", f"v1:sha256:{'0' * 64}"
    with Ui(gate, "reviewer", namespace) as ui, httpx.Client(timeout=60) as browser:
        assert browser.get(ui.entry).status_code == 303
        queue = browser.get(ui.queue)
        assert queue.status_code == 200, queue.text
        assert link in queue.text
        typed = {**form(browser.get(ui.base + link).text), "verb": "approve"}

        stale = sent(browser, ui.base + link, {**typed, "digest": wrong, "rationale": "As agreed"})
        assert stale.status_code == 409
        assert ">\nAs agreed</textarea>" in stale.text
        assert decisions(gate, submitted, namespace) == []

        done = sent(browser, ui.base + link, {**typed, "rationale": "Read the report"})
        assert done.status_code == 303, done.text
        assert "Approved</strong> is recorded" in browser.send(done.next_request).text
        assert decisions(gate, submitted, namespace) == [("Approved", "reviewer")]

        checked = browser.get(f"{ui.base}/workload?namespace={namespace}&workload=deployment/web")
        assert checked.status_code == 404  # nothing was rolled out
        assert browser.get(f"{ui.base}/calendar").status_code == 200
        calendar = browser.get(f"{ui.base}/calendar?namespace={namespace}")
        assert calendar.status_code == 200, calendar.text
        assert "othing is frozen" in calendar.text
        assert browser.get(ui.queue, headers={"Host": "localhost:1"}).status_code == 421
        log = ui.log.read_text()
        assert "Read the report" not in log
        assert "Traceback" not in log


def test_the_ledger_says_of_the_page_what_it_says_of_kubectl(gate, make_namespace):
    """The short form of test_page_story.py."""
    by_kubectl, by_page = make_namespace(), make_namespace()
    why = "Read the report"
    name = gate.open(by_kubectl, MIDDLING, "Submitted")
    gate.review("reviewer", "cabrequest", name, by_kubectl, "Approved", rationale=why)
    assert gate.open(by_page, MIDDLING, "Submitted") == name
    link = f"/requests/{by_page}.{name}"
    with Ui(gate, "reviewer", by_page) as ui, httpx.Client(timeout=60) as browser:
        browser.get(ui.entry)
        typed = {**form(browser.get(ui.base + link).text), "verb": "approve", "rationale": why}
        assert sent(browser, ui.base + link, typed).status_code == 303

    def both():
        found = [ledger_of(gate.cluster, each) for each in (by_kubectl, by_page)]
        return found if all(people for _, people in found) else None

    first, second = wait_until(both, "the ledger has both")
    assert first == second
    assert [each["verdict"] for _, each in first[1]] == ["Approved"]


def test_the_calendar_shows_what_freeze_list_says(gate, namespace):
    gate.kubectl("admin", "label", "namespace", namespace, "cabgate.dev/change-policy=board")
    here = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]}
    name, day = f"page-{namespace}", interval(now=datetime.now(UTC))
    gate.create("admin", freeze(name, day, terms=[here], title="Stocktaking <b>"))
    try:
        listed = cabgate(gate, "admin", f"freeze list -n {namespace} -o json", code=1)
        (held,) = json.loads(listed.stdout)["items"]
        for who, query in (("admin", ""), ("reviewer", f"?namespace={namespace}")):
            with Ui(gate, who, namespace) as ui, httpx.Client(timeout=60) as browser:
                browser.get(ui.entry)
                page = browser.get(f"{ui.base}/calendar{query}")
            assert page.status_code == 200, page.text
            now = page.text.partition('id="now"')[2].partition('id="weeks"')[0]
            assert f'datetime="{held["since"]}"' in now
            assert f'datetime="{held["until"]}"' in now
            assert "Stocktaking &lt;b&gt;" in now
            assert f"--override {name}" in now
    finally:
        gate.kubectl("admin", "delete", "changefreeze", name)


def test_the_webhooks_denial_is_shown_with_what_was_typed(gate, submitted, namespace):
    link = f"/requests/{namespace}.{submitted}"
    with Ui(gate, "requester", namespace) as ui, httpx.Client(timeout=60) as browser:
        browser.get(ui.entry)
        page = browser.get(ui.base + link)
        assert "yours: you submitted" in page.text
        assert 'value="approve"' not in page.text
        typed = {**form(page.text), "rationale": "It is fine", "verb": "approve"}
        denied = sent(browser, ui.base + link, typed)
        assert denied.status_code == 403
        assert ">\nIt is fine</textarea>" in denied.text
        assert "Nothing was recorded" in denied.text
        assert decisions(gate, submitted, namespace) == []


@pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium")
def test_a_reviewer_and_a_security_reviewer_decide_in_a_browser(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted", name="checkout", summary="Two more retries",
                     images=("registry.example.com/shop/checkout:1.4.2",))  # fmt: skip
    bad = gate.open(namespace, BAD, "ExceptionRequired", name="basket", images=("basket:2",))
    gate.apply("requester", exception(namespace, bad, name="leave"))
    gate.wait_state("cabexception", "leave", namespace, "Pending")
    with chromium() as browser:
        with Ui(gate, "reviewer", namespace) as ui:
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            page.goto(ui.entry)
            page.goto(ui.queue)
            page.locator(f"a[href$='{name}']").click()
            page.wait_for_url(f"**/*{name}")
            assert violations(page) == []
            if PICTURE:
                page.get_by_label("Why").fill("The three findings are in code that is not reached")
                page.screenshot(path=PICTURE)
            approve(page, "The three findings are in code that is not reached")
            assert decisions(gate, name, namespace) == [("Approved", "reviewer")]
        with Ui(gate, "security", namespace) as ui:
            page = browser.new_page(viewport={"width": 320, "height": 700})
            page.goto(ui.entry)
            page.goto(ui.queue)
            page.locator("a[href*='/exceptions/']").click()
            page.wait_for_url("**/exceptions/*")  # and its style
            assert not too_wide(page)
            approve(page, "The flag is off")
    gate.wait_state("cabexception", "leave", namespace, "Approved")
