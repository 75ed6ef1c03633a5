# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from cabgate_bench.results import cells
from cabgate_bench.results.cells import Result
from cabgate_bench.results.targets import rows


def markdown(result: Result) -> str:
    """All tables of a result."""
    parts = [f"# {result['title']}", _machine(result["machine"]), _targets(result)]
    parts += [_bursts(result), _through(result), _highest(result), _tenants(result)]
    parts += [_heaviest(result), _direct(result), _scale(result)]
    parts += [_operator(result), _profile(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    body = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(_text(cell) for cell in line) + " |" for line in body)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _machine(machine: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    changed = " with changes" if machine["changed"] else ""
    return (
        f"Commit {machine['commit']}{changed}, {machine['at']}. {machine['cores']} cores of "
        f"{machine['processor']}, {machine['memoryGB']} GB, {machine['system']}, shared by all "
        f"processes; load before the run {machine['load']}{_speed(machine)}. "
        f"kube-apiserver {machine['kubernetes']}, etcd {machine['etcd']}, "
        f"Python {machine['python']}, {packages}."
    )


def _speed(machine: dict[str, Any]) -> str:
    if "yardstick" not in machine:
        return ""
    before, after = machine["yardstick"]
    return f"; yardstick {before} ms before the run, {after} ms after"


def _targets(result: Result) -> str:
    head = ("target", "wanted", "measured", "verdict", "reason")
    measured = [row for row in rows(result) if row["measured"] is not None]
    return "## Targets\n\n" + table(head, [[row[key] for key in head] for row in measured])


def _bursts(result: Result) -> str:
    if "bursts" not in result:
        return ""
    sides = cells.SIDES
    added, whole = [], []
    for arrivals, writes in dict.fromkeys((c["arrivals"], c["writes"]) for c in result["bursts"]):
        bare, *others = of = [cells.alone(side, arrivals, writes, result) for side in sides]
        more = [round(cell["p50"] - bare["p50"], 1) for cell in others]
        waits = [cell["cacheWaitMilliseconds"] for cell in of[2:]]
        added.append([arrivals, writes, *more, *waits])
        shown = [
            f"{c['p50']} / {c['p99']} / {c['worst']} ({c['failed']} of {c['calls']})" for c in of
        ]
        used = [cell["apiServerCpuMilliseconds"] for cell in of]
        whole.append([arrivals, writes, *shown, *used])
    head = ["arrivals", "writes", *(f"{side} adds, ms" for side in sides[1:])]
    head += [f"a list waits, {side}, ms" for side in sides[2:]]
    whole_head = ["arrivals", "writes", *(f"{s}: p50 / p99 / worst, ms (failed)" for s in sides)]
    whole_head += [f"CPU of the API server a call, {side}, ms" for side in sides]
    return (
        "## Alone, in a stream, in a burst\n\n"
        "Dry-run creates of an approved Deployment, open loop, at random moments (Poisson): with "
        "no admission, through a webhook that admits unread, through one that makes one consistent "
        "read, and through cabgate with its policies. Nothing else is written, or a ConfigMap or a "
        "CABRequest 20 times a second. What is added is at the median, against the bare call. A "
        "list waits as `apiserver_watch_cache_read_wait_seconds` of requests says, on average. The "
        "CPU time of the API server is that of all it did meanwhile, the other writes too.\n\n"
        + "\n\n".join([table(head, added), table(whole_head, whole)])
    )


def _through(result: Result) -> str:
    if "through" not in result:
        return ""
    lines = []
    for cell in result["through"]:
        for name, added in cell["added"].items():
            policies = cell["policiesAdded"][name]
            lines.append(
                [
                    f"{cell['rate']:g}",
                    name,
                    *(cell[side][name] for side in _SIDES),
                    added["pooled"],
                    f"{added['min']} .. {added['max']}",
                    cell["ratio"][name]["pooled"],
                    policies["pooled"],
                    f"{policies['min']} .. {policies['max']}",
                ]
            )
    head = ["a second", "", *(f"{side}, ms" for side in _SIDES)]
    head += ["webhook adds, ms", "by round", "ratio", "policies add, ms", "by round"]
    failed = [
        [
            f"{cell['rate']:g}",
            *(f"{cell['failed'][side]} of {cell['requests'][side]}" for side in _SIDES),
            cell["lagMilliseconds"],
        ]
        for cell in result["through"]
    ]
    failed_head = ["a second", *(f"failed, {side}" for side in _SIDES), "lag, ms"]
    used = [
        [f"{c['rate']:g}", name, *(_cpu(c, side, name) for side in _SIDES), cells.largest(c, name)]
        for c in result["through"]
        for name in c["used"]["with"][0]
    ]
    used_head = ["a second", "process", *(f"CPU s a block, {s}" for s in _SIDES), "resident, MB"]
    return (
        "## Through the API server\n\n"
        "Dry-run creates and updates of Deployments in turn, in blocks that take turns: bare, with "
        "no admission of cabgate's; without the webhook, but with the policies that the API server "
        "evaluates itself; with both. What the webhook adds is with against without.\n\n"
        + "\n\n".join([table(head, lines), table(failed_head, failed), table(used_head, used)])
        + "\n\n![Latency of the three sides](latency.svg)"
    )


_SIDES = ("bare", "without", "with")


def _cpu(cell: dict[str, Any], side: str, name: str) -> float:
    found = cells.cpu_seconds(cell, side, name)
    return round(sum(found) / len(found), 2) if found else 0.0


def _highest(result: Result) -> str:
    if "highest" not in result:
        return ""
    lines = []
    for found in result["highest"]:
        side = found["side"]
        for step in found["steps"]:
            figures = [step[key] for key in ("failed", "p50", "p99")]
            lines.append([side, f"{step['rate']:g}", *figures])
        lines.append([side, f"**{found['highest']:g}**", "", "", ""])
    return (
        "## Highest rate\n\nIn steps, until a request fails or the p99 is over a second.\n\n"
        + table(["webhook", "a second", "failed", "p50, ms", "p99, ms"], lines)
    )


def _tenants(result: Result) -> str:
    if "tenants" not in result:
        return ""
    found = result["tenants"]
    head = ["", "rollouts", "failed", "p50, ms", "p90, ms", "p99, ms"]
    lines = [
        [
            f"{side}: {_WHEN[side]}",
            found["requests"][side],
            found["failed"][side],
            *(figures[name] for name in ("p50", "p90", "p99")),
        ]
        for side, figures in found["sides"].items()
    ]
    lines += [
        ["added, against the better of quiet and there", "", "", *_of_added(found, "pooled")],
        ["the least of two blocks, the most", "", "", *_of_added(found, "min", "max")],
    ]
    there = ", ".join(f"{count} {kind}" for kind, count in found["objects"].items())
    memory = ", ".join(f"{name} {value:g}" for name, value in found["highWaterMB"].items())
    answers = ", ".join(f"{count} of {code}" for code, count in sorted(found["answered"].items()))
    return (
        "## One tenant at its worst\n\n"
        f"Dry-run rollouts of one namespace at {found['rate']:g} a second. Another one holds "
        f"{there}, each as large as is let in; at work, it has 10 rollouts a second denied by way "
        "of all of these, and changes an intent each second.\n\n"
        + table(head, lines)
        + f"\n\nIts own calls were answered {answers}. Resident at most, MB: {memory}."
    )


_WHEN = {
    "quiet": "the other namespace is not there",
    "there": "it is, and nothing goes on in it",
    "loud": "and its tenant is at work",
}


def _of_added(found: dict[str, Any], *keys: str) -> list[str]:
    return [
        " .. ".join(str(found["added"][name][key]) for key in keys)
        for name in ("p50", "p90", "p99")
    ]


def _heaviest(result: Result) -> str:
    if "heaviest" not in result:
        return ""
    found = result["heaviest"]
    keys = ("calls", "min", "median", "max", "cpu")
    lines = [
        [_POLICIES[side], *(figures[key] for key in keys)]
        for side, figures in found["sides"].items()
    ]
    return (
        "## The heaviest object\n\n"
        f"A finalizer is removed, in dry runs, from a PodTemplate with {found['annotations']} "
        "annotations, in blocks that take turns. What our policies and match conditions add is "
        f"{found['added']} ms: the median with them against that with one policy that asks for "
        "one label; against none at all it is "
        f"{found['addedToNone']} ms.\n\n"
        + table(["", "calls", "least, ms", "median, ms", "most, ms", "CPU ms"], lines)
    )


_POLICIES = {
    "none": "no policy, no webhook",
    "one": "one policy that asks for one label",
    "ours": "all of cabgate's",
}


def _direct(result: Result) -> str:
    if "direct" not in result:
        return ""
    keys = ("cell", "perSecond", "cpuOfServerCore", "perCpuSecond", "p50", "p99", "failed", "rssMB")
    head = ["", "a second", "of its core", "a CPU second", "p50, ms", "p99, ms", "failed", "MB"]
    return (
        "## Direct load on /validate\n\n"
        f"Over TLS, admission requests of {result['requestBytes']} bytes, 16 at a time; the "
        "server alone on one core; generator, API server and etcd on the other. Where the server "
        "does not use all of its core, the other core was the limit. Those of one target may "
        "share a read; those of many in turn share that of the namespace, where one is needed.\n\n"
        + table(head, [[cell[key] for key in keys] for cell in result["direct"]])
    )


def _scale(result: Result) -> str:
    if "scale" not in result:
        return ""
    keys = ("cell", "p50", "p90", "p99", "webhookRssMB", "apiserverRssMB")
    head = ["", "p50, ms", "p90, ms", "p99, ms", "webhook, MB", "kube-apiserver, MB"]
    return (
        "## Scale\n\nOne verdict after another, asked of the webhook directly, over TLS.\n\n"
        + table(head, [[cell[key] for key in keys] for cell in result["scale"]])
    )


def _operator(result: Result) -> str:
    if "operator" not in result:
        return ""
    found = result["operator"]
    live = found["intentToRequestMilliseconds"]
    lines = [
        ["start to ready", f"{found['readySeconds']} s"],
        [
            f"{found['backlog']} intents found at the start, recorded",
            f"{found['recordedSeconds']} s",
        ],
        ["the same, a second", found["recordedPerSecond"]],
        ["the same, approved and told of", f"{found['settledSeconds']} s"],
        [
            f"intent to request at {found['rate']:g}/s, p50, p90, p99",
            f"{live['p50']}, {live['p90']}, {live['p99']} ms",
        ],
        [f"resident, {found['requests']} requests", f"{found['rssMB']} MB"],
        [
            f"calls for one change among 10, among {found['requests']}",
            f"{found['changeAmongFewCalls']}, {found['changeAmongManyCalls']}",
        ],
        [f"calls in {found['restSeconds']:g} s of rest", found["restCalls"]],
    ]
    return "## Operator\n\n" + table(["", ""], lines)


def _profile(result: Result) -> str:
    if "profile" not in result:
        return ""
    return f"## Where the webhook's time goes\n\n```\n{result['profile'].strip()}\n```"
