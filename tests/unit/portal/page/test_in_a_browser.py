# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium, over an API server that is made up. `make test-browser` tries more
payloads; tests/cluster/portal/test_page.py has the real API server and the real command."""

import asyncio
import copy
import os
import socket
import threading
from urllib.parse import quote

import pytest
import uvicorn

from cabgate.api import CABDecision, CABException, CABRequest, ChangeFreeze
from cabgate_kube.process.http import COMMON, Server
from cabgate_portal.page.local import create_page
from cabgate_portal.page.session import Session
from cabgate_samples.decisions import numbered
from cabgate_samples.models import NOW, by_person, exception, intent, request, target
from cabgate_samples.objects import BAD, MIDDLING
from support.browser import chromium, too_wide, violations
from support.freezes import DAY, freeze, interval
from unit.core.ledger.histories import fresh
from unit.portal.fake_api import OURS, FakeApi
from unit.portal.page.hostile import fields_for, filled
from unit.portal.page.opened import as_stored

pytestmark = pytest.mark.slow

SUBMITTER = {"username": "tess", "type": "Person"}
PAYLOADS = int(os.environ.get("BROWSER_PAYLOADS", "12"))
"""How many hostile texts are tried in each field."""

MODELS = {each.__name__: each for each in (CABRequest, CABException, CABDecision, ChangeFreeze)}
"""What the pages show, by kind. Of an intent they show what its request repeats."""

PARTS = (
    "<script>{}</script>", '"><script>{}</script>', "'><img src=x onerror={}>", "<svg/onload={}>",
    "</textarea><script>{}</script>", "</title><script>{}</script>", "javascript:{}",
    '" onmouseover={} x="', "' autofocus onfocus={} x='", "<iframe srcdoc='<script>{}</script>'>",
    "<a href=javascript:{}>x</a>", "<math><mtext><script>{}</script>", "{{{{ {} }}}}",
    "<details open ontoggle={}>", "<body onload={}>", "<style>*{{background:url(x)}}</style>{}",
    "<div hx-on:load={}></div>", "<div hx-get=/ hx-trigger='load[{}]'></div>",
    "<div hx-vals='js:{{a:{}}}' hx-get=/ hx-trigger=load></div>", "https://x/<script>{}</script>",
)  # fmt: skip


class Serving:
    """The page on a port, in a thread."""

    def __init__(self):
        self.api = FakeApi()
        self.session = Session()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listening.getsockname()[1]}"
        app = create_page(self.api, self.session, self.host, lambda: NOW)
        self.server = Server(uvicorn.Config(app, **COMMON))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        asyncio.run(self.server.serve([self.listening]))

    def close(self):
        self.server.should_exit = True
        self.thread.join(60)
        self.listening.close()

    def url(self, path):
        return f"http://{self.host}{self.session.base}{path}"

    def entry(self):
        """Opens the page, once for each browser: the key is good once, so it is made anew."""
        self.session._key = "again"
        return f"http://{self.host}{self.session.base}/?key=again"

    def put(self, gate, evidence, name, text="Two more retries, and a longer timeout"):
        """A request that waits, of an intent, and its path."""
        wanted = intent(
            evidence,
            [target(name, f"registry.example.com/shop/{name}:1.4.2")],
            name=name,
            summary=text,
            correlation_id="CHG-4711",
        )
        found = request(gate, of=wanted)
        made = as_stored("CABRequest", found)
        made["spec"]["submittedBy"] = [SUBMITTER]
        made["status"] = {}
        self.api.put("cabrequests", made)
        self.api.put("deploymentintents", as_stored("DeploymentIntent", wanted))
        return found, f"/requests/{found.metadata.namespace}.{found.metadata.name}"


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
    """Makes pages of contexts that have opened the page."""
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
    made = as_stored("CABException", exception(bad))
    made["spec"]["submittedBy"] = [SUBMITTER]
    serving.api.put("cabexceptions", made)
    meta = made["metadata"]
    return first, f"/exceptions/{meta['namespace']}.{meta['name']}"


def put_freezes(api):
    """A freeze that holds, one that comes, and a window, with titles as long as they may be."""
    labels = {"cabgate.dev/change-policy": "board", "cabgate.dev/ring": "2"}
    meta = {"name": "shop", "labels": labels}
    api.objects["/api/v1/namespaces/shop"] = {"kind": "Namespace", "metadata": meta}
    for each in (
        freeze("christmas", title="Christmas " * 12),
        freeze("stocktaking", interval(3 * DAY, 5 * DAY), title="Stocktaking"),
        freeze("office", interval(-DAY, 9 * DAY), kind="Window", title="Officehours" * 11),
    ):
        api.objects[f"{OURS}/changefreezes/{each['metadata']['name']}"] = each


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_violates_wcag(serving, opened, shop, scheme):
    page = opened(color_scheme=scheme, viewport={"width": 320, "height": 800})
    done, approved = serving.put("ManualReview", MIDDLING, "basket-2")
    for obj in serving.api.objects.values():
        if obj["metadata"]["name"] == done.metadata.name:
            entries = numbered([by_person("Approved")], done.spec.evidence_digest)
            obj["status"] = {"decisions": entries}
    page.goto(serving.url(approved))
    page.get_by_label("these images").check()
    put_freezes(serving.api)
    pages = ("/calendar", "/calendar?namespace=gone", "/ledger", "/dashboard", "/nothing")
    for path in ("/queue", approved, *shop, *pages):
        page.goto(serving.url(path))
        for each in page.locator("details").all():
            each.evaluate("each => each.open = true")
        assert violations(page) == [], path
        assert not too_wide(page), path
    assert page.problems == []


def test_three_clicks_from_what_waits_to_a_decision_without_javascript(serving, opened, shop):
    page = opened(java_script_enabled=False)
    assert "Waiting for a decision" in page.inner_text("h1")
    page.get_by_role("link", name="checkout").click()
    page.get_by_label("Why").click()
    page.keyboard.type("The scan is explained")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url("**recorded=Approved")
    assert sum(1 for method, _ in serving.api.calls if method == "PATCH") == 1


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
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert page.url == serving.url(shop[0])
    assert [each for each in serving.api.calls if each[0] == "PATCH"] == []


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
    assert [each for each in serving.api.calls if each[0] == "PATCH"] == []


def payloads():
    for number in range(PAYLOADS):
        yield PARTS[number % len(PARTS)].format(f"window.ran={number + 1}")


@pytest.fixture
def shown(serving):
    """Objects of every page, each with the paths of the fields that take a text; and the pages."""
    conditions = [{"name": "watch", "description": "Watch it"}]
    entry = by_person("ConditionallyApproved", conditions=conditions)
    made, path = serving.put("ManualReview", MIDDLING, "checkout")
    bad, _ = serving.put("ExceptionRequired", BAD, "basket")
    asked = exception(bad)
    serving.api.put("cabexceptions", as_stored("CABException", asked))
    put_freezes(serving.api)
    decided = f"/requests/{made.metadata.namespace}.{made.metadata.name}-decided"
    objects = serving.api.objects
    for where, obj in list(objects.items()):
        if obj["metadata"]["name"] == made.metadata.name and obj["kind"] == "CABRequest":
            again = copy.deepcopy(obj)
            again["metadata"]["name"] += "-decided"
            again["status"] = {"decisions": numbered([entry], made.spec.evidence_digest)}
            objects[f"{where}-decided"] = again
    for record in fresh().records:
        objects[f"{OURS}/cabdecisions/{record['metadata']['name']}"] = record
    longest = max(map(len, payloads())) * "<"
    fields = {
        where: fields_for(obj, MODELS[obj["kind"]], longest)
        for where, obj in objects.items()
        if obj.get("kind") in MODELS
    }
    of_exception = f"/exceptions/{asked.metadata.namespace}.{asked.metadata.name}"
    workload = "/workload?namespace=shop&workload="
    return dict(objects), fields, (of_exception, decided, "/ledger", "/calendar", workload, path)


def test_nothing_that_teams_write_runs(serving, opened, shown):
    page = opened()
    objects, fields, pages = shown
    kinds = {objects[where]["kind"] for where, paths in fields.items() if paths}
    assert kinds == set(MODELS)
    for text in payloads():
        for where, paths in fields.items():
            serving.api.objects[where] = filled(objects[where], paths, text)
        for each in ("/queue", *pages):
            page.goto(serving.url(each + (quote(text) if each.endswith("=") else "")))
            assert page.evaluate("window.ran") is None, (each, text)
            assert "cannot be read by this version" not in page.inner_text("main"), each
        page.get_by_label("Why").fill(text)
        page.locator("input[name=digest]").evaluate("each => each.value = 'stale'")
        with page.expect_navigation():
            page.get_by_role("button", name="Reject").click()
        assert page.evaluate("window.ran") is None, text
        assert page.get_by_label("Why").input_value() == text
    assert page.problems == []
