# SPDX-License-Identifier: Apache-2.0
"""The portal where something fails: the API server, the way to it, or the portal itself. What is
decided is decided once or not at all, and nobody is told otherwise."""

import os
import random
import socket
import threading
import time

import httpx
import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING, intent
from support.portal import PEOPLE, UNLIMITED, People, Portal
from support.proxy import ApiProxy

KILLS = int(os.environ.get("CABGATE_PORTAL_KILLS", "5"))
MANY = 100
"""Kills of which some have to hit each moment there is."""

APPROVALS_TAKE = 0.05
"""Seconds, at the most, until an approval has gone all its way on a machine that is not busy."""


@pytest.fixture(scope="module")
def proxy(gate):
    with ApiProxy(gate.cluster) as running:
        yield running


@pytest.fixture(scope="module")
def people(gate, proxy, people_tokens):
    portal = Portal(gate.cluster, *UNLIMITED, server=f"https://127.0.0.1:{proxy.port}")
    made = People(gate, portal, {who: people_tokens[who] for who in PEOPLE})
    yield made
    made.close()
    portal.process.stop()


@pytest.fixture(scope="module")
def shop(people):
    return people.shop()


@pytest.fixture(autouse=True)
def healed(proxy):
    yield
    proxy.heal()


def decisions(people, which):
    """The decisions of a request, as the API server has them."""
    namespace, _, name = which.partition(".")
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/{namespace}/cabrequests/{name}"
    stored = people.direct("rita", "GET", path).json()
    return [(each["verdict"], each["author"]["username"])
            for each in stored.get("status", {}).get("decisions", [])]  # fmt: skip


REFUSALS = {
    401: ("Unauthorized", 401),
    409: ("Conflict", 409),
    429: ("TooManyRequests", 429),
    503: ("ServiceUnavailable", 503),
    500: ("InternalError", 502),
}


def test_a_write_that_the_api_server_refuses_is_told_as_it_is(people, proxy, shop):
    which, digest = people.submitted(shop, name="refused")
    body = {"evidenceDigest": digest, "rationale": "tried"}
    for code, (reason, answered) in REFUSALS.items():
        proxy.refuse = lambda call, code=code, reason=reason: (
            (code, reason) if call.method == "PATCH" else None
        )
        before = len(proxy.writes())
        answer = people.once("rita", "POST", f"/{which}/approve", body)
        assert answer.status_code == answered, (code, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["code"] == "OutcomeUnknown") == (code == 500)
        if code in (429, 503):
            assert answer.headers["retry-after"] == "1"
        assert len(proxy.writes()) == before + 1, "a write is never sent twice"
    proxy.heal()
    assert decisions(people, which) == []
    own = people("rita", "POST", f"/{which}/approve", {**body, "evidenceDigest": digest[:-1] + "0"
                 if digest[-1] != "0" else digest[:-1] + "1"})  # fmt: skip
    assert (own.status_code, own.json()["code"]) == (403, "DigestMismatch")
    assert people.once("rita", "POST", f"/{which}/approve", body).status_code == 200
    assert decisions(people, which) == [("Approved", "rita")]


def test_who_is_not_told_that_it_was_recorded_is_not_told_that_it_was_not(people, proxy, shop):
    which, digest = people.submitted(shop, name="cut")
    proxy.cut = lambda call: call.method == "PATCH"
    answer = people.once(
        "rita", "POST", f"/{which}/approve", {"evidenceDigest": digest, "rationale": "once"}
    )
    assert (answer.status_code, answer.json()["code"]) == (502, "OutcomeUnknown")
    proxy.heal()
    assert decisions(people, which) == [("Approved", "rita")]
    body = intent(shop, name="cut-intent", evidence=MIDDLING)
    proxy.cut = lambda call: call.method == "PATCH"
    answer = people("tess", "POST", "/submit", body)
    assert (answer.status_code, answer.json()["code"]) == (502, "OutcomeUnknown")
    proxy.heal()
    assert people("tess", "POST", "/submit", body).status_code == 200


def test_a_token_that_ends_while_a_call_waits_ends_the_call(people, proxy, shop):
    which, _ = people.submitted(shop, name="ends")
    answers = []

    def wait():
        answers.append(people.once("tess", "GET", f"/{which}?wait=60"))

    thread = threading.Thread(target=wait)
    before = len(proxy.calls)
    thread.start()
    wait_until(lambda: len(proxy.calls) > before + 8, "the call waits")
    proxy.refuse = lambda call: (401, "Unauthorized")
    thread.join(60)
    assert answers[0].status_code == 401
    assert answers[0].headers["www-authenticate"] == "Bearer"


@pytest.mark.long
def test_who_is_slow_is_waited_for_as_long_as_there_is_time(people, proxy, shop):
    """The API server and a client, too slow and slow enough."""
    which, digest = people.submitted(shop, name="slow")
    proxy.delay = 1.0
    assert people("rita", "GET", f"/{which}").status_code == 200
    proxy.heal()
    proxy.hang = lambda call: True
    answers = {}

    def call(method, path, body=None):
        answers[method] = people.once("rita", method, path, body)

    threads = [
        threading.Thread(target=call, args=("GET", f"/{which}")),
        threading.Thread(
            target=call,
            args=("POST", f"/{which}/take", {"evidenceDigest": digest}),
        ),
    ]
    for thread in threads:
        thread.start()
    assert slow_body(people) == b"HTTP/1.1 408"
    for thread in threads:
        thread.join(60)
    assert (answers["GET"].status_code, answers["GET"].json()["code"]) == (
        503, "ApiServerUnavailable"
    )  # fmt: skip
    assert answers["GET"].headers["retry-after"]
    assert (answers["POST"].status_code, answers["POST"].json()["code"]) == (502, "OutcomeUnknown")
    assert people.portal.health("/readyz").status_code == 200


def slow_body(people):
    """What is answered to who sends the head of a call, and then a byte of its body."""
    head = (
        "POST /api/cab/v1/submit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {people.tokens['tess']}\r\nContent-Length: 1000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", people.portal.port), timeout=60) as connection:
        connection.sendall(head.encode() + b"{")
        return connection.recv(12)


def test_a_portal_killed_within_an_approval_decides_once_or_not_at_all(gate, people_tokens):
    """Killed at any moment of it; whoever was not answered reads, and sends it again where nothing
    was recorded. `make test-portal` kills two hundred times."""
    portal = Portal(gate.cluster, *UNLIMITED)
    people = People(gate, portal, {who: people_tokens[who] for who in PEOPLE})
    shop = people.shop()
    chosen = random.Random(7)  # noqa: S311 - moments, no secret
    seen = set()
    for number in range(KILLS):
        which, digest = people.submitted(shop, name=f"killed-{number}")
        answers = []

        def approve(which=which, digest=digest, answers=answers):
            body = {"evidenceDigest": digest, "rationale": "once"}
            try:
                answers.append(people.once("rita", "POST", f"/{which}/approve", body).status_code)
            except httpx.TransportError:
                answers.append(None)

        thread = threading.Thread(target=approve)
        thread.start()
        time.sleep(chosen.uniform(0, APPROVALS_TAKE))
        portal.process.kill()
        thread.join(60)
        portal.start()
        found = decisions(people, which)
        if answers == [200]:
            assert found, "what was answered is recorded"
        seen.add((answers[0], bool(found)))
        if not found:
            body = {"evidenceDigest": digest, "rationale": "again"}
            again = people("rita", "POST", f"/{which}/approve", body)
            # The first may have been on its way through the webhook still.
            assert again.status_code == 200 or decisions(people, which), again.text
        assert decisions(people, which) == [("Approved", "rita")]
    if KILLS >= MANY:
        assert {(None, False), (None, True)} <= seen, seen

    def recorded():
        path = "/apis/cabgate.dev/v1alpha1/cabdecisions"
        items = (
            gate.client("admin")
            .get(path, params={"fieldSelector": f"spec.subject.namespace={shop}"})
            .json()["items"]
        )
        approved = [each["spec"] for each in items if each["spec"]["verdict"] == "Approved"]
        return approved if len(approved) >= KILLS else None

    records = wait_until(recorded, "the ledger has each approval", timeout=120)
    names = [each["subject"]["name"] for each in records]
    assert len(names) == len(set(names)) == KILLS
    assert {each["author"]["username"] for each in records} == {"rita"}
    people.close()
    output = portal.output
    assert not [who for who, token in people_tokens.items() if token in output]
