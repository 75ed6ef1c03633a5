# SPDX-License-Identifier: Apache-2.0
"""The last scene: the page, with what waits, and its picture where there is a browser."""

import os
import urllib.request
from contextlib import suppress
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError

from cabgate_demo import files
from cabgate_demo.browser import CHROMIUM, launched
from cabgate_demo.later import DAYS_VARIABLE
from cabgate_demo.stage import OutcomeError, Stage
from cabgate_devcluster import Installation

NS = files.NAMESPACE
WIDTH, HEIGHT = 1280, 860
"""Of the picture, in pixels."""


def look(stage: Stage, installation: Installation, picture: Path | None) -> None:
    """Have a release wait, and a reviewer look at it on the page; into `picture`, if there is a
    browser."""
    _today(installation)
    stage.file("intent-1.5.yaml", files.intent("1.5", "Gift cards by mail.", files.MIDDLING))
    stage.scene(
        "What waits stands on a page, for whoever has no wish to type",
        story="Back to today. The page is served on this machine alone, to whoever runs the "
        "command, and everything there is done as them. The URL is good once.",
    )
    stage.passes("requester", "kubectl apply -f intent-1.5.yaml", "configured")
    waiting = f"kubectl get cabrequest -n {NS} --field-selector status.state=Submitted"
    stage.until("reviewer", waiting, "Submitted")
    name = stage.quietly("reviewer", f"{waiting} -o name").strip().rpartition("/")[2]
    with stage.serving("reviewer", "kubectl cab ui") as url:
        path = f"{url.partition('/?')[0]}/requests/{NS}.{name}"
        if picture is None or CHROMIUM is None:
            shown = _read(url, path)
        else:
            shown = _pictured(url, path, picture)
    if "Gift cards by mail." not in shown:
        raise OutcomeError(f"the page should show request {name}, but does not")
    if picture is not None:
        stage.note(_where(picture))


def _where(picture: Path) -> str:
    if CHROMIUM is None:
        return "There is no Chromium here to look at it with: docs/page.png is a picture of it."
    return f"That is what the reviewer sees: {picture}"


def _today(installation: Installation) -> None:
    """Start what was stopped, and the webhook by today's clock."""
    if installation.webhook is not None:
        installation.webhook.stop()
    os.environ.pop(DAYS_VARIABLE, None)
    installation.start_webhook()
    installation.start_operator()


def _read(url: str, path: str) -> str:
    """What a page says, once the URL has opened it."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    # It leads to the queue of all namespaces, which not everybody may read.
    with suppress(HTTPError), opener.open(url, timeout=60):
        pass
    with opener.open(path, timeout=60) as answer:
        text: str = answer.read().decode()
    return text


def _pictured(url: str, path: str, picture: Path) -> str:
    """As `_read`, in a browser, with a picture of it."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    with launched() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(url)
        page.goto(path)
        page.screenshot(path=picture)
        return page.inner_text("main")
