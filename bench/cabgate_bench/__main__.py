# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_bench gate`, `bursts`, `scale` and `tenant`: measure, write the results."""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from cabgate_bench.load import loadgen
from cabgate_bench.load.world import World
from cabgate_bench.measure import bursts, direct, heaviest, operating, scale, tenants, through
from cabgate_bench.results.machine import described, yardstick
from cabgate_bench.results.report import markdown
from cabgate_bench.results.targets import rows
from cabgate_devcluster import DevCluster


def main() -> int:
    """Run one of the benchmarks."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    result: dict[str, Any] = {"machine": described()}
    program = loadgen.build()
    runner = {
        "gate": run_gate,
        "bursts": run_bursts,
        "scale": run_scale,
        "tenant": run_tenant,
    }[arguments.benchmark]
    speed = yardstick()
    result |= runner(program, arguments)
    result["machine"]["yardstick"] = [speed, yardstick()]
    result["targets"] = rows(result)
    result["tookSeconds"] = round(time.monotonic() - begun)
    write(result, arguments.out, arguments.benchmark)
    for row in result["targets"]:
        if row["measured"] is not None:
            print(f"{row['verdict']:>6}  {row['target']}: {row['measured']} ({row['wanted']})")
            if row["reason"]:
                print(f"        {row['reason']}")
    print(f"{result['tookSeconds']} s; results in {arguments.out}/{arguments.benchmark}.md")
    return 0


def run_gate(program: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What the gate adds through the API server, and what the webhook does alone."""
    seconds, short = arguments.seconds, max(arguments.seconds / 2, 0.5)
    with DevCluster() as cluster:
        world = World(cluster, program)
        _say("installing")
        through.prepare(world)
        _say("through the API server")
        cells = through.measure(
            world, seconds=seconds, rates=arguments.rates, rounds=arguments.rounds
        )
        highest = []
        for side in (through.WITHOUT, through.WITH) if arguments.steps else ():
            _say(f"highest rate {side} the webhook")
            through.choose(world, side)
            highest.append(
                through.highest_rate(world, side, seconds=seconds / 3, rates=arguments.steps)
            )
        others = _tenants(world, arguments) if arguments.calls else {}
        world.gate(on=True)
        _say("direct load")
        direct.prepare(world, arguments.targets)
        found = direct.measure(world, seconds=short, targets=arguments.targets)
        _say("profile")
        table = direct.profile(world, seconds=min(short, 10.0), targets=arguments.targets)
    return {
        "title": "The gate: latency and throughput",
        "through": cells,
        **({"highest": highest} if highest else {}),
        **others,
        "direct": found,
        "requestBytes": direct.request_size(),
        "profile": table,
    }


def run_bursts(program: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What a rollout waits that comes alone, in a stream or in a burst."""
    with DevCluster() as cluster:
        world = World(cluster, program)
        _say("installing")
        through.prepare(world)
        _say("rollouts at random moments and in bursts, beside writes")
        # Of what is seen seldom there is to be something: a side takes more than a cell elsewhere.
        found = bursts.measure(world, seconds=arguments.seconds * 2)
    return {"title": "Rollouts that come alone, and bursts", **found}


def run_tenant(program: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What one tenant costs another, alone: the part of `gate` that takes two minutes."""
    with DevCluster() as cluster:
        world = World(cluster, program)
        _say("installing")
        through.prepare(world)
        return {"title": "One tenant at its worst", **_tenants(world, arguments)}


def _tenants(world: World, arguments: argparse.Namespace) -> dict[str, Any]:
    """What the worst objects cost others, and the API server."""
    rounds = arguments.rounds
    _say("the heaviest object, with no policies, with one, and with ours")
    heavy = heaviest.measure(world, calls=arguments.calls, rounds=rounds)
    _say("one tenant at its worst, and another one's rollouts")
    found = tenants.measure(world, seconds=arguments.seconds * 2 / 3, rounds=rounds)
    return {"heaviest": heavy, "tenants": found}


def run_scale(program: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Verdicts with many requests, and the operator."""
    with DevCluster() as cluster:
        world = World(cluster, program)
        _say(f"verdicts with up to {max(arguments.sizes)} requests")
        cells = scale.measure(
            world,
            sizes=arguments.sizes,
            spaces=arguments.namespaces,
            crowd=arguments.crowd,
            seconds=arguments.seconds,
        )
    with DevCluster() as cluster:
        world = World(cluster, program)
        _say(f"the operator, {arguments.intents} intents")
        world.installation.install()
        found = operating.measure(
            world,
            backlog=arguments.intents,
            rate=20.0,
            seconds=arguments.seconds,
            rest=arguments.rest,
        )
    return {"title": "Scale", "scale": cells, "operator": found}


def write(result: dict[str, Any], folder: Path, name: str) -> None:
    """The result as JSON and Markdown, and the plot."""
    text = json.dumps(_finite(result), indent=1, sort_keys=True)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(markdown(result), encoding="utf-8")
    if "through" in result:
        try:
            from cabgate_bench.results.plot import plot
        except ImportError:
            print("no plot: matplotlib is in the dependency group bench, uv sync --group bench")
        else:
            plot(result["through"], folder / "latency.svg")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cabgate_bench", description=__doc__)
    parser.add_argument("benchmark", choices=["gate", "bursts", "scale", "tenant"])
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"), help="folder")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a cell")
    parser.add_argument("--rates", type=_numbers, default=[50.0, 200.0], help="dry-runs a second")
    parser.add_argument("--rounds", type=int, default=2, help="blocks of each side")
    parser.add_argument(
        "--steps", type=_numbers, default=[200.0, 300.0, 400.0, 500.0, 700.0, 900.0, 1200.0]
    )
    parser.add_argument("--targets", type=int, default=200, help="targets of the direct load")
    parser.add_argument(
        "--calls",
        type=int,
        default=6,
        help="of the heaviest object, a block; 0: neither those, nor a tenant at its worst",
    )
    parser.add_argument("--sizes", type=_whole, default=[10, 1_000, 10_000, 100_000])
    parser.add_argument("--namespaces", type=int, default=1_000)
    parser.add_argument("--crowd", type=int, default=1_000, help="requests in one namespace")
    parser.add_argument("--intents", type=int, default=10_000, help="backlog of the operator")
    parser.add_argument("--rest", type=float, default=600.0, help="seconds of rest")
    return parser.parse_args()


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",") if part]


def _whole(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _say(what: str) -> None:
    print(f"{what} ...", flush=True)


if __name__ == "__main__":
    sys.exit(main())
