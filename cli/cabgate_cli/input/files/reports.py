# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: PTH110, PTH112, PTH113, PTH118, PTH207 (of a place that nobody may look at, pathlib's raise)
"""Reports from files, and what changed from git."""

import glob
import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from os.path import exists, isdir, isfile
from pathlib import Path
from typing import Any

from cabgate.text.foreign import printed
from cabgate_cli.errors import BadInput, Unavailable
from cabgate_cli.input.files.documents import documents_in, read_text, shown_path
from cabgate_collect.documents import MAX_BYTES
from cabgate_collect.evidence import Report, asked_parts, evidence_of, judged, unscanned
from cabgate_collect.facts import Facts, Format, UnreadableReportError
from cabgate_collect.merits import Wanted
from cabgate_collect.reading import read_report
from cabgate_collect.scope import Touched, touched

MAX_FILES = 10_000
"""Reports that one pattern may match."""

_GIT_SECONDS = 60

_OF_FOLDER = ", which is a folder: give the files in it, in quotes, such as '{}/**/*.xml'"


@dataclass(frozen=True)
class Collected:
    """What reports come to."""

    evidence: dict[str, Any]
    """The parts of the evidence that they say."""
    parts: tuple[str, ...]
    """The parts that they were given for, whether they say them or not."""
    reports: tuple[Report, ...]
    notes: tuple[str, ...]
    """What a person has to know: the reports that do not count, and what was read how."""
    unscanned: tuple[str, ...]
    """Images that no scan is about, though there are scans of images."""


def collected(
    patterns: Mapping[Format, Sequence[str]],
    *,
    images: Sequence[str],
    targets: Sequence[str],
    commit: str | None,
    max_age: timedelta | None,
    now: datetime,
    components: int | None,
) -> Collected:
    """The evidence of all files that patterns match, by format. `images` are those that the reports
    are about, `targets` all those of the intent that it is for, if it is for one. Raises `BadInput`
    with one line for each file that cannot be read, and for each pattern that no file matches."""
    wanted = Wanted(now, tuple(dict.fromkeys(images)), commit, max_age)
    problems: list[str] = []
    found: list[tuple[str, str, Facts]] = []
    for format_ in Format:
        for path in _paths(format_, patterns[format_], problems):
            try:
                data = _read(path)
                facts = read_report(data, format_)
            except UnreadableReportError as error:
                problems.append(f"--{format_}: {path}: {error}")
                continue
            found.append((path, hashlib.sha256(data).hexdigest(), facts))
    if not wanted.images and any(facts.images is not None for _, _, facts in found):
        problems.append(
            "--image: absent, and a report is about one image; allowed: the image that the "
            "evidence is about, with its digest, or an intent that names it with -f"
        )
    if problems:
        raise BadInput(*problems)
    reports = judged(found, wanted)
    evidence = evidence_of(reports, wanted, components)
    parts = asked_parts(reports, scope=components is not None)
    without = unscanned(reports, replace(wanted, images=tuple(targets or wanted.images)))
    notes = [*_notes(reports), *_missing(parts, evidence)]
    if without:
        notes.append(
            f"no scan that counts is of {', '.join(without)}: artifacts[].images does not name it"
        )
    return Collected(evidence, parts, tuple(reports), tuple(notes), without)


def _paths(format_: Format, patterns: Sequence[str], problems: list[str]) -> Iterator[str]:
    """The files that patterns match, each once."""
    seen: set[str] = set()
    for pattern in patterns:
        matching = sorted(_matching(pattern))
        problems += [f"--{format_}: {pattern}: {what}" for what in _hidden(pattern)]
        if not matching:
            advice = _OF_FOLDER.format(Path(pattern)) if isdir(pattern) else ""
            problems.append(f"--{format_}: no file matches {pattern}{advice}")
        if len(matching) > MAX_FILES:
            problems.append(f"--{format_}: {pattern}: matches more than {MAX_FILES} files")
            continue
        for path in matching:
            place = os.path.realpath(path)
            if place not in seen:
                seen.add(place)
                yield path


def _matching(pattern: str) -> list[str]:
    if isfile(pattern):  # a name may have brackets
        return [pattern]
    found = glob.iglob(pattern, recursive=True, include_hidden=True)
    matching = []
    for path in found:
        if isfile(path) or not exists(path):  # what cannot be looked at is told so, not left out
            matching.append(path)
        if len(matching) > MAX_FILES:
            break
    return matching


def _hidden(pattern: str) -> Iterator[str]:
    """What a pattern cannot look into: folders that nobody but their owner may read, as what runs
    as root in a container leaves them."""
    for folder in _folders(pattern):
        if not os.access(folder, os.R_OK | os.X_OK):
            yield f"the folder {folder} cannot be read"


def _folders(pattern: str) -> Iterator[str]:
    """Those in which a pattern looks for files, links to folders themselves, and not what is in
    them: two that lead in a circle would have no end."""
    parts = Path(pattern).parent.parts
    deep = parts.index("**") if "**" in parts else len(parts)
    for root in glob.iglob(str(Path(*parts[:deep])), include_hidden=True):
        if isdir(root):
            yield root
        if deep < len(parts):
            for folder, names, _ in os.walk(root):
                yield from (os.path.join(folder, name) for name in names)


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableReportError(f"cannot be read: {error.strerror or error}") from None


def _notes(reports: Sequence[Report]) -> Iterator[str]:
    for report in reports:
        facts = report.facts
        if report.refused is not None:
            yield f"{report.path}: does not count: {report.refused}"
            continue
        for reading in facts.readings:
            yield f"{report.path}: {reading}"
        for why, number in facts.apart.items():
            yield f"{report.path}: {number} {why}, told apart and not counted"
        if facts.findings is None and facts.components is not None:
            yield (
                f"{report.path}: lists {facts.components} components and no vulnerability: a bill "
                "of materials, and no scan"
            )


def _missing(parts: Sequence[str], evidence: Mapping[str, Any]) -> Iterator[str]:
    for part in parts:
        if part not in evidence:
            yield f"{part} is missing: no report that counts says it"


def changed_components(ref: str, components_file: str) -> Touched:
    """The components that the files touch which changed since a commit. Raises `BadInput`,
    `Unavailable`."""
    components = _components(components_file)
    name = f"{ref}^{{commit}}"
    found = _git("rev-parse", "--verify", "--end-of-options", name)
    commit = found.stdout.decode(errors="replace").split()
    if found.returncode != 0 or len(commit) != 1:
        raise BadInput(
            f"--changed-since: {ref}: git knows no such commit here{_said(found)}; a shallow clone "
            "has no history: fetch it first (git fetch --unshallow --tags)"
        )
    # Not `git diff`: the configuration, and the .gitmodules of who wants to show less, have it
    # leave out submodules and what is outside of the folder.
    diff = _git("diff-tree", "-r", "--name-only", "--no-renames", "--ignore-submodules=none", "-z",
                commit[0], "HEAD", "--")  # fmt: skip
    if diff.returncode != 0:
        raise Unavailable(f"--changed-since: git diff-tree failed{_said(diff)}")
    changed = diff.stdout
    names = [name.decode("utf-8", "surrogateescape") for name in changed.split(b"\0") if name]
    return touched(names, components)


def _git(*args: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *args], capture_output=True, timeout=_GIT_SECONDS, check=False
        )
    except FileNotFoundError:
        raise Unavailable("--changed-since: git is not on the PATH: install it") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"--changed-since: git {args[0]} failed: {error}") from None


def _said(ran: subprocess.CompletedProcess[bytes]) -> str:
    text = printed(ran.stderr.decode(errors="replace"))
    return f" ({text[:300]})" if text else ""


def _components(path: str) -> dict[str, list[str]]:
    """Patterns of paths by the name of the component."""
    where = f"--components: {shown_path(path)}"
    documents = documents_in(read_text(path), where)
    content = documents[0].content if len(documents) == 1 else {}
    components = content.get("components")
    if set(content) != {"components"} or not isinstance(components, dict) or not components:
        raise BadInput(
            f"{where}: not a file of components; allowed: `components`, and below it for each name "
            'a list of path patterns, such as checkout: ["services/checkout/**"]'
        )
    for name, patterns in components.items():
        texts = isinstance(patterns, list) and all(isinstance(p, str) and p for p in patterns)
        if not texts or not patterns:
            raise BadInput(f"{where}: components.{name}: allowed: a list of path patterns")
    return components
