# SPDX-License-Identifier: Apache-2.0
"""What bounds the portal, whatever clients send and however the API server answers."""

import asyncio
import json
from pathlib import Path

import pytest

from cabgate_kube.resources import INTENTS, REQUESTS
from cabgate_kube.transport import AnswerTooLarge, ConnectionFailed, HttpAnswer
from cabgate_portal import client
from cabgate_portal.client import LISTS_AT_A_TIME, Caller, Room
from cabgate_portal.limits import Waits
from cabgate_portal.main import STOP_SECONDS
from cabgate_portal.problems import Problem
from cabgate_portal.tokens import Token
from support.waiting import until
from unit.portal.fake_api import OURS, FakeApi, status
from unit.portal.portals import Made, manifest, stored

READY = {"type": "Ready", "status": "True", "message": "approved", "reason": "Approved",
         "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
STATUS = "/status?namespace=shop&intent=checkout"


@pytest.fixture
def made():
    return Made()


@pytest.fixture
async def waiting(made):
    """A portal whose intent is not decided, and what decides it."""
    await made.call("POST", "/submit", json=manifest())
    (path,) = made.api.objects

    def decide():
        made.api.objects[path]["status"] = {"observedGeneration": 1, "conditions": [READY]}

    return made, decide


async def looked(made):
    """Until a call waits: it has looked several times."""
    before = len(made.api.calls)
    await until(lambda: len(made.api.calls) > before + 2, "the call looks again")


JSON = {"Content-Type": "application/json"}
TEXT = json.dumps(manifest())
TWICE = (
    TEXT.replace('"kind"', '"kind": "CABException", "kind"', 1),
    TEXT.replace('"name"', '"name": "other", "name"', 1),
    TEXT.replace('"summary"', '"summary": "a", "summary"', 1)
    if '"summary"' in TEXT
    else TEXT.replace('"spec": {', '"spec": {"summary": "a", "summary": "b", ', 1),
    TEXT.replace('"name"', '"n\\u0061me": "other", "name"', 1),
)


@pytest.mark.parametrize("text", TWICE)
async def test_no_key_stands_twice(made, text):
    answer = await made.call("POST", "/submit", content=text, headers=JSON)
    assert answer.status_code == 400
    assert "twice" in answer.json()["detail"]
    assert made.api.calls == []


@pytest.mark.parametrize(
    "encoding",
    ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig"],
)
async def test_a_body_is_utf_8(made, encoding):
    answer = await made.call("POST", "/submit", content=TEXT.encode(encoding), headers=JSON)
    assert answer.status_code == 400
    assert made.api.calls == []


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "[" * 70 + "]" * 70, "1" * 5000, "1e999", "[-1e999]"],
)
async def test_a_value_is_one_of_json_and_not_deep(made, value):
    text = TEXT.replace('"spec": {', f'"spec": {{"x": {value}, ', 1)
    answer = await made.call("POST", "/submit", content=text, headers=JSON)
    assert answer.status_code == 400
    assert made.api.calls == []


async def test_nothing_that_is_no_json_is_applied(made):
    with pytest.raises(ValueError, match="JSON"):
        await Caller(made.api, Token("a")).apply(
            INTENTS, "shop", "web", {"spec": {"x": float("inf")}}, dry_run=False
        )
    assert made.api.calls == []


async def test_without_a_token_no_body_is_waited_for(made):
    async def never():
        yield b"{"
        await asyncio.sleep(3600)

    answer = await made.call("POST", "/submit", token="", content=never(), headers=JSON)
    assert answer.status_code == 401
    for method, path in (
        *((method, "/pending") for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "X")),
        ("GET", "/api"),
        ("POST", "/api"),
        ("GET", "/submit"),
    ):
        for headers in (JSON, {**JSON, "Content-Length": "200000"}):
            answer = await made.call(method, path, token="", content=never(), headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "NoBodyHere")
            assert answer.headers["connection"] == "close"
    assert (await made.call("GET", "/pending", headers={"Content-Length": "0"})).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        HttpAnswer(429, status(429, "TooManyRequests", "later")),
        HttpAnswer(503, status(503, "ServiceUnavailable", "later")),
        HttpAnswer(504, status(504, "Timeout", "later")),
        ConnectionFailed("closed"),
        TimeoutError(),
    ],
)
async def test_who_waits_is_not_told_of_a_fault_that_passes(waiting, fault):
    made, decide = waiting
    call = asyncio.ensure_future(made.call("GET", f"{STATUS}&wait=30"))
    await looked(made)
    made.api.answers = [fault]
    await until(lambda: not made.api.answers, "the fault came")
    decide()
    answer = await call
    assert (answer.status_code, answer.json()["outcome"]) == (200, "approved")
    assert made.api.answers == []


@pytest.mark.slow
async def test_one_that_stays_is_told(waiting):
    made, _ = waiting
    call = asyncio.ensure_future(made.call("GET", f"{STATUS}&wait=30"))
    await looked(made)
    made.api.answers = [ConnectionFailed("closed")] * 1000
    assert (await call).status_code == 503


@pytest.mark.parametrize("code", [401, 403, 404])
async def test_one_that_does_not_pass_is_told_at_once(waiting, code):
    made, _ = waiting
    call = asyncio.ensure_future(made.call("GET", f"{STATUS}&wait=30"))
    await looked(made)
    made.api.answers = [HttpAnswer(code, status(code, "R", "no"))]
    assert (await call).status_code == code


async def test_no_more_wait_than_there_is_room_for(waiting):
    made, decide = waiting
    object.__setattr__(made.portal, "waits", Waits(1))
    first = asyncio.ensure_future(made.call("GET", f"{STATUS}&wait=30"))
    await looked(made)
    second = await made.call("GET", f"{STATUS}&wait=30")
    assert (second.status_code, second.json()["code"]) == (503, "Busy")
    assert second.headers["retry-after"]
    submitted = await made.call("POST", "/submit?wait=30", json=manifest())
    assert submitted.status_code == 200
    assert "recorded" in submitted.json()["notes"][0]
    assert (await made.call("GET", STATUS)).status_code == 200
    decide()
    assert (await first).json()["outcome"] == "approved"
    assert (await made.call("GET", f"{STATUS}&wait=30")).status_code == 200


async def test_nobody_waits_for_a_portal_that_stops(waiting):
    made, _ = waiting
    stopping = []
    object.__setattr__(made.portal, "stopping", lambda: bool(stopping))
    call = asyncio.ensure_future(made.call("GET", f"{STATUS}&wait=30"))
    await looked(made)
    stopping.append(True)
    assert (await call).json()["outcome"] == "open"


async def test_who_is_gone_is_no_longer_waited_for(waiting):
    made, _ = waiting
    gone = asyncio.Event()
    events = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if events:
            return events.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_event):
        pass

    path, _, query = f"/api/cab/v1{STATUS}&wait=60".partition("?")
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": query.encode(),
        "headers": [(b"authorization", b"Bearer a")], "http_version": "1.1", "scheme": "https",
        "server": ("portal", 443), "client": ("c", 1), "root_path": "", "raw_path": path.encode(),
    }  # fmt: skip
    call = asyncio.ensure_future(made.app(scope, receive, send))
    await looked(made)
    assert not call.done()
    gone.set()
    await asyncio.wait_for(call, 10)


def listed(size, further=""):
    """A page of a list with one object of some size."""
    obj, _ = stored()
    obj["metadata"]["annotations"] = {"x": "y" * size}
    page = {"items": [obj], "metadata": {"continue": further}}
    return HttpAnswer(200, json.dumps(page).encode())


async def test_a_list_is_bounded_by_its_bytes(made, monkeypatch):
    monkeypatch.setattr(client, "MAX_LIST_BYTES", 100_000)
    made.api.answers = [listed(60_000, "a"), listed(60_000, "b"), listed(60_000)]
    caller = Caller(made.api, Token("a"))
    with pytest.raises(Problem, match="TooMuch"):
        await caller.all(REQUESTS)
    made.api.answers = [AnswerTooLarge("too large")] * 9
    with pytest.raises(Problem, match="TooMuch"):
        await caller.all(REQUESTS)
    made.api.answers = [AnswerTooLarge("too large")]
    with pytest.raises(Problem, match="TooMuch"):
        await caller.page(REQUESTS, limit=10)


async def test_all_lists_share_a_room_and_give_it_back(made):
    object.__setattr__(made.portal, "room", Room(100_000))
    caller = Caller(made.api, Token("a"), room=made.portal.room)
    made.api.answers = [listed(60_000)]
    await caller.all(REQUESTS)
    made.api.answers = [listed(60_000)]
    answer = await made.call("GET", "/requests")
    assert (answer.status_code, answer.json()["code"]) == (503, "Busy")
    caller.let_go()
    for _ in range(3):
        made.api.answers = [listed(60_000)]
        assert (await made.call("GET", "/requests")).status_code == 200
    assert made.portal.room.left == 100_000


async def test_who_gets_no_turn_for_a_list_is_told_so(made):
    api = LateLists(set())
    object.__setattr__(made.portal, "connections", api)
    object.__setattr__(made.portal, "room", Room(10_000_000, turn_seconds=0.01))
    first = [asyncio.ensure_future(made.call("GET", "/requests")) for _ in range(LISTS_AT_A_TIME)]
    await until(lambda: len(api.calls) == LISTS_AT_A_TIME, "the first are under way")
    for _ in range(2):
        answer = await made.call("GET", "/requests")
        assert (answer.status_code, answer.json()["code"]) == (503, "Busy")
        assert answer.headers["retry-after"]
    api.late.set()
    assert [(await each).status_code for each in first] == [200] * LISTS_AT_A_TIME
    assert (await made.call("GET", "/requests")).status_code == 200


class LateLists(FakeApi):
    """An API server that refuses what is not a list at once, and some lists; the other lists come
    when they are let through."""

    def __init__(self, refused):
        super().__init__()
        self.refused = refused
        self.late = asyncio.Event()
        self.came = 0

    async def call(self, method, target, **options):
        answer = await super().call(method, target, **options)
        plural = target.partition("?")[0].rsplit("/", 1)[-1]
        if plural in self.refused:
            return HttpAnswer(429, status(429, "TooManyRequests", "later"))
        if plural in ("cabrequests", "cabexceptions"):
            await self.late.wait()
            self.came += 1
            return listed(60_000)
        return answer


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/pending", "selfsubjectreviews"),
        ("/pending", "cabrequests"),
        ("/pending", "cabexceptions"),
        ("/check?namespace=shop&workload=deployment/checkout&image=x:1", "cabrequests"),
        ("/check?namespace=shop&workload=deployment/checkout&image=x:1", "cabexceptions"),
        ("/shop.checkout", "cabexceptions"),
        ("/shop.checkout", "selfsubjectreviews"),
    ],
)
async def test_a_list_that_comes_after_the_answer_takes_no_room(made, path, refused):
    obj, _ = stored()
    api = LateLists({refused})
    api.objects[f"{OURS}/namespaces/shop/cabrequests/checkout"] = obj
    api.objects["/api/v1/namespaces/shop"] = {"metadata": {"name": "shop"}}
    object.__setattr__(made.portal, "connections", api)
    object.__setattr__(made.portal, "room", Room(100_000))
    for _ in range(3):
        answer = await made.call("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (429, "TooManyRequests")
    api.late.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert made.portal.room.left == 100_000
    api.refused = set()
    api.came = 0
    assert (await made.call("GET", "/requests")).status_code == 200
    assert api.came == 1


async def test_who_is_closed_takes_no_room(made):
    api, room = LateLists(set()), Room(100_000)
    caller = Caller(api, Token("a"), room=room)
    reading = asyncio.ensure_future(caller.all(REQUESTS))
    await until(lambda: api.calls, "the list is asked for")
    caller.close()
    api.late.set()
    with pytest.raises(RuntimeError, match="after the call"):
        await reading
    assert room.left == 100_000


@pytest.mark.parametrize(
    "path",
    ["/pending", "/my-requests", "/requests?limit=500", "/shop.r0",
     "/check?namespace=shop&workload=deployment/checkout&image=x:1"],
)  # fmt: skip
async def test_others_have_their_turn_while_a_long_list_is_read(made, path):
    obj, _ = stored()
    made.api.objects["/api/v1/namespaces/shop"] = {"metadata": {"name": "shop"}}
    for number in range(1500):
        made.api.put("cabrequests", {**obj, "metadata": {**obj["metadata"], "name": f"r{number}"}})
    turns, since = 0, 0
    call, api_call = asyncio.ensure_future(made.call("GET", path)), made.api.call

    async def noting(method, target, **options):
        nonlocal since
        if target.partition("?")[0].endswith("/cabrequests"):
            since = turns
        return await api_call(method, target, **options)

    made.api.call = noting
    while not call.done():
        turns += 1
        await asyncio.sleep(0)
    assert (await call).status_code == 200
    # One for each hundred.
    assert turns - since >= 15


def test_a_portal_that_stops_gives_each_write_its_time():
    assert STOP_SECONDS > client.WRITE_SECONDS >= 2 * client.TIMEOUT_SECONDS
    chart = Path(__file__).parents[3] / "charts/cabgate/templates/portal/deployment.yaml"
    [line] = [each for each in chart.read_text().splitlines() if "GracePeriod" in each]
    pause, beside = 5, int(line.split()[-2])
    assert f"add {pause} " in line
    assert beside >= STOP_SECONDS
