# SPDX-License-Identifier: Apache-2.0
"""`cabgate evidence verify`: who speaks for the evidence of an intent."""

from collections.abc import Sequence

import click

from cabgate.api.request import Provenance, ProvenanceState
from cabgate.api.signer import KIND, EvidenceSigner
from cabgate.text.foreign import printed
from cabgate_cli.commands.declarations.intent_update import from_file
from cabgate_cli.commands.options import gated_kind_option, intent_option, output_option
from cabgate_cli.errors import BadInput
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.files.documents import read_documents
from cabgate_cli.input.files.validation import checked
from cabgate_cli.input.viewer import now
from cabgate_cli.input.workloads import configured
from cabgate_cli.output.objects import write, write_machine
from cabgate_cli.output.views import table


@click.command(
    epilog="""\b
Examples:
  cabgate evidence verify -f intent.yaml --signer signer.yaml
  kubectl get evidencesigners -o yaml | cabgate evidence verify -f intent.yaml --signer -
"""
    + of_command(
        "every part that one of the signers speaks for is verified",
        "one is not, or is contradicted",
        cluster=False,
    ),
)
@intent_option
@click.option(
    "--signer",
    "signer_files",
    metavar="FILE",
    multiple=True,
    required=True,
    help="EvidenceSigners, YAML or JSON; - reads standard input. May be repeated.",
)
@click.option(
    "--namespace-label",
    "namespace_labels",
    metavar="KEY=VALUE",
    multiple=True,
    help="Label of the namespace, where a signer asks for more than its name. May be repeated.",
)
@click.option("--commit", metavar="SHA", help="Commit that what is signed has to name.")
@gated_kind_option
@output_option
@click.pass_context
def verify(
    ctx: click.Context,
    intent_file: str,
    signer_files: tuple[str, ...],
    namespace_labels: tuple[str, ...],
    commit: str | None,
    gated_kinds: tuple[str, ...],
    output: str,
) -> None:
    """Say who speaks for each part of the evidence.

    A part is Verified, Declared or Contradicted, as the cluster will see it with these signers.
    """
    from cabgate.risk.provenance import provenance_of

    if (intent_file, *signer_files).count("-") > 1:
        raise BadInput("-: standard input can be read once; allowed: for one of -f and --signer")
    intent = from_file(intent_file, configured(gated_kinds), "-f").intent
    signers = [signer for path in signer_files for signer in _signers(path)]
    labels = {"kubernetes.io/metadata.name": intent.metadata.namespace, **_labels(namespace_labels)}
    raw = [{"metadata": {"name": s.metadata.name}, "spec": s.spec.to_dict()} for s in signers]
    found = provenance_of(intent, labels, raw, now())
    if not found and intent.spec.evidence.attestations is None:
        raise BadInput(f"{intent_file}: nothing is signed; sign it: cabgate evidence sign")
    found = [_of_commit(each, commit) for each in found]
    if output == "text":
        write(table([["PART", "STATE", "SIGNER", "WHY"], *map(_row, found)]))
    else:
        write_machine({"provenance": [each.to_dict() for each in found]}, output)
    spoken = {section for signer in signers for section in signer.spec.speaks_for}
    asked = [each for each in found if each.section in spoken]
    if not asked or any(each.state is not ProvenanceState.VERIFIED for each in asked):
        ctx.exit(ExitCode.NO)


def _of_commit(found: Provenance, commit: str | None) -> Provenance:
    if commit is None or found.state is not ProvenanceState.VERIFIED or found.commit == commit:
        return found
    why = f"it is signed for commit {found.commit or '(none)'}"
    return found.model_copy(update={"state": ProvenanceState.DECLARED, "why": why})


def _signers(path: str) -> Sequence[EvidenceSigner]:
    from cabgate.risk.statements import KeyProblemError, public_key

    found = []
    for document in read_documents(path):
        if document.kind != KIND:
            raise BadInput(f"{document.source}: is a {document.kind}; allowed: {KIND}")
        signer = checked(EvidenceSigner, document.content, document.source)
        for number, key in enumerate(signer.spec.public_keys):
            try:
                public_key(key.key)
            except KeyProblemError as error:
                where = f"{document.source}: spec.publicKeys[{number}].key"
                raise BadInput(f"{where}: {error}") from None
        found.append(signer)
    return found


def _labels(given: Sequence[str]) -> dict[str, str]:
    for text in given:
        if "=" not in text:
            raise BadInput(f"--namespace-label: {text!r}; allowed: KEY=VALUE")
    return dict(text.split("=", 1) for text in given)


def _row(found: Provenance) -> list[str]:
    return [printed(text) for text in (found.section, found.state, found.signer or "-",
                                       found.why or "-")]  # fmt: skip
