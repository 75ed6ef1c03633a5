# SPDX-License-Identifier: Apache-2.0
"""Collected evidence, printed alone or put into an intent."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from cabgate.api.kinds import GatedKind
from cabgate.text.foreign import printed
from cabgate_cli.commands.declarations.intent_update import Existing, put
from cabgate_cli.input.files.documents import Document
from cabgate_cli.input.files.reports import Collected
from cabgate_cli.input.files.validation import intent_from
from cabgate_cli.output.objects import as_yaml, write, write_machine
from cabgate_collect.evidence import Report, is_report


def images_of(existing: Existing) -> tuple[str, ...]:
    """The images of the targets of an intent."""
    named = (image for target in existing.intent.spec.targets for image in target.images)
    return tuple(dict.fromkeys(named))


def print_evidence(found: Collected, output: str) -> None:
    """Print evidence alone: for people as an intent has it, for programs with the reports and the
    notes beside it."""
    if output == "text":
        comments = "".join(f"# {_report_comment(report)}\n" for report in found.reports)
        write(comments + as_yaml({"evidence": found.evidence}))
        return
    machine = {
        "evidence": found.evidence,
        "reports": [dict(_machine(report)) for report in found.reports],
        "notes": list(found.notes),
    }
    write_machine(machine, output)


def put_into(
    existing: Existing,
    found: Collected,
    kinds: Sequence[GatedKind],
    *,
    output: str,
    in_place: bool,
) -> None:
    """Print an intent with the evidence in it, or write it where it stands. Raises `BadInput` for
    what the API server would refuse."""
    new = copy.deepcopy(existing.document.content)
    spec = new["spec"]
    evidence = dict(spec.get("evidence") or {})
    for part in found.parts:
        evidence.pop(part, None)
    evidence.pop("attestations", None)  # of what stood there before
    declared = list(_declared(evidence.get("artifacts") or [], found.unscanned))
    artifacts = [*declared, *found.evidence.get("artifacts", [])]
    read = {part: found.evidence[part] for part in found.parts if part in found.evidence}
    spec["evidence"] = {**evidence, **({"artifacts": artifacts} if artifacts else {}), **read}
    if not artifacts:
        spec["evidence"].pop("artifacts", None)
    intent_from(Document(existing.document.source, new), kinds)
    put(existing, new, output=output, in_place=in_place)


def _declared(artifacts: Sequence[dict[str, Any]], without: Sequence[str]) -> Iterator[Any]:
    """The artifacts that stand for no report, and of their images those that have a scan."""
    for artifact in artifacts:
        if is_report(artifact["name"]):
            continue
        images = artifact.get("images") or []
        kept = [image for image in images if image not in without]
        if kept or not images:
            yield {**artifact, **({"images": kept} if images else {})}


def _report_comment(report: Report) -> str:
    what = "does not count" if report.refused else ", ".join(_figures(report))
    return printed(f"{report.path}: {what} (sha256 {report.sha256})")


def _figures(report: Report) -> Iterator[str]:
    facts = report.facts
    if facts.tests is not None:
        yield ", ".join(f"{number} {name}" for name, number in asdict(facts.tests).items())
    if facts.lines is not None:
        yield f"{facts.lines.covered} of {facts.lines.total} lines covered"
    if facts.findings is not None:
        yield ", ".join(f"{number} {name}" for name, number in asdict(facts.findings).items())
    if facts.components is not None:
        yield f"{facts.components} components"


def _machine(report: Report) -> Iterator[tuple[str, Any]]:
    facts = report.facts
    yield from {
        "path": report.path,
        "format": facts.format.value,
        "sha256": report.sha256,
        "counted": report.refused is None,
    }.items()
    if report.refused is not None:
        yield "reason", report.refused
    for name in ("tests", "lines", "findings"):
        value = getattr(facts, name)
        if value is not None:
            yield name, asdict(value)
    if facts.components is not None:
        yield "components", facts.components
    if facts.apart:
        yield "apart", dict(facts.apart)
    if report.images:
        yield "images", list(report.images)
    if facts.made is not None:
        yield "madeAt", facts.made.at.isoformat(timespec="seconds").replace("+00:00", "Z")
