# SPDX-License-Identifier: Apache-2.0
"""Templates, and what they are given beside a view."""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from cabgate.reports.texts import span
from cabgate.text.inert import inert
from cabgate_portal.page.forms import REVOCATIONS
from cabgate_portal.problems import BUSY, UNKNOWN, Problem

FOLDER = Path(__file__).parent

_ADDRESS = re.compile(r"https?://\S+")

PROXY_REFUSED = "FORBIDDEN"
"""The code of a 403 that is no answer of an API server: those say `Forbidden`, with a reason."""

TITLES = {
    400: "That cannot be read",
    401: "Not signed in",
    403: "Not permitted",
    404: "Not found",
    408: "Too slow",
    409: "Something changed meanwhile",
    413: "Too large",
    421: "Wrong address",
    422: "That cannot be shown",
    429: "Too many calls",
    502: "The API server failed",
    503: "The API server does not answer",
    504: "The API server took too long",
}
"""Headings of the pages that tell of a problem, by status."""

AS_FOR_KUBECTL = (
    "The API server did not take your credentials: they may have expired. Sign in as you do for "
    "kubectl (`kubectl auth whoami` tries it), and send it again here: nothing that you typed is "
    "lost."
)
"""What to do where the API server knows nobody, on the page of `kubectl cab ui`."""

SIGN_IN_AGAIN = "Sign in again, and go on. What you typed stays here: send it again then."
"""What to do there, and where a sign-in has expired, on the page in the cluster."""


class Renderer:
    """Makes pages of templates."""

    def __init__(
        self, base: str, form_token: Callable[[], str], *, sign_in: str = "", sign_out: str = ""
    ) -> None:
        """`base` is what the path of every page begins with, and `form_token` makes what a form of
        whoever looks has to hold; the others are the paths that sign somebody in and out."""
        self._sign_in = sign_in
        self._values = {
            "viewer": "",
            "namespace": "",
            "here": "",
            "base": base,
            "form_token": form_token,
            "sign_out": sign_out,
        }

    def page(
        self,
        template: str,
        values: Mapping[str, Any],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """A page."""
        return HTMLResponse(self.text(template, values), status, dict(headers or {}))

    def text(self, template: str, values: Mapping[str, Any]) -> str:
        """What a template says."""
        return _environment().get_template(template).render({**self._values, **values})

    def closed(self, problem: Problem, sign_in: str = "") -> HTMLResponse:
        """What others are told than who has opened the page: it names no path of it but the one
        that signs in."""
        values = {"title": _title(problem), "problem": problem, "sign_in": sign_in}
        return self.page("closed.html", values, problem.status)

    def problem(self, problem: Problem, sign_in: str = "", **values: Any) -> HTMLResponse:
        """The page that tells of a problem; `sign_in` is where to sign in again, if not at the
        path that signs in to the first page."""
        given = {
            "title": _title(problem),
            "problem": problem,
            "detail": inert(problem.detail),
            "next_step": self._next_step(problem),
            "sign_in": (sign_in or self._sign_in) if problem.status == 401 else "",
            "kept": None,
            "typed": "",
            **values,
        }
        kept = {k: v for k, v in problem.headers.items() if k in ("Retry-After", "Connection")}
        return self.page("problem.html", given, problem.status, kept)

    def _next_step(self, problem: Problem) -> str:
        if problem.code == PROXY_REFUSED and not self._sign_in:
            return (
                "The API server gives a reason when it refuses, and this had none: kubectl proxy, "
                "or another proxy, did not pass it on. A name may have characters that Kubernetes "
                "has not."
            )
        if problem.status == 401 and problem.code != "NotOpened":
            return SIGN_IN_AGAIN if self._sign_in else AS_FOR_KUBECTL
        return problem.next_step


@cache
def _environment() -> Environment:
    """One for the process: each has templates of its own, and to compile them takes 0.1 s."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(linked=linked, age=age, segment=segment, tone=tone, inert=inert)
    environment.globals["revocations"] = REVOCATIONS
    return environment


def _title(problem: Problem) -> str:
    if problem.code == BUSY:
        return "Too much at once"
    if problem.code == "IssuerFailed":
        return "The issuer did not sign you in"
    if problem.code == UNKNOWN:
        return "It may have been recorded"
    return TITLES.get(problem.status, "That did not work")


def linked(text: str) -> Markup:
    """A text whose addresses are links, where they are http or https and nothing else; whatever
    else it says is text."""
    parts, at = [], 0
    for found in _ADDRESS.finditer(text):
        parts.append(escape(text[at : found.start()]))
        parts.append(_link(found[0]))
        at = found.end()
    return Markup("").join([*parts, escape(text[at:])])


def _link(address: str) -> Markup:
    try:
        plain = urlsplit(address).hostname is not None and "\\" not in address
    except ValueError:
        plain = False
    if not plain:
        return escape(address)
    return Markup('<a href="{0}" rel="noopener noreferrer" target="_blank">{0}</a>').format(address)


def age(span_of_time: timedelta) -> str:
    """A time in its two largest units."""
    return span(int(span_of_time.total_seconds()))


def segment(text: str) -> str:
    """A text as one segment of a path, or one value of a query."""
    return quote(text, safe="")


_TONES = {
    "AutoApprove": "ok", "AutoApproved": "ok", "Approved": "ok", "ConditionallyApproved": "ok",
    "Active": "ok", "Verified": "ok", "Attested": "ok",
    "ManualReview": "warn", "Submitted": "warn", "UnderReview": "warn", "Pending": "warn",
    "ExceptionRequired": "bad", "Rejected": "bad", "Revoked": "bad", "Contradicted": "bad",
    "GlassBroken": "bad", "Expired": "bad",
    "Promoted": "ok", "Overridden": "warn", "Failed": "bad",
}  # fmt: skip


def tone(word: str) -> str:
    """How a state, a tier or a verdict is coloured, beside its word."""
    return _TONES.get(word, "plain")


def tag_of(text: str) -> str:
    """The ETag of a text."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
