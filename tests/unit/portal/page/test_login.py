# SPDX-License-Identifier: Apache-2.0
"""Signing in to the page in the cluster: what is let in, what each sees, and who tries to be
somebody else."""

import logging
from datetime import timedelta
from http import HTTPStatus

import pytest

from cabgate_kube.transport import HttpAnswer
from support.issuer import ES256, RS256, text_of
from unit.portal.fake_api import status
from unit.portal.page.signing_in import (
    ORIGIN,
    OWN,
    SignIns,
    held,
    issuer_of,
    signed_in,
    with_cookies,
)

CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}


async def test_somebody_signs_in_and_decides_with_their_own_token(made):
    browser = made.browser()
    closed = await browser.get(f"{made.path}?x=1")
    assert closed.status_code == 401
    assert 'href="/oidc/login?next=' in closed.text
    await made.sign_in(browser=browser, place=made.path)
    fields = await made.form(browser)
    typed = {**fields, "rationale": "Read the report", "verb": "approve"}
    answer = await browser.post(made.path, data=typed, headers=OWN)
    assert (answer.status_code, len(made.sent())) == (303, 1)
    assert set(made.api.tokens) == {made.api.tokens[0]}
    assert made.api.tokens[0].startswith("Bearer ey")
    assert made.api.wrong == []


async def test_pkce_state_and_nonce_are_new_each_time(made):
    for _ in range(2):
        await made.begin(made.browser())
    first, second = made.issuer.asked
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]
    assert first["code_challenge_method"] == "S256"
    assert first["redirect_uri"] == f"{ORIGIN}/oidc/callback"


def tokens(issuer, other, tmp):
    """Tokens that sign nobody in, each by a function of the nonce."""

    def no_algorithm(nonce):
        head = text_of(b'{"alg":"none","typ":"JWT"}')
        return f"{head}.{issuer.token('rita', nonce=nonce).split('.')[1]}."

    def other_claims(nonce):
        head, _, signature = issuer.token("rita", nonce=nonce).split(".")
        return f"{head}.{issuer.token('root', nonce=nonce).split('.')[1]}.{signature}"

    return {
        "of another audience": lambda n: issuer.token("rita", nonce=n, audience="elsewhere"),
        "of several audiences, for another party": lambda n: issuer.token(
            "rita", nonce=n, audience=["cabgate", "b"], azp="b"
        ),
        "of another issuer": lambda n: other.token("rita", nonce=n),
        "in another issuer's name": lambda n: issuer.token("rita", nonce=n, iss=other.url),
        "expired": lambda n: issuer.token("rita", nonce=n, seconds=-60),
        "not yet": lambda n: issuer.token("rita", nonce=n, nbf=4_000_000_000),
        "of another sign-in": lambda _: issuer.token("rita", nonce="another"),
        "of no sign-in": lambda _: issuer.token("rita"),
        "by another key": lambda n: issuer.token("rita", nonce=n, key=RS256()),
        "by a key of another kind": lambda n: issuer.token("rita", nonce=n, key=ES256()),
        "with no algorithm": no_algorithm,
        "with other claims": other_claims,
        "without a subject": lambda n: issuer.token(None, nonce=n),
        "no token": lambda _: "x",
        "nothing": lambda _: None,
        "a number": lambda _: 7,
        "endless": lambda _: "e" * 40_000,
    }


async def test_no_other_token_signs_anybody_in(made, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    other, _ = issuer_of(tmp_path)
    for why, give in tokens(made.issuer, other, tmp_path).items():
        given = []
        made.issuer.give = lambda nonce, give=give, given=given: (
            given.append(give(nonce)) or given[0]
        )
        browser = made.browser()
        answer = await browser.get(await made.begin(browser))
        assert answer.status_code in (400, 502), why
        assert "IssuerFailed" in answer.text, why
        assert held(browser) == {}, why
        assert not await signed_in(browser), why
        assert str(given[0]) not in answer.text or given[0] in ("x", None, 7), why
    assert made.api.calls == []  # none was ever shown to the API server


async def test_a_token_that_the_api_server_does_not_take_is_told_as_that(made):
    browser = made.browser()
    back = await made.begin(browser)
    made.api.answers.append(HttpAnswer(401, status(401, "Unauthorized")))
    answer = await browser.get(back)
    assert answer.status_code == 403
    for part in ("the API server does not take the token", made.issuer.url, "cabgate",
                 "--authentication-config"):  # fmt: skip
        assert part in answer.text
    assert held(browser) == {}


async def test_nobody_is_signed_in_as_anonymous(made):
    browser = made.browser()
    back = await made.begin(browser)
    info = b'{"status":{"userInfo":{"username":"x","groups":["system:unauthenticated"]}}}'
    made.api.answers.append(HttpAnswer(201, info))
    assert (await browser.get(back)).status_code == 403
    assert held(browser) == {}


async def test_a_code_and_a_state_are_nothing_in_another_browser(made):
    """Stolen on their way, or handed to somebody who is to work as another (session fixation)."""
    mine, theirs = made.browser(), made.browser()
    back, begun = await made.begin(mine), await made.begin(theirs)
    state = begun.partition("&state=")[2]
    for path in (back, f"{back.partition('&')[0]}&state={state}x", f"{back}&state={state}",
                 back.partition("&state=")[0], f"{back.partition('&')[0]}&state="):  # fmt: skip
        answer = await theirs.get(path)
        assert answer.status_code == 400, path
        assert "did not begin that sign-in" in answer.text
        assert held(theirs) == {}
    assert await signed_in(await made.sign_in(browser=theirs))
    # A code of mine with their state: PKCE has the issuer refuse it.
    again = await made.begin(theirs)
    state = again.partition("&state=")[2]
    answer = await theirs.get(f"{back.partition('&')[0]}&state={state}")
    assert "IssuerFailed" in answer.text
    assert "IssuerFailed" in (await mine.get(back)).text  # it is spent


async def test_a_code_is_good_once(made):
    browser = made.browser()
    back = await made.begin(browser)
    attempt = dict(browser.cookies)
    assert (await browser.get(back)).status_code == 200
    again = await browser.get(back)
    assert "NotBegunHere" in again.text
    # With the cookie as it was, too: the issuer takes a code once.
    answer = await with_cookies(made, attempt).get(back)
    assert "IssuerFailed" in answer.text
    assert "set-cookie" in answer.headers
    assert "cabgate-0" not in str(answer.headers)


async def test_a_sign_in_has_ten_minutes(made, clock):
    browser = made.browser()
    back = await made.begin(browser)
    clock.now += timedelta(seconds=601)
    assert "NotBegunHere" in (await browser.get(back)).text
    assert held(browser) == {}


async def test_what_the_issuer_refuses_is_told(made):
    browser = made.browser()
    back = await made.begin(browser)
    state = back.partition("&state=")[2]
    what = "error=access_denied&error_description=%3Cb%3Enot%20you%E2%80%AE"
    assert "not you" not in (await browser.get(f"/oidc/callback?{what}&state=x")).text
    answer = await browser.get(f"/oidc/callback?{what}&state={state}")
    assert answer.status_code == 403
    assert "access_denied: &lt;b&gt;not you" in answer.text
    assert "\u202e" not in answer.text


async def test_an_answer_of_another_issuer_is_refused(made):
    browser = made.browser()
    answer = await browser.get(f"{await made.begin(browser)}&iss=https://evil.example")
    assert "AnotherIssuer" in answer.text
    assert held(browser) == {}


async def test_an_expired_sign_in_loses_nothing_that_was_typed(made, clock):
    browser = await made.sign_in()
    fields = await made.form(browser)
    typed = {**fields, "rationale": "typed for <an> hour", "verb": "approve"}
    clock.now += timedelta(hours=2)
    calls = len(made.api.calls)
    shown = await browser.get(made.path)
    assert shown.status_code == 401
    assert made.path.replace("/", "%2F") in shown.text
    answer = await browser.post(made.path, data=typed, headers=OWN)
    assert (answer.status_code, len(made.api.calls)) == (401, calls)
    assert "typed for &lt;an&gt; hour" in answer.text
    assert 'href="/oidc/login?next=' in answer.text
    assert 'target="_blank"' in answer.text
    # In another tab somebody signs in, and sends what stands in this one.
    clock.now -= timedelta(hours=2)
    await made.sign_in("sam", browser)
    foreign = await browser.post(made.path, data=typed, headers=OWN)
    assert (foreign.status_code, made.sent()) == (403, [])
    await made.sign_in("rita", browser)
    sent = await browser.post(made.path, data=typed, headers=OWN)
    assert (sent.status_code, len(made.sent())) == (303, 1)


async def test_a_token_that_is_taken_no_more_loses_nothing_either(made):
    browser = await made.sign_in()
    typed = {**await made.form(browser), "rationale": "typed for an hour", "verb": "approve"}
    made.api.answers += [HttpAnswer(401, status(401, "Unauthorized"))] * 9
    answer = await browser.post(made.path, data=typed, headers=OWN)
    assert answer.status_code == 401
    assert "typed for an hour" in answer.text
    assert 'href="/oidc/login' in answer.text
    assert "kubectl auth" not in answer.text


async def test_too_many_calls_lose_nothing_either(served, clock):
    made = SignIns(*served, clock, per_second=0.001)
    browser = await made.sign_in()
    typed = {**await made.form(browser), "rationale": "typed for an hour", "verb": "approve"}
    await browser.get("/queue")
    answer = await browser.post(made.path, data=typed, headers=OWN)
    assert (answer.status_code, made.sent()) == (429, [])
    assert "typed for an hour" in answer.text
    assert answer.headers["retry-after"]


async def test_who_signs_out_is_out(made):
    browser = await made.sign_in()
    page = (await browser.get("/queue")).text
    assert 'action="/oidc/logout"' in page
    token = (await made.form(browser))["form_token"]
    assert (await browser.post("/oidc/logout", data={"x": ""}, headers=OWN)).status_code == 403
    assert (await browser.get("/oidc/logout")).status_code == 404
    assert await signed_in(browser)
    answer = await browser.post("/oidc/logout", data={"form_token": token}, headers=OWN)
    assert answer.status_code == 200
    assert f"{made.issuer.url}/bye" in answer.text
    assert held(browser) == {}
    assert not await signed_in(browser)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
     {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://cab.example.com"}],
)  # fmt: skip
async def test_a_form_of_another_site_is_refused(made, headers):
    browser = await made.sign_in()
    typed = {**await made.form(browser), "rationale": "x1", "verb": "approve"}
    assert (await browser.post(made.path, data=typed, headers=headers)).status_code == 403
    without = {**typed, "form_token": ""}
    assert (await browser.post(made.path, data=without, headers=OWN)).status_code == 403
    assert made.sent() == []


async def test_by_another_name_there_is_nothing(made):
    browser = await made.sign_in()
    for host in ("evil.example", "cab.example.com:8443", ""):
        assert (await browser.get("/queue", headers={"Host": host})).status_code == 421


async def test_another_site_has_nobody_sign_in(made):
    answer = await made.browser().get("/oidc/login?next=/ledger", headers=CROSS)
    assert (answer.status_code, made.issuer.asked) == (401, [])
    assert "/oidc/login?next=%2Fledger" in answer.text


async def test_a_link_from_a_mail_leads_to_the_page(made):
    """A browser keeps Strict cookies back from it: a page of ours has to ask again."""
    answer = await made.browser().get(f"{made.path}?a=1", headers=CROSS)
    assert answer.status_code == 200
    assert f'content="0; url={made.path}?a=1"' in answer.text
    again = await made.browser().get(made.path, headers={"Sec-Fetch-Site": "same-origin"})
    assert again.status_code == 401


async def test_an_issuer_that_fails_is_told_and_signs_nobody_in(made, served, clock):
    at = "/.well-known/openid-configuration"
    right = made.issuer.pages()[at]
    for wrong in (
        {**right, "issuer": "https://evil.example"},
        {**right, "authorization_endpoint": "http://127.0.0.1/auth"},
        {**right, "token_endpoint": "file:///etc/passwd"},
        {**right, "jwks_uri": 1},
        {"x": "y" * 300_000},
        [1],
    ):
        made.issuer.pages_instead = {at: wrong}
        answer = await SignIns(*served, clock).browser().get("/oidc/login")
        assert answer.status_code == 502
        assert "IssuerFailed" in answer.text
    made.issuer.pages_instead = {}
    untrusted = SignIns(served[0], None, clock)
    assert (await untrusted.browser().get("/oidc/login")).status_code == 503


async def test_nothing_is_asked_without_a_session(made):
    for path in ("/", "/queue", made.path, "/ledger", "/dashboard", "/workload", "/nothing"):
        answer = await made.browser().get(path)
        assert answer.status_code == 401
        assert "shop" not in answer.text or path == made.path
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE"):
        for path in (made.path, "/static/page.css", "/oidc/login", "/oidc/callback"):
            assert (await made.browser().request(method, path)).status_code == 401
    assert (await made.browser().get("/static/page.css")).status_code == HTTPStatus.OK
    assert made.api.calls == []


async def test_no_token_is_in_a_log_a_page_or_a_metric(made, caplog):
    caplog.set_level(logging.DEBUG)
    browser = await made.sign_in()
    token = made.api.tokens[0].removeprefix("Bearer ")
    made.api.answers.append(RuntimeError(token))
    pages = [(await browser.get(path)).text for path in ("/queue", made.path, "/ledger")]
    found = "".join([*pages, caplog.text, made.metrics.text().decode()])
    assert token not in found
    assert token.rpartition(".")[0] not in found
    assert 'operation="page"' in found
