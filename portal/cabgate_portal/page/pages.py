# SPDX-License-Identifier: Apache-2.0
"""The pages: each is one view, read as whoever has opened the page."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from cabgate.api.base import first_problem
from cabgate.api.values import SubjectKind
from cabgate.gate.commands import list_uncovered
from cabgate.ledger.queries import Query, answers
from cabgate.text.inert import inert
from cabgate.text.moments import rfc3339
from cabgate.views.queue import QueueRow
from cabgate.views.show import DecisionView
from cabgate_kube.process.tasks import gathered
from cabgate_kube.resources import DECISIONS
from cabgate_portal.checking import check
from cabgate_portal.names import CorrelationId, Id, Namespace, id_of
from cabgate_portal.page.calendar import calendar_of
from cabgate_portal.page.dashboard import dashboard
from cabgate_portal.page.forms import (
    MAX_CONDITIONS,
    NOTHING_TYPED,
    WINDOWS,
    Typed,
    conditions_to_attest,
    kept_of,
    verbs_of,
)
from cabgate_portal.page.frozen import frozen_request, frozen_rows
from cabgate_portal.page.rendering import FOLDER, Renderer, tag_of
from cabgate_portal.page.reported import outcomes_of, records_of
from cabgate_portal.page.sending import RECORDED, Changed, Sender
from cabgate_portal.problems import Problem
from cabgate_portal.reading import Notes, Reader, Seen

LEDGER_PAGE = 50
"""Records on a page of the ledger."""

_NAMESPACE: TypeAdapter[str] = TypeAdapter(Namespace)
_CORRELATION: TypeAdapter[str] = TypeAdapter(CorrelationId)

MAX_ARGUMENT = 400
"""Longest name of a workload that is asked for, in characters."""

SPANS = (30, 90, 365)
"""Days that the dashboard can look back."""

STATIC = {
    "page.css": "text/css",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""Files that are served, each with its type."""


Page = Callable[[Request, Reader], Awaitable[Response]]
"""Answers a request, with what a reader reads."""


Reading = Callable[[], AbstractContextManager[Reader]]
"""Makes a reader for one request. Raises `Problem`."""


class Pages:
    """The routes, below the path that a session has for itself."""

    def __init__(self, reading: Reading, renderer: Renderer) -> None:
        self._reading = reading
        self._renderer = renderer

    def routes(self, base: str) -> list[Route]:
        """All of them."""
        found: list[tuple[str, Page, str]] = [
            ("/", self._start, "GET"),
            ("/queue", self._queue, "GET"),
            ("/queue/rows", self._rows, "GET"),
            ("/requests/{id}", self._request, "GET"),
            ("/requests/{id}", self._decide_request, "POST"),
            ("/requests/{id}/state", self._state, "GET"),
            ("/exceptions/{id}", self._exception, "GET"),
            ("/exceptions/{id}", self._decide_exception, "POST"),
            ("/exceptions/{id}/state", self._exception_state, "GET"),
            ("/ledger", self._ledger, "GET"),
            ("/calendar", self._calendar, "GET"),
            ("/dashboard", self._dashboard, "GET"),
            ("/workload", self._workload, "GET"),
        ]
        return [
            *(Route(base + path, self._read(page), methods=[m]) for path, page, m in found),
            # These alone are compressed: a page holds the token of its forms beside what others
            # wrote, and what is compressed together tells by its length what they have in common.
            Route(
                f"{base}/static/{{name}}",
                _static,
                methods=["GET"],
                middleware=[Middleware(GZipMiddleware)],
            ),
        ]

    def _read(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """A page with a reader of its own, which holds what it reads for no longer."""

        async def answered(request: Request) -> Response:
            with self._reading() as reader:
                try:
                    return await page(request, reader)
                finally:
                    reader.api.close()

        return answered

    async def _start(self, request: Request, reader: Reader) -> Response:
        return RedirectResponse(request.url.path + "queue", 303)

    async def _queue(self, request: Request, reader: Reader) -> Response:
        values, viewer = await gathered(self._waiting(request, reader), _viewer(reader))
        return self._renderer.page("queue.html", {**values, "viewer": viewer, "here": "queue"})

    async def _rows(self, request: Request, reader: Reader) -> Response:
        """The rows again, for a page that is open."""
        values = await self._waiting(request, reader)
        return self._unless_seen(request, values["tag"], "rows.html", values)

    async def _waiting(self, request: Request, reader: Reader) -> dict[str, Any]:
        namespace, own = _namespace(request), request.query_params.get("mine") == "1"
        waiting, beside = await reader.waiting(namespace, own=own), Notes()
        frozen = await frozen_rows(reader, waiting, beside)
        rows, notes = waiting.rows, [*waiting.notes, *beside.texts]
        values = {"rows": rows, "notes": notes, "namespace": namespace, "own": own}
        values |= {"is_exception": SubjectKind.EXCEPTION.value, "frozen": frozen}
        return {**values, "tag": _tag_of_rows(rows, [*notes, *frozen], reader.clock())}

    async def _request(self, request: Request, reader: Reader) -> Response:
        which = id_of(request.path_params["id"])
        seen, viewer = await gathered(reader.request(which), _viewer(reader))
        return await self._shown(request, reader, which, seen, viewer, of_exception=False)

    async def _exception(self, request: Request, reader: Reader) -> Response:
        which = id_of(request.path_params["id"])
        seen, viewer = await gathered(reader.exception(which), _viewer(reader))
        return await self._shown(request, reader, which, seen, viewer, of_exception=True)

    async def _shown(
        self,
        request: Request,
        reader: Reader,
        which: Id,
        seen: Seen,
        viewer: str,
        *,
        of_exception: bool,
        typed: Typed = NOTHING_TYPED,
        problem: Problem | None = None,
        changed: Changed | None = None,
    ) -> Response:
        """The page of a request or an exception; with what was typed, where that was not sent."""
        entries = seen.view.exceptions[0].decisions if of_exception else seen.view.decisions
        beside = Notes()
        values = {
            "view": seen.view,
            "frozen": await frozen_request(reader, seen, beside, of_exception=of_exception),
            "notes": [*seen.notes, *beside.texts],
            "which": str(which),
            "of_exception": of_exception,
            "verbs": verbs_of(seen.view, of_exception=of_exception),
            "attestable": conditions_to_attest(seen.view),
            "conditions": [typed.condition(n) for n in range(1, MAX_CONDITIONS + 1)],
            "windows": [typed.window(n) for n in range(1, WINDOWS + 1)],
            "typed": typed,
            "problem": problem,
            "problem_text": inert(problem.detail) if problem else "",
            "changed": changed,
            "recorded": _recorded(request.query_params.get("recorded", ""), viewer, entries),
            "viewer": viewer,
            "namespace": "",
            "here": "queue",
            "tag": _tag_of_state(seen),
            "most": max((abs(float(each.contribution)) for each in seen.view.factors), default=0.0),
        }
        status = 200 if problem is None else problem.status
        return self._renderer.page("request.html", values, status)

    async def _decide_request(self, request: Request, reader: Reader) -> Response:
        return await self._decided(request, reader, of_exception=False)

    async def _decide_exception(self, request: Request, reader: Reader) -> Response:
        return await self._decided(request, reader, of_exception=True)

    async def _decided(self, request: Request, reader: Reader, *, of_exception: bool) -> Response:
        """Send what was decided once; where it was not taken, say why, with all that was typed."""
        which, typed = id_of(request.path_params["id"]), Typed(request.state.form)
        read = reader.exception if of_exception else reader.request
        problem, changed = None, None
        try:
            seen = await read(which)
            changed = await Sender(reader).changed(which, seen, typed, of_exception=of_exception)
            if changed is None:
                verdict = await Sender(reader).send(which, seen, typed, of_exception=of_exception)
                return RedirectResponse(f"{request.url.path}?recorded={verdict}", 303)
            problem = changed.problem
        except Problem as found:
            problem = found
        try:
            seen, viewer = await gathered(read(which), _viewer(reader))
        except Problem:
            # What is shown beside it cannot be read either.
            return self._renderer.problem(problem, kept=kept_of(request))
        return await self._shown(
            *(request, reader, which, seen, viewer),
            of_exception=of_exception, typed=typed, problem=problem, changed=changed,
        )  # fmt: skip

    async def _state(self, request: Request, reader: Reader) -> Response:
        which = id_of(request.path_params["id"])
        return self._news(request, await reader.request(which))

    async def _exception_state(self, request: Request, reader: Reader) -> Response:
        which = id_of(request.path_params["id"])
        return self._news(request, await reader.exception(which))

    def _news(self, request: Request, seen: Seen) -> Response:
        """That a request is no longer as it is shown on a page that is open."""
        return self._unless_seen(request, _tag_of_state(seen), "news.html", {"view": seen.view})

    def _unless_seen(
        self, request: Request, tag: str, template: str, values: dict[str, Any]
    ) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return self._renderer.page(template, values, headers={"ETag": tag})

    async def _ledger(self, request: Request, reader: Reader) -> Response:
        wanted = {
            name: request.query_params.get(name, "").strip()
            for name in ("namespace", "subject", "verdict", "author", "correlation")
        }
        namespace = _namespace(request)
        correlation = _checked(_CORRELATION, wanted["correlation"], "correlation")
        parts = (("spec.subject.namespace", namespace), ("spec.correlationID", correlation))
        page, viewer = await gathered(
            reader.api.page(
                DECISIONS,
                fields=",".join(f"{path}={value}" for path, value in parts if value),
                limit=LEDGER_PAGE,
                further=request.query_params.get("continue", ""),
            ),
            _viewer(reader),
        )
        query = Query(
            namespace=namespace or None,
            subject=wanted["subject"] or None,
            verdict=wanted["verdict"] or None,
            author=wanted["author"] or None,
            correlation=correlation or None,
        )
        found = answers(page.items, query)
        notes = [inert(f"{each.where} cannot be read: {each.why}") for each in found.unread]
        records = sorted((r.spec for r, _ in found.found), key=lambda s: s.at, reverse=True)
        values = {
            "records": [_record(each) for each in records],
            "wanted": wanted,
            "further": page.further,
            "notes": notes,
            "viewer": viewer,
            "namespace": namespace,
            "here": "ledger",
        }
        return self._renderer.page("ledger.html", values)

    async def _calendar(self, request: Request, reader: Reader) -> Response:
        namespace = _namespace(request)
        values, viewer = await gathered(calendar_of(reader, namespace), _viewer(reader))
        values |= {"namespace": namespace, "viewer": viewer, "here": "calendar"}
        status = 200 if values["problem"] is None else values["problem"].status
        return self._renderer.page("calendar.html", values, status)

    async def _dashboard(self, request: Request, reader: Reader) -> Response:
        namespace, given = _namespace(request), request.query_params.get("days", "90")
        days = int(given) if given in map(str, SPANS) else 90
        notes = Notes()
        waiting, raws, outcomes, viewer = await gathered(
            reader.waiting(namespace),
            records_of(reader, namespace, notes),
            outcomes_of(reader, namespace, notes),
            _viewer(reader),
        )
        now = reader.clock()
        values = dashboard(waiting.rows, raws, outcomes, now - timedelta(days=days), now)
        values |= {"notes": [*waiting.notes, *notes.texts, *values["notes"]]}
        values |= {"days": days, "spans": SPANS, "namespace": namespace, "viewer": viewer}
        values["uncovered"] = list_uncovered(namespace)
        return self._renderer.page("dashboard.html", {**values, "here": "dashboard"})

    async def _workload(self, request: Request, reader: Reader) -> Response:
        """Which rule holds for a workload: the answer of the gate, asked without a rollout."""
        namespace = _namespace(request)
        argument = request.query_params.get("workload", "").strip()
        checked, problem = None, None
        if namespace and argument:
            try:
                checked = await check(reader, namespace, argument[:MAX_ARGUMENT], ())
            except Problem as found:
                problem = found
        elif argument:
            problem = Problem(400, "NamespaceNeeded", "Name the namespace of the workload.")
        values = {
            "checked": checked,
            "problem": problem,
            "problem_text": inert(problem.detail) if problem else "",
            "workload": argument,
            "namespace": namespace,
            "viewer": await _viewer(reader),
            "here": "workload",
        }
        status = 200 if problem is None else problem.status
        return self._renderer.page("workload.html", values, status)


async def _viewer(reader: Reader) -> str:
    return inert((await reader.viewer()).username)


def _recorded(verdict: str, viewer: str, entries: Sequence[DecisionView]) -> str:
    """A verdict that somebody sent, where it is the newest entry, and theirs; else nothing: whoever
    writes a link could have its reader believe that something was decided."""
    newest = entries[-1] if entries else None
    own = newest is not None and (newest.verdict, newest.by) == (verdict, viewer)
    return verdict if own and verdict in RECORDED else ""


def _namespace(request: Request) -> str:
    """The namespace that is asked for; empty for all. Raises `Problem`."""
    return _checked(_NAMESPACE, request.query_params.get("namespace", "").strip(), "namespace")


def _checked(of: TypeAdapter[str], value: str, field: str) -> str:
    try:
        return of.validate_python(value) if value else ""
    except ValidationError as error:
        message = f"{field}: {first_problem(error).message}"
        raise Problem(400, "Invalid", message, field=field) from None


def _record(spec: Any) -> dict[str, Any]:
    kind = "exceptions" if spec.subject.kind is SubjectKind.EXCEPTION else "requests"
    return {
        "at": rfc3339(spec.at),
        "verdict": spec.verdict,
        "by": inert(spec.author.username),
        "kind": kind,
        "namespace": inert(spec.subject.namespace),
        "name": inert(spec.subject.name),
        "score": inert(str(spec.score)) if spec.score is not None else "",
        "rationale": inert(spec.rationale),
        "correlation": inert(spec.correlation_id or ""),
    }


def _tag_of_rows(rows: Sequence[QueueRow], notes: Sequence[str], now: datetime) -> str:
    """What is another once a row says another thing, and once a minute: the ages of all rows
    together are others at almost each look."""
    ageless = [replace(each, age=timedelta()) for each in rows]
    return tag_of(repr((ageless, notes, f"{now:%H:%M}")))


def _tag_of_state(seen: Seen) -> str:
    """What is another once what is decided on is."""
    view = seen.view
    parts = [view.uid, view.state, view.evidence_digest, view.needed, view.outdated, *view.next]
    parts += [f"{each.verdict} {each.at}" for each in view.decisions]
    parts += [f"{each.uid} {each.state} {len(each.decisions)}" for each in view.exceptions]
    return tag_of("\n".join(parts))


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise Problem(404, "NoSuchPath", "there is no such page")
    return FileResponse(FOLDER / "static" / name, media_type=STATIC[name])
