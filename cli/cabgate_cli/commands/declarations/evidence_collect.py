# SPDX-License-Identifier: Apache-2.0
"""`cabgate evidence collect`: reports of tests, scans and coverage become evidence."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta

import click

from cabgate.api.evidence import NO_IMAGE_CHARACTER
from cabgate_cli.commands.declarations.evidence_printed import images_of, print_evidence, put_into
from cabgate_cli.commands.declarations.intent_update import from_file
from cabgate_cli.commands.options import (
    Command,
    Duration,
    gated_kind_option,
    in_place_option,
    output_option,
)
from cabgate_cli.errors import BadInput, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.files.reports import changed_components, collected
from cabgate_cli.input.viewer import now
from cabgate_cli.input.workloads import configured
from cabgate_collect.facts import Format

_COMMIT = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")


class _Command(click.Command):
    """Whoever asks for another format is told those that there are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            formats = ", ".join(f"--{name}" for name in Format)
            raise BadInput(
                f"{error.option_name}: no such option; known formats of reports: {formats}"
            ) from None
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message.lower():
                raise
            raise BadInput(
                f"{error.message}: give each file or pattern with its option, and a pattern in "
                "quotes, such as --junit 'reports/**/*.xml'"
            ) from None


def _format_option(name: str, what: str) -> Callable[[Command], Command]:
    return click.option(
        f"--{name}",
        f"of_{name.replace('-', '_')}",
        metavar="PATTERN",
        multiple=True,
        help=f"{what} May be repeated.",
    )


@click.command(
    cls=_Command,
    epilog="""\b
Examples:
  cabgate evidence collect --junit 'reports/**/*.xml' --cobertura coverage.xml
  cabgate evidence collect --junit report.xml --trivy trivy.json -f intent.yaml --in-place
  cabgate intent -n shop deploy/checkout --image registry.example.com/checkout@sha256:... \\
    | cabgate evidence collect --junit report.xml --trivy trivy.json -f - | kubectl apply -f -
  cabgate evidence collect --changed-since v1.4.0 --components components.yaml -o json
"""
    + of_command("done; a report that does not count is told in a note", cluster=False),
)
@_format_option("junit", "Test reports, JUnit XML; in quotes, ** for any folders.")
@_format_option("cobertura", "Coverage, Cobertura XML.")
@_format_option("jacoco", "Coverage, JaCoCo XML.")
@_format_option("coverage-py", "Coverage, of `coverage json`.")
@_format_option("sarif", "Findings, SARIF 2.")
@_format_option("trivy", "Findings in an image, of `trivy image --format json`.")
@_format_option("cyclonedx", "Bill of materials, CycloneDX JSON, with its vulnerabilities.")
@click.option(
    "--image",
    "images",
    metavar="IMAGE",
    multiple=True,
    help="Image that the reports are about, best with its digest; default, and with -f the only "
    "ones: those of its targets. May be repeated.",
)
@click.option(
    "--commit", metavar="SHA", help="Commit that the reports have to be of, where they name one."
)
@click.option(
    "--max-age",
    type=Duration(),
    help="Oldest that a report may be, such as 24h; one that does not say counts not.",
)
@click.option(
    "--changed-since",
    metavar="REF",
    help="Commit or tag that runs now: git says what changed since, --components what it touches.",
)
@click.option(
    "--components",
    "components_file",
    metavar="FILE",
    help="YAML: `components`, a list of path patterns for each name.",
)
@click.option(
    "-f",
    "--filename",
    "intent_file",
    metavar="FILE",
    help="Intent to put the evidence into, instead of printing it alone; - reads standard input.",
)
@in_place_option
@gated_kind_option
@output_option
def collect(
    images: tuple[str, ...],
    commit: str | None,
    max_age: float | None,
    changed_since: str | None,
    components_file: str | None,
    intent_file: str | None,
    in_place: bool,
    gated_kinds: tuple[str, ...],
    output: str,
    **patterns: tuple[str, ...],
) -> None:
    """Read test, scan and coverage reports into evidence.

    Counts are taken from the reports, and each report's SHA-256 is kept. Where a report can be
    read two ways, the worse reading counts, and a note says so. A report of another image, of
    another commit or older than --max-age is told in a note, and does not count. One that cannot
    be read, and a pattern that no file matches, end the command with 2.

    Of an intent (-f) the test results, the scan results and the scope that reports are given for
    are replaced, and with them the artifacts of reports; all else stays.
    """
    if in_place and intent_file in (None, "-"):
        raise BadInput("--in-place: there is no file to write; allowed: with -f FILE")
    if commit is not None and _COMMIT.fullmatch(commit) is None:
        raise BadInput(f"--commit: {commit!r}; allowed: a commit in full, 40 or 64 hex digits")
    if (changed_since is None) != (components_file is None):
        raise BadInput("--changed-since and --components: allowed: both, or neither")
    of_formats = {name: patterns[f"of_{name.replace('-', '_')}"] for name in Format}
    if not any(of_formats.values()) and changed_since is None:
        raise BadInput(
            "nothing to read: give reports with "
            + ", ".join(f"--{name}" for name in Format)
            + ", or --changed-since"
        )
    kinds = configured(gated_kinds)
    existing = None if intent_file is None else from_file(intent_file, kinds, "-f")
    targets = () if existing is None else images_of(existing)
    _check_images(images, targets)
    touched = None
    if changed_since is not None and components_file is not None:
        touched = changed_components(changed_since, components_file)
    found = collected(
        of_formats,
        images=images or targets,
        targets=targets,
        commit=commit,
        max_age=None if max_age is None else timedelta(seconds=max_age),
        now=now(),
        components=None if touched is None else touched.number,
    )
    for text in found.notes:
        note(text)
    if touched is not None and touched.folders:
        note(
            f"--components: of no component, so that each folder counts as one: "
            f"{_some(touched.folders)}"
        )
    if existing is None:
        print_evidence(found, output)
    else:
        put_into(existing, found, kinds, output=output, in_place=in_place)


def _check_images(images: Sequence[str], targets: Sequence[str]) -> None:
    """Raise `BadInput` for what is no image, and for one that the intent is not about: its reports
    would stand for another."""
    for image in images:
        if not image or re.search(NO_IMAGE_CHARACTER, image):
            raise BadInput(f"--image: {image!r}; allowed: an image, best with its digest")
        if targets and image not in targets:
            raise BadInput(
                f"--image: {image}: no target of -f has this image; allowed: "
                f"{_some(targets)}, or leave --image out"
            )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
