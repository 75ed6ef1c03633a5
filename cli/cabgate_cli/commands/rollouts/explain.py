# SPDX-License-Identifier: Apache-2.0
"""`cabgate explain`: whether a rollout would be admitted now, and why."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cabgate.api.changefreeze import POLICY_LABEL
from cabgate.api.kinds import GatedKind
from cabgate.lifecycle.limits.promotion import asks_before, to_look_at
from cabgate.lifecycle.state.standing import standings_of
from cabgate.lifecycle.state.validity import valid_until
from cabgate.rollout.earlier import without_claims
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import GATED_FROM
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.templates import Template
from cabgate.rollout.workloads import ANY_NAME, running_rollout, template_of
from cabgate.text.foreign import printed
from cabgate.views.explained import (
    Explanation,
    Surroundings,
    explained,
    explained_view,
    rings_of,
)
from cabgate.views.plain import plain
from cabgate_cli.commands.options import (
    cluster_options,
    default_ring_option,
    gated_kind_option,
    manifests_option,
    mode_option,
    namespace_option,
    output_option,
)
from cabgate_cli.errors import BadInput, Unavailable, note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.files.documents import Document, read_documents
from cabgate_cli.input.names import namespace_name
from cabgate_cli.input.workloads import (
    Wanted,
    check_spelling,
    configured,
    kind_in,
    kind_names,
    referred_among,
    rollout_in,
    selected_out,
    template_in,
    wanted,
)
from cabgate_cli.output.objects import as_json, as_yaml, write

if TYPE_CHECKING:
    from cabgate_cli.input.cluster.client import Cluster

WIDTH = 100
"""Columns of the text."""


@click.command(
    epilog="""\b
Examples:
  cabgate explain -n shop deployment/checkout
  cabgate explain shop/deployment/checkout
  cabgate explain -f deployment.yaml
  kubectl kustomize overlays/production | cabgate explain -f - -n shop
"""
    + of_command(
        "admitted, if only because the mode does not enforce", "denied, at least one of them"
    )
)
@click.argument("workloads", metavar="[[NAMESPACE/]KIND/NAME]...", nargs=-1)
@namespace_option
@manifests_option
@default_ring_option
@gated_kind_option
@mode_option
@output_option
@cluster_options
@click.pass_context
def explain(
    ctx: click.Context,
    workloads: tuple[str, ...],
    namespace: str | None,
    files: tuple[str, ...],
    default_ring: int | None,
    gated_kinds: tuple[str, ...],
    mode: str | None,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Say whether a rollout would be admitted now, and why.

    The rollout of a manifest (-f), or of a workload as it runs. The answer is the gate's own: the
    same requests, the same rules. Each request that names the workload is shown, the newest first,
    with what keeps it from admitting the rollout.
    """
    if not workloads and not files:
        raise BadInput("name a workload, such as deployment/checkout, or a manifest with -f FILE")
    given = configured(gated_kinds)
    if namespace is not None:
        namespace_name(namespace, "--namespace")
    documents = [document for path in files for document in read_documents(path)]
    from cabgate_cli.input.cluster.client import Cluster, context_namespace
    from cabgate_cli.input.cluster.installation import installation_of

    here = namespace or context_namespace(kubeconfig, context) or "default"
    try:
        cluster = Cluster(kubeconfig, context)
        installation = installation_of(cluster, default_ring=default_ring, mode=mode, kinds=given)
    except Unavailable:
        check_spelling(documents, given)  # what is wrong whatever the cluster says
        raise
    kinds = installation.kinds
    named = [_placed(argument, namespace, kinds) for argument in workloads]
    check_spelling(documents, kinds)
    gated = [(kind, doc) for doc in documents if (kind := kind_in(doc, kinds)) is not None]
    if not named and not gated:
        raise BadInput(f"{', '.join(files)}: holds no workload; allowed: {kind_names(kinds)}")
    explainer = _Explainer(cluster, installation)
    found = [explainer.running(item, place or here) for item, place in named]
    places = [str(document.metadata.get("namespace") or here) for _, document in gated]
    others = set() if namespace is None else selected_out(namespace, places)
    if not named and others.issuperset(places):
        raise BadInput(f"--namespace: the manifests hold no workload of namespace {namespace}")
    for place, (kind, document) in zip(places, gated, strict=True):
        if place in others:
            continue
        found.append(explainer.declared(kind, document, place, documents))
    _print(found, output)
    ctx.exit(ExitCode.OK if all(item.admitted for item in found) else ExitCode.NO)


def _placed(
    argument: str, namespace: str | None, kinds: Sequence[GatedKind]
) -> tuple[Wanted, str | None]:
    """A workload and its namespace, if the command line names one."""
    place = namespace
    if argument.count("/") == 2:
        place, _, argument = argument.partition("/")
        namespace_name(place, "NAMESPACE")
        if namespace not in (None, place):
            raise BadInput(f"--namespace: {namespace}, but {place}/{argument} says {place}")
    found = wanted(argument, kinds)
    if found.name.endswith(ANY_NAME) or not found.kind.templates:
        raise BadInput(f"{argument}: cannot be read from the cluster; give its manifest (-f FILE)")
    return found, place


class _Explainer:
    """Reads what a verdict rests on, and gives it."""

    def __init__(self, cluster: "Cluster", installation: InstallationSettings) -> None:
        from cabgate_cli.input.cluster.gate_source import GateSource

        self._cluster = cluster
        self._source = GateSource(cluster)
        self._installation = installation

    def running(self, item: Wanted, namespace: str) -> Explanation:
        """What the gate would say to what runs, if it were rolled out now."""
        content = self._cluster.workload(item, namespace)
        referred = self._cluster.referred(item.kind, content, namespace)
        try:
            rollout = running_rollout(item.kind, namespace, item.name, content, referred)
        except PodTemplateError as error:
            raise BadInput(f"{error}; allowed: a pod template that names its images") from None
        for owner in _metadata(content).get("ownerReferences") or []:
            if owner.get("controller"):
                note(
                    f"{item} belongs to {owner.get('kind')} {owner.get('name')}, which is what an "
                    "approval names; controllers make what belongs to it"
                )
        kept = template_of(item.kind, without_claims(content), referred)
        return self._explained(rollout, kept, _labels(content), {})

    def declared(
        self, kind: GatedKind, document: Document, namespace: str, beside: Sequence[Document]
    ) -> Explanation:
        """What the gate would say to a manifest, beside what is stored under its name."""
        try:
            content = document.content
            referred = referred_among(kind, content, beside)
            if referred is None:
                referred = self._cluster.referred(kind, content, namespace)
            named = rollout_in(kind, content, namespace, referred).workload
            old = None
            if not named.name.endswith(ANY_NAME):
                old = self._stored(Wanted(kind, named.name), namespace)
            rollout = rollout_in(kind, content, namespace, referred, old)
            kept = None
            if not (kind.is_pod and old):
                rollout = replace(rollout, template=template_in(kind, content, referred))
                kept = template_in(kind, without_claims(content), referred)
        except BadInput as error:
            raise BadInput(*(f"{document.source}: {line}" for line in error.problems)) from None
        return self._explained(rollout, kept, _labels(content), _labels(old or {}))

    def _stored(self, item: Wanted, namespace: str) -> dict[str, Any] | None:
        from cabgate_cli.input.cluster.client import NotFound

        try:
            return self._cluster.workload(item, namespace)
        except NotFound:
            return None

    def _explained(
        self,
        rollout: Rollout,
        kept: Template | None,
        labels: Mapping[str, str],
        before: Mapping[str, str],
    ) -> Explanation:
        """The verdict on a rollout; `kept` is what its containers do as revisions have it."""
        from cabgate_cli.input.viewer import now

        namespace, source = rollout.namespace, self._source
        of_namespace = source.namespace_labels(namespace)
        around = Surroundings(self._installation, of_namespace, labels, before)
        stored = source.requests_naming(namespace, rollout.workloads)
        requests = source.with_appliers(namespace, stored)
        ring = rings_of(rollout, around).effective
        freezes = source.freezes() if POLICY_LABEL in of_namespace else []
        ends = any(valid_until(each) for each in standings_of(requests))
        if freezes or ends or asks_before(requests, ring):
            ran = source.ran(rollout, kept)
            earlier = source.earlier_rings(requests, ring, rollout.template)
            meeting = to_look_at(requests, ring, rollout.images, earlier, now())
            earlier = replace(earlier, running=source.still_running(meeting))
            around = replace(around, freezes=freezes, ran=ran, earlier_rings=earlier)
        exceptions = source.exceptions(namespace) if requests else []
        return explained(rollout, around, requests, exceptions, now())


def _metadata(content: Mapping[str, Any]) -> Mapping[str, Any]:
    return content.get("metadata") or {}


def _labels(content: Mapping[str, Any]) -> Mapping[str, str]:
    return _metadata(content).get("labels") or {}


def _print(found: Sequence[Explanation], output: str) -> None:
    if output == "json":
        write("".join(as_json(plain(explained_view(item))) for item in found))
    elif output == "yaml":
        write("---\n".join(as_yaml(plain(explained_view(item))) for item in found))
    else:
        write("\n".join(as_text(item) for item in found))


def as_text(item: Explanation) -> str:
    """What is decided on a rollout, for people."""
    rollout, rings = item.rollout, item.rings
    gated = "gated" if rings.effective >= GATED_FROM else "not gated"
    lines = [
        f"Workload   {rollout.workload} in namespace {rollout.namespace}",
        *_column("Images", [printed(i) for i in rollout.images] or ["none that is new"]),
        f"Ring       {rings.effective}, {gated}: {_rings(item)}",
    ]
    if item.requests:
        lines.append("Requests   the newest first")
        for look in item.requests:
            lines += textwrap.wrap(
                f"{look.name} ({look.state}): {look.explanation}",
                WIDTH,
                initial_indent="  - ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    else:
        lines.append("Requests   none names it")
    lines.append(f"Decision   {_decided(item)}")
    if item.too_loose:
        lines.append(f"Mode       {item.mode}: {item.too_loose}")
    # On one line, so that the command in it can be copied.
    lines += ["", item.decision.message]
    lines += [f"Warning: {warning}" for warning in item.decision.warnings]
    return "\n".join(lines) + "\n"


def _decided(item: Explanation) -> str:
    if item.decision.allowed:
        return "admitted"
    if item.admitted:
        return f"admitted, since the mode is {item.mode}; Enforce would deny it"
    return "denied"


def _rings(item: Explanation) -> str:
    if item.rings.excluded:
        return f"the installation excludes namespace {item.rollout.namespace}"
    return f"namespace {item.rings.namespace}, workload {item.rings.workload}"


def _column(head: str, values: Sequence[str]) -> list[str]:
    return [f"{head if n == 0 else '':<10} {value}" for n, value in enumerate(values)]
