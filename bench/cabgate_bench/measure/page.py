# SPDX-License-Identifier: Apache-2.0
"""What the page takes where there are many requests: how long its queue is on its way, what open
tabs cost the API server, what a browser downloads, and the portal's memory.

`make bench-portal`. The requests are written without cabgate's admission configuration, as `scale`
does it; whoever looks is signed in by a cookie of their token, since who gave that is nothing to
the page.
"""

import argparse
import base64
import os
import secrets
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cabgate.reports.counting import percentile
from cabgate.views.selectors import WAITING_REQUESTS
from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call, Outcome
from cabgate_bench.load.portals import start_portal, tokens_of, trusting
from cabgate_bench.load.usage import usage_of
from cabgate_bench.load.world import World
from cabgate_bench.measure.queue_cluster import SPACES, fill
from cabgate_devcluster import DevCluster, Process
from cabgate_portal.page.login.sessions import Sessions

WHO = "rita"
POLL_SECONDS = 30.0
"""How often an open tab asks: `every 30s` in the template of the rows."""

WANTED_MS = 800.0
WANTED_CORE = 0.10
WANTED_MB = 120.0
WANTED_KB = 120.0

STATIC = ("page.css", "htmx.min.js", "icon.svg")


@dataclass(frozen=True)
class Figures:
    """What one run measured."""

    queue: list[float]
    """Milliseconds of each queue page, one after another."""
    direct: list[float]
    """Milliseconds of one list of the same requests, by the same token."""
    beside: list[float]
    """Milliseconds of the answers to the tabs."""
    unchanged: int
    """Of these, how many said that nothing changed."""
    server: tuple[float, float]
    """Cores that the API server took at rest, and with the tabs open."""
    portal: float
    """Cores that the portal took with the tabs open."""
    megabytes: float
    kilobytes: float
    """Of the queue with all that it is made of, as a browser downloads it."""


def main() -> int:
    """Print the figures beside what is wanted; 1 where one misses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--waiting", type=int, default=200)
    parser.add_argument("--tabs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "tokens.csv"
        token = tokens_of([WHO], path)[WHO]
        with DevCluster(apiserver_args=[f"--token-auth-file={path}"]) as cluster:
            world = World(cluster, loadgen.build())
            world.install_bare()
            world.namespaces([f"team-{n}" for n in range(SPACES)])
            fill(world, given.requests, given.waiting)
            cluster.kubectl(
                *("create", "clusterrolebinding", WHO, "--clusterrole=cabgate-cab-member"),
                f"--user={WHO}",
            )
            found = measured(world, token, given.seconds, given.tabs)
    print(f"load average before: {load[0]:.1f}; {given.requests} requests, {given.waiting} wait\n")
    rest, busy = found.server
    share = found.unchanged / len(found.beside)
    rows = (
        ("queue page, p95, ms", percentile(found.queue, 95), WANTED_MS),
        (f"{given.tabs} open tabs, cores of the API server", busy - rest, WANTED_CORE),
        ("memory of the portal, MB", found.megabytes, WANTED_MB),
        ("queue page with its files, KB", found.kilobytes, WANTED_KB),
    )
    print("| figure | measured | wanted |\n|---|---|---|")
    for title, value, wanted in rows:
        print(f"| {title} | {value:.3g} | {wanted:g} |")
    print(
        f"\nqueue page p50 {percentile(found.queue, 50):.0f} ms of {len(found.queue)}; one list by "
        f"the same token p50 {percentile(found.direct, 50):.0f}, p95 "
        f"{percentile(found.direct, 95):.0f} ms.\nTabs: p50 {percentile(found.beside, 50):.0f}, "
        f"p95 {percentile(found.beside, 95):.0f} ms of {len(found.beside)} answers, {share:.0%} of "
        f"them unchanged; cores of the API server {rest:.3f} at rest, {busy:.3f} with them, of the "
        f"portal {found.portal:.3f}."
    )
    return 0 if all(value <= wanted for _, value, wanted in rows) else 1


def measured(world: World, token: str, seconds: float, tabs: int) -> Figures:
    """Start the portal, and measure."""
    cluster, client = world.cluster, trusting(world.cluster)
    port, keys = cluster.free_port(), [secrets.token_bytes(32)]
    origin, key_file = f"127.0.0.1:{port}", cluster.directory / "bench-cookie-keys"
    key_file.write_bytes(base64.b64encode(keys[0]))
    portal = start_portal(
        *(cluster, port, "--page-url", f"https://{origin}"),
        # Nobody signs in, so nobody asks it anything.
        *("--oidc-issuer", "https://issuer.invalid", "--oidc-client-id", "cabgate"),
        *("--cookie-key-file", str(key_file)),
    )
    url, headers = f"http://{origin}", cookie_of(keys, token)
    for _ in range(5):
        fetched(f"{url}/queue", headers)  # what is made at the first one
    weight = len(fetched(f"{url}/queue", headers)[0])
    weight += sum(len(fetched(f"{url}/static/{name}", headers)[0]) for name in STATIC)
    listing = (
        f"{cluster.server}/apis/cabgate.dev/v1alpha1/cabrequests?limit=500&fieldSelector="
        + WAITING_REQUESTS.replace("!", "%21").replace(",", "%2C").replace("=", "%3D")
    )
    half = seconds / 2
    direct = good(
        loadgen.run(
            *(world.program, client, [Call("GET", listing, "", _bearer(token))]), seconds=half
        )
    )
    queue = good(
        loadgen.run(
            *(world.program, client, [Call("GET", f"{url}/queue", "", headers)]), seconds=half
        )
    )
    server = cluster.component("kube-apiserver")
    before, began = _cpu(server), time.monotonic()
    time.sleep(half)
    rest = (_cpu(server) - before) / (time.monotonic() - began)
    before, own, began = _cpu(server), _cpu(portal), time.monotonic()
    polls = [
        polled(world, f"{url}/queue/rows?namespace=", headers, tabs)
        for _ in range(max(1, round(seconds / POLL_SECONDS)))
    ]
    took = time.monotonic() - began
    return Figures(
        queue.milliseconds,
        direct.milliseconds,
        sorted(each for poll in polls for each in poll.milliseconds),
        sum(poll.statuses.get("304", 0) for poll in polls),
        (rest, (_cpu(server) - before) / took),
        (_cpu(portal) - own) / took,
        usage_of(portal).rss,
        weight / 1000,
    )


def polled(world: World, rows: str, headers: Mapping[str, str], tabs: int) -> Outcome:
    """What each tab asks once, at random moments, of rows that it was given before."""
    seen = {**headers, "If-None-Match": fetched(rows, headers)[1]}
    return good(
        loadgen.run(
            *(world.program, trusting(world.cluster), [Call("GET", rows, "", seen)]),
            seconds=POLL_SECONDS,
            rate=tabs / POLL_SECONDS,
            poisson=True,
            warmup=0.0,
        )
    )


def good(outcome: Outcome) -> Outcome:
    """What came of a load, if each answer was a page, or that nothing changed."""
    if outcome.errors or set(outcome.statuses) - {"200", "304"}:
        raise SystemExit(f"{outcome.statuses} {outcome.errors} {outcome.samples[:1]}")
    return outcome


def cookie_of(keys: list[bytes], token: str) -> dict[str, str]:
    """The headers of a browser that somebody has signed in with."""
    ends = datetime.now(UTC) + timedelta(hours=1)
    cookies = Sessions(keys).cookies(token, WHO, ends)
    text = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {"Cookie": text, "Sec-Fetch-Site": "same-origin", "Accept-Encoding": "gzip"}


def fetched(url: str, headers: Mapping[str, str]) -> tuple[bytes, str]:
    """The bytes of an answer as they come, and its ETag. Raises `HTTPError`."""
    asked = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - our own portal
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
        return answer.read(), answer.headers.get("ETag", "")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _cpu(process: Process) -> float:
    return usage_of(process).cpu


if __name__ == "__main__":
    sys.exit(main())
