# SPDX-License-Identifier: Apache-2.0
"""`cabgate evidence sign`: the pipeline signs what it read, for these images and this intent."""

import copy
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from cabgate.api import DeploymentIntent
from cabgate.api.evidence import Attestation
from cabgate.api.signer import Section
from cabgate_cli.commands.declarations.evidence_sections import COLLECTED, sections_named
from cabgate_cli.commands.declarations.intent_update import from_file, put
from cabgate_cli.commands.options import (
    gated_kind_option,
    in_place_option,
    intent_option,
    output_option,
)
from cabgate_cli.errors import BadInput, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.files.documents import Document, read_text
from cabgate_cli.input.files.validation import intent_from
from cabgate_cli.input.viewer import now
from cabgate_cli.input.workloads import configured

if TYPE_CHECKING:
    from cabgate.risk.statements import PrivateKey

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@click.command(
    epilog="""\b
Examples:
  cabgate evidence sign --key shop-ci.key -f intent.yaml --in-place
  cabgate evidence sign --key shop-ci.key -f intent.yaml --commit "$GITHUB_SHA" | kubectl apply -f -
"""
    + of_command(cluster=False),
)
@click.option(
    "--key",
    "key_file",
    metavar="FILE",
    required=True,
    help="Private key, PEM: Ed25519 or ECDSA on P-256.",
)
@intent_option
@in_place_option
@click.option(
    "--section",
    "sections",
    metavar="PART",
    multiple=True,
    help=f"Part of the evidence to sign; default: those there are of {', '.join(COLLECTED)}. May "
    "be repeated.",
)
@click.option("--commit", metavar="SHA", help="Commit that was built, for people.")
@click.option("--builder", metavar="URL", help="Run of the pipeline, for people.")
@gated_kind_option
@output_option
def sign(
    key_file: str,
    intent_file: str,
    in_place: bool,
    sections: tuple[str, ...],
    commit: str | None,
    builder: str | None,
    gated_kinds: tuple[str, ...],
    output: str,
) -> None:
    """Sign the evidence of an intent.

    What is signed says the evidence, the digests of all images of the targets, namespace and name
    of the intent, and the time; it speaks for nothing else. It is added to
    spec.evidence.attestations, in the place of what was signed of the same parts before.
    """
    if in_place and intent_file == "-":
        raise BadInput("--in-place: there is no file to write; allowed: with -f FILE")
    if key_file == "-" == intent_file:
        raise BadInput("--key: standard input is taken by -f; allowed: a file for one of the two")
    if commit is not None and _COMMIT.fullmatch(commit) is None:
        raise BadInput(f"--commit: {commit!r}; allowed: a commit in full, 40 or 64 hex digits")
    if builder is not None and len(builder) > 256:
        raise BadInput("--builder: allowed: up to 256 characters")
    kinds = configured(gated_kinds)
    key = _key(key_file)
    existing = from_file(intent_file, kinds, "-f")
    intent = existing.intent
    wanted = _wanted(intent, sections_named(sections))
    _tell_of_typed(intent, wanted)
    people = {"commit": commit, "builder": builder, "collector": f"cabgate {version('cabgate')}"}
    made = _signed(key, intent, wanted, {name: text for name, text in people.items() if text})
    new = copy.deepcopy(existing.document.content)
    kept = [each.to_dict() for each in _kept(intent, wanted)]
    new["spec"]["evidence"]["attestations"] = [*kept, made.to_dict()]
    dropped = len(intent.spec.evidence.attestations or ()) - len(kept)
    if dropped:
        note(f"{dropped} of what was signed before: taken out")
    intent_from(Document(existing.document.source, new), kinds)
    put(existing, new, output=output, in_place=in_place)


def _key(path: str) -> "PrivateKey":
    from cabgate.risk.statements import KeyProblemError, private_key

    try:
        return private_key(read_text(path).encode())
    except KeyProblemError as error:
        raise BadInput(f"--key: {path} {error}; make one: cabgate evidence keygen") from None


def _wanted(intent: DeploymentIntent, named: Sequence[Section]) -> list[Section]:
    from cabgate.risk.statements import sections_of

    there = sections_of(intent.spec.evidence)
    missing = [each.value for each in named if each not in there]
    if missing:
        raise BadInput(f"--section: the evidence has no {', '.join(missing)}")
    found = list(named) or [each for each in there if each.value in COLLECTED]
    if not found:
        raise BadInput(
            f"spec.evidence: nothing to sign: has none of {', '.join(COLLECTED)}; read reports "
            "(cabgate evidence collect), or name another part (--section)"
        )
    return found


def _tell_of_typed(intent: DeploymentIntent, sections: Sequence[Section]) -> None:
    """Results that name no report were typed in, as far as can be seen: a key is to speak for them
    with open eyes."""
    evidence = intent.spec.evidence
    reports = {
        Section.TEST_RESULTS: evidence.test_results,
        Section.SCAN_RESULTS: evidence.scan_results,
    }
    for section, report in reports.items():
        if section in sections and report is not None and report.sha256 is None:
            note(
                f"{section}: signed, though it names no report by sha256, as what "
                "`cabgate evidence collect` reads does; was it typed in?"
            )


def _signed(
    key: "PrivateKey", intent: DeploymentIntent, sections: Sequence[Section], people: dict[str, str]
) -> Attestation:
    from cabgate.risk.statements import image_digests, signed_statement

    meta = intent.metadata
    if not meta.namespace:
        raise BadInput("metadata.namespace: absent; what is signed holds in one namespace")
    digests = {}
    for image, digest in image_digests(intent.spec.targets).items():
        if digest is None:
            raise BadInput(
                f"spec.targets: {image} has no digest (@sha256:...); what is signed is about the "
                "digests of images"
            )
        digests[image] = digest
    return signed_statement(
        key,
        digests=digests,
        namespace=meta.namespace,
        intent=meta.name,
        evidence=intent.spec.evidence,
        sections=sections,
        now=now(),
        people=people,
    )


def _kept(intent: DeploymentIntent, sections: Sequence[Section]) -> list[Attestation]:
    """What others signed of other parts, for these images."""
    from cabgate.risk.statements import DoubtError, image_digests, statement_of

    images = set(image_digests(intent.spec.targets).values())
    kept = []
    for each in intent.spec.evidence.attestations or ():
        try:
            statement, _, _ = statement_of(each)
        except DoubtError:
            continue
        if statement.digests == images and not set(statement.sections) & set(sections):
            kept.append(each)
    return kept
