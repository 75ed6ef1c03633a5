# SPDX-License-Identifier: Apache-2.0
"""What a browser keeps of somebody who has signed in, and where it is led."""

import pytest

from cabgate_portal.page.login import cookies, places
from cabgate_portal.page.login.sealing import Sealer, keys_of
from support.issuer import text_of
from unit.portal.page.signing_in import KEY, SignIns, held, signed_in, with_cookies


async def test_the_cookies_are_of_this_host_and_of_no_link_from_elsewhere(made):
    browser = made.browser()
    begun = await browser.get("/oidc/login")
    (attempt,) = begun.headers.get_list("set-cookie")
    assert attempt.startswith("__Host-cabgate-login=")
    assert attempt.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600")
    landed = await browser.get(await made.begin(browser))
    # Of a longer session before there may be further parts, which this request did not bring.
    session, *others, ended = landed.headers.get_list("set-cookie")
    assert [each.partition("=")[0] for each in others] == [
        f"__Host-cabgate-{n}" for n in range(1, 8)
    ]
    assert all("=; Path=/; " in each and each.endswith("Max-Age=0") for each in others)
    assert session.startswith("__Host-cabgate-0=1.")
    assert session.endswith("; Path=/; Secure; HttpOnly; SameSite=Strict")
    assert ended.startswith("__Host-cabgate-login=; ")
    assert "Domain" not in session + attempt
    # Not a redirect: that would be a part of what another site began, and bring no Strict cookie.
    assert landed.status_code == 200
    assert 'http-equiv="refresh" content="0; url=/queue"' in landed.text


async def test_a_cookie_that_was_touched_is_no_session(made):
    whole = held(await made.sign_in())
    (name,), (value,) = whole, whole.values()
    assert await signed_in(with_cookies(made, whole))
    middle = len(value) // 2
    flipped = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    for each in ("", "1.", "0.x", "2." + value[2:], "99." + value[2:], "1", value[:-1], value + "A",
                 flipped, "-1." + value[2:], "x", "\xb2." + value[2:], value[2:]):  # fmt: skip
        headers = {"Cookie": f"{name}={each}".encode()}
        answer = await made.browser().get("/queue", headers=headers)
        assert answer.status_code == 401, each
    twice = {"Cookie": f"{name}={value}; {name}=x"}
    assert (await made.browser().get("/queue", headers=twice)).status_code == 401
    # Nor is one of a sign-in, which is sealed for that alone, or one of another installation.
    browser = made.browser()
    await made.begin(browser)
    (attempt,) = browser.cookies.values()
    for sealed in (attempt, Sealer([b"x" * 32], "session").seal("{}")):
        assert not await signed_in(with_cookies(made, {name: f"1.{sealed}"}))


async def test_chunks_of_two_sessions_make_none(made):
    made.issuer.claims = {"groups": [f"group-{number:04}" for number in range(700)]}
    rita, sam = held(await made.sign_in("rita")), held(await made.sign_in("sam"))
    assert len(rita) == len(sam) > 2
    assert await signed_in(with_cookies(made, rita))
    assert await signed_in(with_cookies(made, sam))
    for name in rita:
        assert not await signed_in(with_cookies(made, {**rita, name: sam[name]}))
        missing = {key: value for key, value in rita.items() if key != name}
        assert not await signed_in(with_cookies(made, missing))
    names = list(rita)
    swapped = {**rita, names[1]: rita[names[2]], names[2]: rita[names[1]]}
    assert not await signed_in(with_cookies(made, swapped))


async def test_a_token_of_nine_kilobytes_and_a_shorter_one_after_it(made):
    made.issuer.claims = {"groups": [f"group-of-rita-{number:04}" for number in range(350)]}
    browser = await made.sign_in()
    assert 9_000 < len(made.api.tokens[-1]) < 12_000
    assert len(held(browser)) > 3
    assert all(len(name + value) <= 4000 for name, value in held(browser).items())
    assert await signed_in(browser)
    made.issuer.claims = {}
    await made.sign_in("sam", browser)
    assert len(held(browser)) == 1
    assert await signed_in(browser)


async def test_a_token_that_no_browser_sends_is_told_as_that(made):
    made.issuer.claims = {"groups": [f"group-of-rita-{number:04}" for number in range(1000)]}
    browser = made.browser()
    answer = await browser.get(await made.begin(browser))
    assert answer.status_code == 403
    assert "fewer groups" in answer.text
    assert held(browser) == {}


@pytest.mark.parametrize(
    "asked",
    [
        "https://evil.example/", "//evil.example/queue", "/\\evil.example", "\\\\evil.example",
        "/queue/../../x", "/queue\r\nSet-Cookie: a=b", "javascript:alert(1)", "/oidc/logout",
        "/oidc/login?next=/oidc/login", "/api/cab/v1/pending", "http:/queue", "///queue", "/%2Fa",
        "/queue;x", "/requests/../x", "queue", "", "?x", "/qu\teue", "/static/page.css", "x" * 2000,
        "https:///queue", "/queue@evil.example", "\u202e/queue", "//cab.example.com@evil/queue",
    ],
)  # fmt: skip
async def test_nobody_is_led_elsewhere(made, asked):
    assert places.place_of(asked) == "/queue"
    browser = made.browser()
    landed = await browser.get(await made.begin(browser, asked))
    assert 'content="0; url=/queue"' in landed.text


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("/queue?namespace=shop", "/queue?namespace=shop"),
        ("/requests/shop.web-1?recorded=Approved", "/requests/shop.web-1"),
        ("/ledger?author=a%20%22b&x=", "/ledger?author=a+%22b&x="),
        ("/exceptions/shop.leave#x", "/exceptions/shop.leave"),
    ],
)
def test_a_page_that_was_asked_for_is_gone_on_to(asked, place):
    assert places.place_of(asked) == place


async def test_replicas_share_sessions_and_a_key_can_be_changed(made, served, clock):
    browser = await made.sign_in()
    values = held(browser)
    assert await signed_in(with_cookies(SignIns(*served, clock), values))
    newer = SignIns(*served, clock, keys=(b"n" * 32, KEY))
    assert await signed_in(with_cookies(newer, values))
    assert not await signed_in(with_cookies(SignIns(*served, clock, keys=(b"n" * 32,)), values))


@pytest.mark.parametrize(
    "text", ["", "x", "a" * 44, text_of(b"k" * 31), text_of(b"k" * 64), "k" * 43 + "=\nx", "=" * 44]
)
def test_a_key_that_is_none_is_refused_and_not_repeated(text):
    with pytest.raises(ValueError, match=r"line \d is not 32 bytes|has no key") as caught:
        keys_of(text)
    assert not text.strip() or text.strip() not in str(caught.value)


def test_a_value_is_cut_and_joined():
    longest = cookies.CHUNK * cookies.MAX_CHUNKS
    for size in (1, cookies.CHUNK - 1, cookies.CHUNK, cookies.CHUNK + 1, longest):
        value = "ab"[size % 2] * size
        assert cookies.joined("x", cookies.chunks("x", value)) == value
    with pytest.raises(ValueError, match=f"over {longest}"):
        cookies.chunks("x", "a" * (longest + 1))


@pytest.mark.parametrize("count", ["", "0", "01", "9", "0013000000", "001" + "0" * 5000, "-1", "١"])
def test_a_count_that_there_cannot_be_is_no_cookie_and_costs_nothing(count):
    assert cookies.joined("x", {"x-0": f"{count}.y", "x-1": "z"}) is None


@pytest.mark.parametrize("before", ["\xa0", "\x85", "\x0b"])
def test_a_name_that_another_host_can_plant_is_not_ours(before):
    found = cookies.cookies_of([f"{before}__Host-cabgate-0=1.planted; __Host-cabgate-0=1.ours"])
    assert found["__Host-cabgate-0"] == "1.ours"
    assert "__Host-cabgate-0" not in cookies.cookies_of([f"{before}__Host-cabgate-0=1.planted"])
