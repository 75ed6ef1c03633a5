# SPDX-License-Identifier: Apache-2.0
"""Who gets the page, and what others on the machine, or pages elsewhere, get of it."""

import hashlib
from pathlib import Path

import pytest

from cabgate_portal.page import pages, rendering
from cabgate_samples.models import intent
from cabgate_samples.objects import MIDDLING
from unit.portal.page.opened import HOST, OWN, Opened, put_waiting

HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""SHA-256 of dist/htmx.min.js of the npm package htmx.org 2.0.11."""


@pytest.fixture
async def opened():
    return await Opened().open()


async def test_a_key_is_good_once():
    made = Opened()
    entry = made.session.entry()
    wrong = await made.browser().get(f"{made.session.base}/?key=wrong")
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    first = await made.browser().get(entry)
    assert first.status_code == 303
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert f"Path={made.session.base}/;" in cookie
    again = await made.browser().get(entry)
    assert again.status_code == 401
    assert "set-cookie" not in again.headers
    assert "Ctrl-C" in again.text


@pytest.mark.parametrize("cookie", ["", "cabgate-ui=", "cabgate-ui=x", "x=y", "cabgate-ui=\xff;;"])
async def test_nothing_is_read_without_the_cookie(opened, cookie):
    other = opened.browser()
    for path in ("/queue", "/", "/static/page.css", opened.path, "/ledger", "/nothing"):
        answer = await other.get(
            opened.session.base + path, headers={"Cookie": cookie.encode("latin-1")}
        )
        assert answer.status_code == 401
        assert opened.object["metadata"]["name"] not in answer.text
    for path in ("/", "/queue", "/static/page.css", f"/{'x' * 22}/queue"):
        assert (await opened.client.get(path)).status_code == 401
    assert opened.api.calls == []


@pytest.mark.parametrize(
    "host", ["localhost:4711", "127.0.0.1", "evil.example:4711", "127.0.0.1:4711.evil.example", ""]
)
async def test_another_name_of_this_address_is_refused(opened, host):
    answer = await opened.get("/queue", headers={"Host": host})
    assert answer.status_code == 421
    assert opened.api.calls == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:4712"},
        {"Origin": f"https://{HOST}"},
    ],
)
async def test_a_form_of_another_page_is_refused(opened, headers):
    fields = await opened.form()
    count = len(opened.api.calls)
    typed = {**fields, "rationale": "x1", "verb": "approve"}
    answer = await opened.post(typed, headers=headers)
    assert (answer.status_code, len(opened.api.calls)) == (403, count)
    assert (await opened.post(typed)).status_code == 303


async def test_a_form_that_no_browser_sent_is_refused(opened):
    typed = {**await opened.form(), "rationale": "x1", "verb": "approve"}
    assert (await opened.post(typed, headers={})).status_code == 403
    for name, value in OWN.items():
        twice = [(name, value), (name, "http://evil.example")]
        assert (await opened.post(typed, headers=twice)).status_code == 403
    assert not [each for each in opened.api.calls if each[0] == "PATCH"]
    for name, value in OWN.items():
        assert (await opened.post(typed, headers={name: value})).status_code == 303


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_nobody_learns_the_path_who_does_not_hold_the_cookie(opened, method):
    """Whoever knows it listens on another port, and is sent the cookie."""
    base, place = opened.session.base, opened.session.place
    paths = ("/", "/queue", "/?key=wrong", f"{base}/?key=wrong", f"{base}/queue", f"{base}/nothing")
    headers = (
        {}, {"Host": "evil.example"}, {"Host": "localhost:4711"}, {"Cookie": "cabgate-ui=x"},
        {**OWN, "Host": HOST}, {"Accept": "application/json", "HX-Request": "true"},
    )  # fmt: skip
    for path in paths:
        for each in headers:
            answer = await opened.browser().request(method, path, headers=each)
            assert answer.status_code in (401, 421)
            assert place not in answer.text
            assert place not in str(answer.headers)
    # Its own browser, by another name: whoever that leads to.
    answer = await opened.get("/queue", headers={"Host": "evil.example"})
    assert place not in answer.text + str(answer.headers)
    elsewhere = await opened.client.get("/queue")
    assert elsewhere.status_code == 401
    assert place not in elsewhere.text + str(elsewhere.headers)


@pytest.mark.parametrize(
    "others",
    [
        'x="a b', "{json}=1", "a b=1", "x[]=1", "caf\u00e9=1", "=1", "x", "a=b=c",
        "cabgate-ui=stale", "$Version=1; x=(1)", "expires=Thu, 01 Jan", "cabgate-ui",
    ],
)  # fmt: skip
async def test_cookies_of_other_programs_lock_nobody_out(opened, others):
    own = f"cabgate-ui={opened.session._cookie}"
    for cookie in (f"{others}; {own}", f"{own}; {others}", f"{others};{own};{others}"):
        answer = await opened.browser().get(
            f"{opened.session.base}/queue", headers={"Cookie": cookie.encode()}
        )
        assert answer.status_code == 200, cookie
    answer = await opened.browser().get(
        f"{opened.session.base}/queue", headers={"Cookie": others.encode()}
    )
    assert answer.status_code == 401


async def test_a_form_without_its_token_is_refused(opened):
    fields = await opened.form()
    typed = {**fields, "rationale": "x1", "verb": "approve"}
    for token in ("", "x", fields["form_token"][:-1]):
        assert (await opened.post({**typed, "form_token": token})).status_code == 403
    typed.pop("form_token")
    assert (await opened.post(typed)).status_code == 403
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = await opened.client.post(
            opened.session.base + opened.path,
            content=b"a=b",
            headers={**OWN, "Content-Type": kind},
        )
        assert answer.status_code == 415
    twice = {**typed, "form_token": fields["form_token"], "digest": [fields["digest"], "x"]}
    assert (await opened.post(twice)).status_code == 400
    large = {**fields, "rationale": "x" * 600_000, "verb": "approve"}
    assert (await opened.post(large)).status_code == 413
    assert not [each for each in opened.api.calls if each[0] == "PATCH"]


async def test_only_get_and_post_are_served(opened):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = await opened.client.request(method, opened.session.base + opened.path)
        assert answer.status_code == 405
    assert opened.api.calls == []


async def test_browsers_are_told_to_run_nothing_else(opened):
    for path in ("/queue", opened.path, "/nothing", "/static/page.css"):
        answer = await opened.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert " style=" not in answer.text
        assert "<script>" not in answer.text
        assert "https://" not in answer.text.replace("https://example.com", "")


async def downloaded(opened, path):
    """The bytes of an answer on their way to a browser."""
    answer = await opened.get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    return answer.num_bytes_downloaded


async def test_a_page_and_all_that_it_needs_are_under_120_kb(opened):
    """Also the queue where two hundred requests wait."""
    static = [await downloaded(opened, f"/static/{name}") for name in pages.STATIC]
    assert sum(static) + await downloaded(opened, opened.path) < 120_000
    for number in range(1, 200):
        put_waiting(opened.api, intent(MIDDLING, name=f"web-{number}", summary="Two more retries"))
    page = await opened.get("/queue")
    assert page.text.count('class="card row') == 200
    assert sum(static) + await downloaded(opened, "/queue") < 120_000


async def test_no_page_is_compressed(opened):
    """It holds the token of its forms, and what others wrote."""
    for path in ("/queue", opened.path, "/nothing", "/queue/rows"):
        answer = await opened.get(path, headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in answer.headers


def test_htmx_is_the_published_one():
    content = Path(rendering.FOLDER / "static" / "htmx.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == HTMX


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "</textarea><script>alert(1)</script>",
    "javascript:alert(1)",
    "\u202egpj.exe",
    "https://evil.example/\"onclick='x'",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_teams_write_is_text(text):
    opened = await Opened(summary=text).open()
    for path in ("/queue", opened.path):
        found = (await opened.get(path)).text
        for part in ("<script>alert", "<img", "onerror=alert(1)>", "<svg onload", "\u202e", "49"):
            assert part not in found or part == "49", (path, part)
        assert 'href="javascript' not in found
    fields = await opened.form()
    answer = await opened.post({**fields, "digest": "x", "rationale": text, "verb": text})
    assert answer.status_code == 409
    assert "<script>alert" not in answer.text
    assert 'value="' + text not in answer.text


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("uri https://example.com/a?b=1&c=2", "https://example.com/a?b=1&amp;c=2"),
        ("http://example.com", "http://example.com"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("https:///nothing", None),
        ("https://[", None),
        ("https://good.example\\@evil.example", None),
        ("xhttps", None),
    ],
)
def test_addresses_are_links_only_where_they_are_of_the_web(text, href):
    found = str(rendering.linked(text))
    if href is None:
        assert "<a" not in found
    else:
        assert f'<a href="{href}" rel="noopener noreferrer"' in found


async def test_what_was_typed_is_shown_where_the_form_itself_is_refused(opened):
    typed = {**await opened.form(), "rationale": "typed for <an> hour", "verb": "approve"}
    for wrong in ({"form_token": "old"}, {f"field{number}": "x" for number in range(3000)}):
        answer = await opened.post({**typed, **wrong})
        assert answer.status_code in (400, 403)
        assert "typed for &lt;an&gt; hour" in answer.text
        assert "<form" not in answer.text.partition("What you typed")[2]
    assert not [each for each in opened.api.calls if each[0] == "PATCH"]


async def test_too_many_forms_at_once_are_told_as_that(opened, monkeypatch):
    fields = await opened.form()
    monkeypatch.setattr(opened.app._forms._bodies, "_together", 10)
    answer = await opened.post({**fields, "rationale": "x1", "verb": "approve"})
    assert answer.status_code == 503
    assert "Too much at once" in answer.text
    assert "API server" not in answer.text


async def test_a_fault_tells_nobody_the_path(opened, monkeypatch):
    def fault(_key):
        raise RuntimeError("a bug")

    monkeypatch.setattr(opened.session, "exchange", fault)
    for browser in (opened.browser(), opened.client):
        answer = await browser.get(f"{opened.session.base}/?key=wrong")
        assert answer.status_code == 500
        assert "a bug of cabgate" in answer.text
        assert opened.session.place not in answer.text + str(answer.headers)
