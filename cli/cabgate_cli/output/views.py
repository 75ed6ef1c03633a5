# SPDX-License-Identifier: Apache-2.0
"""Views as people read them in a terminal. Every text of a view is inert already."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cabgate.text.moments import duration

if TYPE_CHECKING:  # the queue is printed without the other views
    from cabgate.views.compare import Comparison, ContainerChange
    from cabgate.views.queue import QueueRow
    from cabgate.views.renewals import RenewalView
    from cabgate.views.rings import RingView
    from cabgate.views.show import DecisionView, ExceptionView, RequestView

WIDE = 20
"""Width of the first column of a request, in characters."""


def queue_table(rows: "Sequence[QueueRow]", *, namespaces: bool) -> str:
    """The queue as a table; with a column for namespaces where there are several."""
    heads = ["NAME", "AGE", "SCORE", "TIER", "RING", "TARGETS", "SUMMARY", "FLOORS", "SUBMITTED BY",
             "NEEDED"]  # fmt: skip
    lines = [
        [
            f"cabex/{row.name}" if row.kind == "CABException" else row.name,
            duration(row.age),
            row.score or "-",
            row.tier,
            row.ring or "-",
            row.targets,
            row.summary or "-",
            ",".join(row.floors) or "-",
            row.submitters or "-",
            row.needed + (f" ({row.yours})" if row.yours else ""),
        ]
        for row in rows
    ]
    if namespaces:
        heads = ["NAMESPACE", *heads]
        lines = [[row.namespace, *line] for row, line in zip(rows, lines, strict=True)]
    return table([heads, *lines])


def table(lines: Sequence[Sequence[str]]) -> str:
    """Lines as columns, as kubectl prints them."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def request_text(view: "RequestView") -> str:
    """A request, or an exception with its request, on one screen."""
    return "".join(f"{line}\n" for line in _request_lines(view))


def comparison_text(changes: "Comparison") -> str:
    """What a request changes."""
    return "".join(f"{line}\n" for line in _comparison_lines(changes))


def looked(namespace: str | None) -> str:
    """Where nothing was found, for those who meant to look further; nothing after everywhere."""
    return "" if namespace is None else f" in namespace {namespace}; -A looks everywhere"


def _line(head: str, text: str) -> Iterator[str]:
    if text:
        yield f"{head:<{WIDE}}{text}"


def _request_lines(view: "RequestView") -> Iterator[str]:
    for exception in view.exceptions:
        yield from _exception_lines(exception)
    yield from _several("renews", [_renewal(each) for each in view.renewals])
    yield from _line("CABRequest", f"{view.namespace}/{view.name}  {view.state}")
    yield from _line("summary", view.summary)
    yield from _line("opened", view.opened)
    yield from _line("submitted by", view.submitters)
    yield from _line("asked for by", ", ".join(view.requesters))
    yield from _line("correlation id", view.correlation_id)
    yield from _line("ring", view.ring)
    yield from _several("rings before", [_ring(each) for each in view.rings])
    for target in view.targets:
        yield from _several(target.workload, target.images)
    yield from _line("score", f"{view.score}  {view.tier}")
    for factor in view.factors:
        yield f"  {factor.contribution:>6}  {factor.name}: {factor.observed}; {factor.explanation}"
    for floor in view.floors:
        yield from _line("floor", floor)
    yield from _line("missing", ", ".join(view.missing))
    yield from _line("better", view.improvements)
    for part in view.evidence:
        yield from _line(f"  {part.part}", "; ".join(part.says))
    yield from _signed_lines(view)
    yield from _line("evidence digest", view.evidence_digest)
    for condition in view.conditions:
        yield from _line("condition", condition)
    for decision in view.decisions:
        yield from _line("decision", _decision(decision))
    if view.changes is not None:
        yield from _comparison_lines(view.changes)
    yield from _line("needed", view.needed)
    yield from _line("", view.yours)
    yield from _line("outdated", view.outdated)
    for command in view.next:
        yield from _line("next", command)


def _ring(view: "RingView") -> str:
    said = f": {view.says}" if view.says else ""
    return f"into ring {view.ring} after ring {view.after}: {view.state}{said}"


def _renewal(view: "RenewalView") -> str:
    return (
        f"{view.name} for {view.request}: {view.state}, approved {view.at} by {view.by}, "
        f"until {view.ends}"
    )


def _signed_lines(view: "RequestView") -> Iterator[str]:
    if not view.signed:
        yield from _line("signed", "nothing: the evidence is declared by the team")
        return
    yield from _line("signed", "who speaks for each part:")
    for each in view.signed:
        says = f"{each.state}: {each.says}" if each.says else each.state
        yield from _line(f"  {each.part}", says)


def _exception_lines(view: "ExceptionView") -> Iterator[str]:
    yield from _line("CABException", f"{view.name}  {view.state}, ends {view.ends}")
    yield from _line("uid", view.uid)
    yield from _line("reason", view.reason)
    yield from _several("controls", view.controls)
    yield from _several("limits", view.limits)
    yield from _line("submitted by", ", ".join(view.submitters))
    for decision in view.decisions:
        yield from _line("decision", _decision(decision))


def _decision(view: "DecisionView") -> str:
    about = f" [{'; '.join(view.about)}]" if view.about else ""
    why = f": {view.rationale}" if view.rationale else ""
    return f"{view.at} {view.verdict} by {view.by}{about}{why}"


def _comparison_lines(changes: "Comparison") -> Iterator[str]:
    if changes.against:
        approved = f", {changes.approved}" if changes.approved else ""
        yield from _line("changes against", f"{changes.against}{approved}")
    else:
        yield from _line("changes against", "nothing: no request for its workloads is approved now")
    yield from _line("  score", changes.score)
    for each in changes.images:
        kept = f" ({each.kept} more as before)" if each.kept else ""
        yield f"  {each.workload}{kept}"
        yield from (f"    - {image}" for image in each.removed)
        yield from (f"    + {image}" for image in each.added)
    for each_change in changes.containers:
        yield f"  {each_change.workload}: {_doings(each_change)}"
        if not each_change.values:  # these are proved, and those declared
            yield from (f"    ~ {field}" for field in each_change.fields)
        for value in each_change.values:
            yield f"    ~ {value.field}"
            yield from (f"      - {text}" for text in [value.before] if text)
            yield from (f"      + {text}" for text in [value.now] if text)
    for change in changes.evidence:
        yield f"  {change.field}: {change.before or '(absent)'} -> {change.now or '(absent)'}"
    if changes.same:
        yield "  images, what the containers do, and evidence are the same"


def _doings(change: "ContainerChange") -> str:
    if change.before == "nothing":
        return "what its containers are to do"
    if change.now == change.before:
        return "its containers are to do something else"
    if change.before == "images alone":
        return "what its containers do is covered as well, which it was not"
    return "what its containers do is not covered any more, images alone are"


def _several(head: str, texts: Sequence[str]) -> Iterator[str]:
    for place, text in enumerate(texts):
        yield f"{head if place == 0 else '':<{WIDE - 1}} {text}"
