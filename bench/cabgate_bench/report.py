# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from cabgate_bench import cells
from cabgate_bench.cells import Result
from cabgate_bench.targets import rows


def markdown(result: Result) -> str:
    """All tables of a result."""
    parts = [f"# {result['title']}", _machine(result["machine"]), _targets(result)]
    parts += [_through(result), _highest(result), _direct(result), _scale(result)]
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
        side = "with" if found["webhook"] else "without"
        for step in found["steps"]:
            figures = [step[key] for key in ("failed", "p50", "p99")]
            lines.append([side, f"{step['rate']:g}", *figures])
        lines.append([side, f"**{found['highest']:g}**", "", "", ""])
    return (
        "## Highest rate\n\nIn steps, until a request fails or the p99 is over a second.\n\n"
        + table(["webhook", "a second", "failed", "p50, ms", "p99, ms"], lines)
    )


def _direct(result: Result) -> str:
    if "direct" not in result:
        return ""
    keys = ("cell", "perSecond", "cpuOfServerCore", "perCpuSecond", "p50", "p99", "failed", "rssMB")
    head = ["", "a second", "of its core", "a CPU second", "p50, ms", "p99, ms", "failed", "MB"]
    return (
        "## Direct load on /validate\n\n"
        f"Over TLS, reviews of {result['reviewBytes']} bytes, 16 at a time; the server alone on "
        "one core; generator, API server and etcd on the other. Where the server does not use "
        "all of its core, the other core was the limit. Reviews of one target may share a read; "
        "those of many in turn share that of the namespace, where one is needed.\n\n"
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
