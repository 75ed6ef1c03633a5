# SPDX-License-Identifier: Apache-2.0
"""The load generator: a Go program beside this package, built with the local cluster's Go."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cabgate_devcluster.programs.cache import cache_root
from cabgate_devcluster.programs.golang import find_go

SOURCE = Path(__file__).resolve().parents[2] / "loadgen"

WARMUP_SECONDS = 1.0
"""Load at the beginning of a cell that does not count."""


@dataclass(frozen=True)
class Call:
    """One request of the load."""

    method: str
    url: str
    body: str
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Client:
    """Who asks: files of certificates, PEM."""

    ca: Path
    cert: Path | None = None
    key: Path | None = None
    http2: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a load."""

    seconds: float
    sent: int
    milliseconds: list[float]
    """Of each answer, from the moment that its request was due; ascending."""
    statuses: dict[str, int]
    errors: dict[str, int]
    allowed: int
    denied: int
    lag: float
    """The longest that a request went out behind its moment, in milliseconds: the generator's own
    part in the latencies."""
    samples: list[str]

    @property
    def failed(self) -> int:
        """Requests without an answer, or with one that is neither a success nor a denial."""
        bad = [count for status, count in self.statuses.items() if not _is_answer(status)]
        return sum(bad) + sum(self.errors.values())

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.milliseconds) / self.seconds


def _is_answer(status: str) -> bool:
    return status.startswith("2")


def build() -> Path:
    """The program, built if it has changed; Go's own cache makes that quick."""
    output = cache_root(os.environ) / "loadgen"
    go = find_go(print, os.environ)
    output.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [str(go.path), "build", "-trimpath", "-o", str(output), "."],
        cwd=SOURCE,
        env={**os.environ, "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"},
        check=True,
    )
    return output


def run(
    program: Path,
    client: Client,
    calls: Sequence[Call],
    *,
    seconds: float = 0.0,
    rate: float = 0.0,
    workers: int = 1,
    warmup: float = WARMUP_SECONDS,
    once: bool = False,
    cores: Sequence[int] = (),
    poisson: bool = False,
    burst: int = 1,
) -> Outcome:
    """Put a load on, at a rate of arrivals or (without one) by so many workers that ask without
    pause. `poisson`: at random moments, the same in each run; `burst`: requests of one arrival."""
    work: dict[str, Any] = {
        "rate": rate,
        "poisson": poisson,
        "burst": burst,
        "workers": workers,
        "seconds": seconds,
        "warmup": 0.0 if once else warmup,
        "once": once,
        "timeout": 10.0,
        "http2": client.http2,
        "ca": str(client.ca),
        "cert": str(client.cert or ""),
        "key": str(client.key or ""),
        "requests": [vars(call) for call in calls],
    }
    pinned = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    done = subprocess.run(
        [*pinned, str(program)], input=json.dumps(work), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    return Outcome(
        seconds=found["seconds"],
        sent=found["sent"],
        milliseconds=sorted(value / 1000 for value in found["microseconds"] or []),
        statuses=found["statuses"],
        errors=found["errors"],
        allowed=found["allowed"],
        denied=found["denied"],
        lag=found["lagMicroseconds"] / 1000,
        samples=found["samples"] or [],
    )
