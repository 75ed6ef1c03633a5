# SPDX-License-Identifier: Apache-2.0
"""SARIF 2: the severity of a result is its own, or its rule's, and the worse where two say it."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from cabgate_collect.documents import read_json
from cabgate_collect.facts import (
    Facts,
    Findings,
    Format,
    Moment,
    Severity,
    UnreadableReportError,
    named_images,
)

_NOT_FINDINGS = frozenset({"pass", "notApplicable"})
_LEVELS = {
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "note": Severity.LOW,
    "none": Severity.LOW,
}
_DEFAULT_LEVEL = "warning"


class _Properties(Struct):
    severity: str | float | None = field(default=None, name="security-severity")


class _Configuration(Struct):
    level: str | None = None


class _Rule(Struct):
    id: str = ""
    default: _Configuration | None = field(default=None, name="defaultConfiguration")
    properties: _Properties | None = None


class _Component(Struct):
    name: str = ""
    guid: str | None = None
    version: str | None = None
    semantic: str | None = field(default=None, name="semanticVersion")
    rules: list[_Rule] | None = None


class _Tool(Struct):
    driver: _Component
    extensions: list[_Component] | None = None


class _ComponentReference(Struct):
    index: int | None = None
    guid: str | None = None
    name: str | None = None


class _RuleReference(Struct):
    id: str | None = None
    index: int | None = None
    component: _ComponentReference | None = field(default=None, name="toolComponent")


class _Suppression(Struct):
    status: str | None = None


class _Result(Struct):
    rule_id: str | None = field(default=None, name="ruleId")
    rule_index: int | None = field(default=None, name="ruleIndex")
    rule: _RuleReference | None = None
    level: str | None = None
    kind: str | None = None
    baseline: str | None = field(default=None, name="baselineState")
    suppressions: list[_Suppression] | None = None
    properties: _Properties | None = None


class _Override(Struct):
    descriptor: _RuleReference
    configuration: _Configuration | None = None


class _Invocation(Struct):
    overrides: list[_Override] | None = field(default=None, name="ruleConfigurationOverrides")
    successful: bool | None = field(default=None, name="executionSuccessful")
    ended: str | None = field(default=None, name="endTimeUtc")


class _Provenance(Struct):
    revision: str | None = field(default=None, name="revisionId")


class _RunProperties(Struct):
    """Of a scan of an image, by Trivy."""

    image: str | None = field(default=None, name="imageName")
    tags: list[str] | None = field(default=None, name="repoTags")
    digests: list[str] | None = field(default=None, name="repoDigests")


class _Elsewhere(Struct):
    results: Any = None


class _Run(Struct):
    tool: _Tool
    results: list[_Result] | None = None
    invocations: list[_Invocation] | None = None
    provenance: list[_Provenance] | None = field(default=None, name="versionControlProvenance")
    properties: _RunProperties | None = None
    elsewhere: _Elsewhere | None = field(default=None, name="externalPropertyFileReferences")


class _Log(Struct):
    version: str
    runs: list[_Run]
    inline: Any = field(default=None, name="inlineExternalProperties")


class _Tally:
    """The findings of all runs, and what was doubtful of them."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.apart: Counter[str] = Counter()
        self.doubts: Counter[str] = Counter()

    def take(self, result: _Result, rules: "_Rules") -> None:
        """Count one result, or say why not."""
        if result.kind in _NOT_FINDINGS:
            self.apart[result.kind or ""] += 1
        elif result.baseline == "absent":
            self.apart["absent"] += 1
        elif _is_suppressed(result):
            self.apart["suppressed"] += 1
        else:
            self.findings = self.findings.plus(self._severity(result, rules))

    def _severity(self, result: _Result, rules: "_Rules") -> Severity:
        properties = [result.properties, *(rule.properties for rule in rules.of(result))]
        scores = [each.severity for each in properties if each and each.severity is not None]
        if scores:
            found = [self._of_score(score) for score in scores]
        elif result.level is not None:
            found = [self._of_level(result.level)]
        else:
            found = [self._of_level(level) for level in rules.levels(result)]
        if len(set(found)) > 1:
            self.doubts["results have two severities: the worse counts"] += 1
        return Severity.worst(*found)

    def _of_score(self, text: str | float) -> Severity:
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        if 0 <= score < math.inf:
            return Severity.of_score(score)
        self.doubts["results have a security-severity that is no score: they count as high"] += 1
        return Severity.HIGH

    def _of_level(self, level: str) -> Severity:
        if level not in _LEVELS:
            self.doubts["results have a level that SARIF does not know: they count as high"] += 1
        return _LEVELS.get(level, Severity.HIGH)


def _is_suppressed(result: _Result) -> bool:
    """Whether somebody suppressed it, and nobody has to accept that yet."""
    found = result.suppressions or []
    return bool(found) and all(each.status in (None, "accepted") for each in found)


def _is_same(component: _Component, reference: _ComponentReference) -> bool:
    """Whether a reference names a component, by its GUID or else by its name."""
    if reference.guid is not None:
        return reference.guid == component.guid
    return reference.name is not None and reference.name == component.name


class _Rules:
    """The rules of a run, by index and by id."""

    def __init__(self, run: _Run) -> None:
        tool = run.tool
        self._driver = tool.driver.rules or []
        self._extensions = tool.extensions or []
        self._by_id: dict[str, list[_Rule]] = defaultdict(list)
        for rules in (tool.driver.rules, *(each.rules for each in self._extensions)):
            for rule in rules or []:
                self._by_id[rule.id].append(rule)
        self._overridden: dict[int | str | None, list[str]] = defaultdict(list)
        for invocation in run.invocations or []:
            for override in invocation.overrides or []:
                level = override.configuration.level if override.configuration else None
                if level is not None:
                    rules = self.of(_Result(rule=override.descriptor))
                    for key in (*map(id, rules), override.descriptor.id):
                        self._overridden[key].append(level)

    def of(self, result: _Result) -> list[_Rule]:
        """The rules of a result: those of its index and of its id, which should be one."""
        found = {id(rule): rule for rule in (*self._indexed(result), *self._named(result))}
        return list(found.values())

    def levels(self, result: _Result) -> list[str]:
        """The levels that its rules have, and that an invocation gave them."""
        rules = self.of(result)
        found = [(rule.default and rule.default.level) or _DEFAULT_LEVEL for rule in rules]
        keys: list[int | str | None] = [*map(id, rules), result.rule_id or ""]
        for key in keys:
            found += self._overridden.get(key, [])
        return found or [_DEFAULT_LEVEL]

    def _indexed(self, result: _Result) -> Iterator[_Rule]:
        reference = result.rule or _RuleReference()
        component = reference.component or _ComponentReference()
        rules = self._driver
        for place, extension in enumerate(self._extensions):
            if place == component.index or _is_same(extension, component):
                rules = extension.rules or []
        for index in (result.rule_index, reference.index):
            if index is not None and 0 <= index < len(rules):
                yield rules[index]

    def _named(self, result: _Result) -> Iterator[_Rule]:
        """Of an id such as CA1000/1 that no rule has, those of what stands before the slash."""
        for name in (result.rule_id or "", result.rule.id or "" if result.rule else ""):
            known = name
            while known and known not in self._by_id:
                known = known.rpartition("/")[0]
            if known:
                yield from self._by_id[known]


def _why_nothing(log: _Log) -> str | None:
    """Why a log says nothing, if one of its runs says nothing."""
    runs = log.runs
    if not runs:
        return "holds no run"
    if log.inline or any(run.elsewhere and run.elsewhere.results for run in runs):
        return "has results in other files or apart from its runs, where they are not read"
    for run in runs:
        name = run.tool.driver.name[:60] or "a tool"
        if any(each.successful is False for each in run.invocations or []):
            return f"says that {name} did not end well (executionSuccessful is false)"
        if run.results is None:
            return f"holds no results of {name}, not even an empty list: it did not run"
    return None


def _made(runs: list[_Run]) -> Moment | None:
    """When the earliest of the runs ended; None if one of them does not say."""
    found: list[Moment] = []
    for run in runs:
        ends = [Moment.read(each.ended or "") for each in run.invocations or []]
        moments = [moment for moment in ends if moment is not None]
        if not moments:
            return None
        found += moments
    return min(found, key=lambda moment: moment.at, default=None)


def _images(runs: list[_Run]) -> tuple[str, ...] | None:
    """The image that a run says it is of."""
    found: list[str] = []
    for run in runs:
        about = run.properties or _RunProperties()
        found += named_images(about.image or "", about.tags or [], about.digests or [])
    return tuple(dict.fromkeys(filter(None, found))) or None


def parse(data: bytes) -> Facts:
    """The facts of a log. Raises `UnreadableReportError`."""
    log = read_json(data, _Log)
    if not log.version.startswith("2."):
        raise UnreadableReportError(f"version {log.version[:20]!r}; allowed: SARIF 2.1.0")
    tally = _Tally()
    for run in log.runs:
        rules = _Rules(run)
        for result in run.results or []:
            tally.take(result, rules)
    nothing = _why_nothing(log)
    drivers = [run.tool.driver for run in log.runs]
    return Facts(
        Format.SARIF,
        findings=None if nothing else tally.findings,
        apart=dict(tally.apart),
        tools=tuple(f"{d.name} {d.semantic or d.version or ''}".strip() for d in drivers),
        commits=tuple(p.revision for r in log.runs for p in r.provenance or [] if p.revision),
        images=_images(log.runs),
        made=_made(log.runs),
        nothing=nothing,
        readings=tuple(f"{number} of its {text}" for text, number in tally.doubts.items()),
    )
