# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cabgate_kube.client import MAX_PAGE_BYTES, ApiServer
from cabgate_kube.credentials import Access
from cabgate_kube.election import NotLeaderError
from cabgate_kube.errors import AlreadyExistsError, ApiError, ConflictError
from cabgate_kube.resources import INTENTS, NAMESPACES, REQUESTS
from cabgate_kube.transport import Connections


def client(url: str, token: str | None = None) -> ApiServer:
    authorization = f"Bearer {token}" if token else ""
    return ApiServer(Connections(Access(url, authorization=lambda: authorization)))


async def serve(
    answer: Callable[[web.Request], Awaitable[web.Response]],
    scenario: Callable[[ApiServer], Awaitable[None]],
) -> None:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(application)
    await server.start_server()
    api = client(str(server.make_url("/")).rstrip("/"))
    try:
        await scenario(api)
    finally:
        await api.close()
        await server.close()


def failing(code: int, body: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=code, text=body)

    return answer


def test_paths() -> None:
    assert INTENTS.path() == "/apis/cabgate.dev/v1alpha1/deploymentintents"
    assert NAMESPACES.path("", "team") == "/api/v1/namespaces/team"
    expected = "/apis/cabgate.dev/v1alpha1/namespaces/a%2Fb/cabrequests/x/status"
    assert REQUESTS.path("a/b", "x", "status") == expected


@pytest.mark.parametrize(
    ("code", "body", "kind", "refused"),
    [
        (409, {"reason": "AlreadyExists", "message": "m"}, AlreadyExistsError, False),
        (409, {"reason": "Conflict", "message": "m"}, ConflictError, False),
        (403, {"reason": "Forbidden", "message": "m" * 9999}, ApiError, True),
        (422, {"reason": "Invalid", "message": "m"}, ApiError, True),
        (504, {"reason": "Timeout", "message": "Too large resource version"}, ApiError, False),
        (502, "<html>", ApiError, False),
        (500, "[]", ApiError, False),
    ],
)
async def test_errors(code: int, body: Any, kind: type[ApiError], refused: bool) -> None:
    text = body if isinstance(body, str) else json.dumps(body)

    async def scenario(api: ApiServer) -> None:
        with pytest.raises(kind) as caught:
            await api.create(REQUESTS, "team", {"metadata": {"name": "x"}})
        assert caught.value.code == code
        assert caught.value.refused is refused
        assert len(str(caught.value)) < 400
        with pytest.raises(kind):
            await api.get(REQUESTS, "team", "x")

    await serve(failing(code, text), scenario)


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        (
            422,
            {
                "reason": "Invalid",
                "message": 'spec.evidence.artifacts[0].uri: Invalid value: "s3cret": too long',
                "details": {
                    "causes": [
                        {
                            "field": "spec.evidence.artifacts[0].uri",
                            "reason": "FieldValueTooLong",
                            "message": "s3cret",
                        },
                        {"field": 7},
                        "s3cret",
                    ]
                },
            },
            ", spec.evidence.artifacts[0].uri FieldValueTooLong, 7",
        ),
        (
            403,
            {
                "reason": "Forbidden",
                "message": 'admission webhook "records.cabgate.dev" denied the request: '
                "WrongContent: spec.evidence.testResults: s3cret: no",
                "details": {
                    "causes": [
                        {
                            "reason": "WrongContent",
                            "field": "spec.evidence.testResults",
                            "message": "s3cret: no",
                        }
                    ]
                },
            },
            ", spec.evidence.testResults WrongContent",
        ),
        (
            403,
            {
                "reason": "Forbidden",
                "message": 'admission webhook "x.dev" denied the request: Nope: s3cret: no',
            },
            "",
        ),
        (
            422,
            {
                "reason": "Invalid",
                "message": "cabrequests \"x\" is forbidden: ValidatingAdmissionPolicy 'p.dev' with "
                "binding 'b' denied request: s3cret",
                "details": {"causes": [{"message": "s3cret"}]},
            },
            ", ValidatingAdmissionPolicy 'p.dev', ",
        ),
        (500, {"message": "s3cret", "details": "s3cret"}, ""),
    ],
)
async def test_an_error_as_text_quotes_nothing(code: int, status: Any, said: str) -> None:
    async def scenario(api: ApiServer) -> None:
        with pytest.raises(ApiError) as caught:
            await api.create(REQUESTS, "team", {"metadata": {"name": "x"}})
        call = "POST /apis/cabgate.dev/v1alpha1/namespaces/team/cabrequests"
        assert str(caught.value) == f"{code} {status.get('reason', '')}: {call}{said}"
        assert "s3cret" in caught.value.message

    await serve(failing(code, json.dumps(status)), scenario)


async def test_an_answer_that_is_no_http_does_not_put_the_token_into_a_log() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"nonsense\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    api = client(f"http://127.0.0.1:{port}", token="s3cret")
    with pytest.raises(ApiError) as caught:
        await api.get(REQUESTS, "team", "x")
    assert caught.value.code == 0
    assert "s3cret" not in f"{caught.value} {caught.value.message}"
    await api.close()
    server.close()


async def test_absent_is_none() -> None:
    async def scenario(api: ApiServer) -> None:
        assert await api.get(REQUESTS, "team", "x") is None

    await serve(failing(404, json.dumps({"reason": "NotFound"})), scenario)


async def test_unreachable() -> None:
    api = client("http://127.0.0.1:1")
    with pytest.raises(ApiError) as caught:
        await api.get(REQUESTS, "team", "x")
    assert (caught.value.code, caught.value.refused) == (0, False)
    await api.close()


async def test_lists_come_in_chunks() -> None:
    asked: list[dict[str, str]] = []

    async def answer(incoming: web.Request) -> web.Response:
        asked.append(dict(incoming.query))
        more = "continue" not in incoming.query
        meta = {"resourceVersion": "9", **({"continue": "token"} if more else {})}
        return web.json_response({"metadata": meta, "items": [{"n": len(asked)}]})

    async def scenario(api: ApiServer) -> None:
        assert await api.list(REQUESTS, "team", fields="a=b", labels="c") == [{"n": 1}, {"n": 2}]
        assert await api.newest_version(REQUESTS) == 9

    await serve(answer, scenario)
    first = {"limit": "50", "fieldSelector": "a=b", "labelSelector": "c"}
    assert asked == [first, {**first, "limit": "100", "continue": "token"}, {"limit": "1"}]


async def test_a_status_is_written_to_the_version_that_was_read() -> None:
    seen: list[tuple[str, str, Any]] = []

    async def answer(incoming: web.Request) -> web.Response:
        seen.append((incoming.method, incoming.path, await incoming.json()))
        return web.json_response({"status": {"userInfo": {"username": "me"}}})

    async def scenario(api: ApiServer) -> None:
        meta = {"namespace": "team", "name": "x"}
        with pytest.raises(ValueError, match="version that was read"):
            await api.replace_status(REQUESTS, {"metadata": meta})
        body = {"metadata": {**meta, "resourceVersion": "5"}, "status": {"state": "S"}}
        await api.replace_status(REQUESTS, body)
        assert seen == [
            ("PUT", "/apis/cabgate.dev/v1alpha1/namespaces/team/cabrequests/x/status", body)
        ]
        assert await api.who_am_i() == "me"

    await serve(answer, scenario)


@pytest.mark.parametrize("asked", [1, 2])
async def test_a_write_is_not_sent_by_who_leads_no_more_by_then(asked: int) -> None:
    """Also if it was allowed when it began, and the process stood still for a while since."""
    seen: list[str] = []

    async def answer(incoming: web.Request) -> web.Response:
        seen.append(incoming.path)
        return web.json_response({"metadata": {}})

    async def scenario(api: ApiServer) -> None:
        answers = iter([None] * (asked - 1))

        def check() -> None:
            if next(answers, "no") is not None:
                raise NotLeaderError("no more")

        with pytest.raises((NotLeaderError, ApiError)):
            await api.checked(check).create(REQUESTS, "team", {"metadata": {"name": "x"}})
        assert await api.get(NAMESPACES, "", "team") is not None
        assert seen == [NAMESPACES.path("", "team")]

    await serve(answer, scenario)


async def test_who_keeps_pages_for_long_asks_for_small_ones_and_has_large_objects_too() -> None:
    sizes = [10] * 60 + [300_000] * 30 + [MAX_PAGE_BYTES // 4]
    pages = []

    async def answer(incoming: web.Request) -> web.Response:
        limit, first = int(incoming.query["limit"]), int(incoming.query.get("continue") or 0)
        end = first + limit
        items = [{"note": "x" * size} for size in sizes[first:end]]
        meta = {"resourceVersion": "1", "continue": str(end) if end < len(sizes) else ""}
        return web.json_response({"metadata": meta, "items": items})

    async def scenario(api: ApiServer) -> None:
        found = api.pages(REQUESTS, page_bytes=512 * 1024)
        pages.extend([[len(item["note"]) for item in page.items] async for page in found])

    await serve(answer, scenario)
    assert [size for page in pages for size in page] == sizes
    assert all(sum(page) <= 4 * 512 * 1024 for page in pages if len(page) > 1)


async def test_a_page_that_would_be_too_large_is_asked_for_in_smaller_ones() -> None:
    """What comes after small objects may be the largest there are."""
    sizes = [10] * 60 + [MAX_PAGE_BYTES // 4] * 9
    asked = []

    async def answer(incoming: web.Request) -> web.Response:
        limit, first = int(incoming.query["limit"]), int(incoming.query.get("continue") or 0)
        asked.append(limit)
        items = [{"note": "x" * size} for size in sizes[first : first + limit]]
        end = first + limit
        meta = {"resourceVersion": "1", "continue": str(end) if end < len(sizes) else ""}
        return web.json_response({"metadata": meta, "items": items})

    async def scenario(api: ApiServer) -> None:
        found = [item async for page in api.pages(REQUESTS) for item in page.items]
        assert [len(item["note"]) for item in found] == sizes

    await serve(answer, scenario)
    assert max(asked) > 9
    assert asked[-1] < 4
