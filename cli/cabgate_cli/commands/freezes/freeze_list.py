# SPDX-License-Identifier: Apache-2.0
"""`cabgate freeze list`: which freezes hold at a moment, and where."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from cabgate.api import ChangeFreeze
from cabgate.api.changefreeze import KIND, MAX_NAME, POLICY_LABEL
from cabgate.lifecycle.limits.freezes import declared_by
from cabgate.rollout.installation import InstallationSettings
from cabgate.text.foreign import printed
from cabgate.text.moments import rfc3339
from cabgate.views.freezes import (
    HeldFreeze,
    held_freezes,
    namespaces_text,
    nothing_frozen,
    override_advice,
    rings_text,
)
from cabgate.views.plain import plain
from cabgate_cli.commands.freezes.freeze_options import Label
from cabgate_cli.commands.options import (
    MOMENT,
    check_one_source,
    cluster_options,
    manifests_option,
    output_option,
)
from cabgate_cli.errors import BadInput, note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.files.documents import Document, read_documents
from cabgate_cli.input.files.models import of_document
from cabgate_cli.input.names import namespace_name
from cabgate_cli.input.viewer import now
from cabgate_cli.output.objects import write, write_machine

Labels = dict[str, str]


@click.command(
    name="list",
    epilog="""\b
Examples:
  cabgate freeze list
  cabgate freeze list -n shop --at 2026-12-24
  cabgate freeze list -f christmas.yaml -n shop --at 2026-12-24T09:00:00Z \\
    --namespace-label cabgate.dev/change-policy=board
"""
    + of_command("nothing is frozen", "something is: one row for each freeze and its namespaces"),
)
@click.option("-n", "--namespace", metavar="NAME", help="Freezes in this namespace alone.")
@click.option(
    "--at",
    type=MOMENT,
    help="The moment, UTC; default: now. Of what was deleted meanwhile nothing is known.",
)
@click.option(
    "--namespace-label",
    "labels",
    type=Label(),
    metavar="KEY=VALUE",
    multiple=True,
    help="Label of the namespace of -n, which is not read then: its change policy "
    "(cabgate.dev/change-policy) and ring (cabgate.dev/ring). May be repeated.",
)
@manifests_option
@output_option
@cluster_options
@click.pass_context
def list_freezes(
    ctx: click.Context,
    namespace: str | None,
    at: datetime | None,
    labels: tuple[tuple[str, str], ...],
    files: tuple[str, ...],
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """List the change freezes that hold at a moment, and where.

    By the gate's own rule, for each namespace that carries a change policy and each gated ring that
    a rollout there can have. With -f freezes are read from manifests, and the namespaces among them
    are asked about; no cluster is.
    """
    check_one_source(files, kubeconfig, context)
    if namespace is not None:
        namespace_name(namespace, "--namespace")
    elif labels:
        raise BadInput("--namespace-label: of which namespace? Allowed: with -n NAME")
    own = {namespace: dict(labels)} if namespace is not None and labels else None
    if files:
        freezes, places = _of_files(files, namespace, own)
        settings = InstallationSettings()
    else:
        freezes, places, settings = _of_cluster(kubeconfig, context, namespace, own)
    if at is not None:
        freezes = declared_by(freezes, at)
    moment = at or now()
    found = held_freezes(freezes, places, settings, moment)
    if output != "text":
        machine = {"at": rfc3339(moment), "items": [plain(each) for each in found]}
        write_machine(machine, output)
    elif found:
        write(_table(found))
        note(override_advice(found[0]))
    else:
        note(nothing_frozen(places, settings, moment))
    ctx.exit(ExitCode.NO if found else ExitCode.OK)


def _of_files(
    files: Sequence[str], namespace: str | None, own: Mapping[str, Labels] | None
) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Labels]]:
    """Freezes and namespaces of manifests. Raises `BadInput`: a freeze that the API server would
    refuse holds nowhere."""
    documents = [document for path in files for document in read_documents(path)]
    freezes = [each for each in documents if each.kind == KIND]
    if not freezes:
        raise BadInput(f"{', '.join(files)}: holds no {KIND}; allowed: at least one")
    problems = [problem for each in freezes for problem in _problems(each)]
    if problems:
        raise BadInput(*problems)
    places = own or {
        place: labels
        for each in documents
        if (each.api_version, each.kind) == ("v1", "Namespace")
        for place, labels in [_namespace(each)]
        if namespace in (None, place)
    }
    if not places:
        raise BadInput(
            f"{', '.join(files)}: holds no such namespace; allowed: its manifest, or -n NAME with "
            f"--namespace-label {POLICY_LABEL}=POLICY"
        )
    return [each.content for each in freezes], places


def _namespace(document: Document) -> tuple[str, Labels]:
    """Name and labels of the manifest of a namespace."""
    name, labels = document.metadata.get("name"), document.metadata.get("labels") or {}
    place = namespace_name(str(name), f"{document.source}: metadata.name")
    if not isinstance(labels, dict) or not all(isinstance(each, str) for each in labels.values()):
        raise BadInput(f"{document.source}: metadata.labels: allowed: texts by name")
    return place, labels


def _problems(document: Document) -> list[str]:
    try:
        of_document(document, ChangeFreeze, MAX_NAME)
    except BadInput as error:
        return list(error.problems)
    return []


def _of_cluster(
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
    own: Mapping[str, Labels] | None,
) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Labels], InstallationSettings]:
    from cabgate_cli.input.cluster.client import Cluster
    from cabgate_cli.input.cluster.gate_source import GateSource
    from cabgate_cli.input.cluster.installation import installation_of

    cluster = Cluster(kubeconfig, context)
    source = GateSource(cluster)
    settings = installation_of(cluster)
    if own is None and namespace is not None:
        own = {namespace: source.namespace_labels(namespace)}
    places = source.namespaces() if own is None else own
    return source.freezes(), places, settings


def _table(found: Sequence[HeldFreeze]) -> str:
    rows = [["FREEZE", "UNTIL", "RINGS", "NAMESPACES", "TITLE"]]
    rows += [
        [
            printed(each.name),
            each.until or "-",
            rings_text(each.rings),
            namespaces_text(each.namespaces),
            printed(each.title),
        ]
        for each in found
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    return "".join(
        "   ".join([*(row[n].ljust(widths[n]) for n in range(4)), row[4]]) + "\n" for row in rows
    )
