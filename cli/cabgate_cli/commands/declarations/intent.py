# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent`: a ready DeploymentIntent for running workloads or manifests."""

from itertools import repeat
from typing import Any

import click

from cabgate import API_VERSION
from cabgate.api import DeploymentIntent
from cabgate.api.intent import KIND, MAX_NAME
from cabgate.api.types import MAX_DECLARED_TARGETS
from cabgate.rollout.gated_targets import target_problems
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import ANY_NAME
from cabgate_cli.commands.declarations import intent_update
from cabgate_cli.commands.declarations.intent_template import (
    template_fields,
    told_templates,
    written_out,
)
from cabgate_cli.commands.options import (
    cluster_options,
    gated_kind_option,
    manifests_option,
    namespace_option,
    output_option,
)
from cabgate_cli.errors import BadInput, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.files.documents import read_documents
from cabgate_cli.input.files.validation import checked
from cabgate_cli.input.names import namespace_name, object_name
from cabgate_cli.input.workloads import (
    Found,
    configured,
    found_in,
    kind_names,
    merged,
    selected_out,
    wanted,
    with_images,
)
from cabgate_cli.output.objects import as_json, as_yaml, write
from cabgate_cli.output.skeleton import intent_yaml

MAX_ARTIFACT_NAME = 256
"""Longest name of an artifact, in characters."""


@click.command(
    epilog="""\b
Examples:
  cabgate intent -n shop deployment/checkout > intent.yaml
  cabgate intent -n shop deploy/checkout sts/orders --name shop-release
  cabgate intent -n shop deployment/checkout --image registry.example.com/checkout:1.5
  cabgate intent -n shop 'job/migrate-*' --image registry.example.com/migrate:1.5
  cabgate intent -f deployment.yaml
  kubectl kustomize overlays/production | cabgate intent -f - -n shop
  cabgate intent -f deployment.yaml --update intent.yaml --in-place
  cabgate intent -n shop deploy/checkout --image registry.example.com/checkout:1.6 --live
  cabgate intent -n shop -f deployment.yaml --live --template server
"""
    + of_command()
)
@click.argument("workloads", metavar="[KIND/NAME]...", nargs=-1)
@namespace_option
@click.option("--name", help="Name of the intent; default: the first workload's.")
@manifests_option
@click.option(
    "--image",
    "images",
    metavar="IMAGE",
    multiple=True,
    help="Image that the one named workload is to run; then no cluster is read. May be repeated.",
)
@click.option(
    "--update",
    "update_file",
    metavar="FILE",
    help="Bring the intent of FILE up to date; - reads standard input.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Bring the intent of the cluster up to date: --name, or the first workload's.",
)
@click.option(
    "-i", "--in-place", is_flag=True, help="Write FILE of --update instead of printing it."
)
@click.option(
    "--template",
    "template",
    type=click.Choice(["client", "server"]),
    help="Have the approval cover what the containers do as well: as the manifest or the running "
    "workload says (client), or as the API server would store it, with what other webhooks make "
    "of it (server, by a dry run).",
)
@gated_kind_option
@output_option
@cluster_options
def intent(
    workloads: tuple[str, ...],
    namespace: str | None,
    name: str | None,
    files: tuple[str, ...],
    images: tuple[str, ...],
    update_file: str | None,
    live: bool,
    in_place: bool,
    template: str | None,
    gated_kinds: tuple[str, ...],
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Print an intent for running workloads or manifests (-f).

    Targets and images are filled in, also as what the evidence is about (artifacts[].images): take
    out what you have no reports of. The evidence is for you to complete. What is printed can be
    applied as it is: missing evidence scores worst, and is named.

    A workload is KIND/NAME, such as deployment/checkout; kubectl's short names work. Jobs and Pods
    with generated names are named by their generateName and *, such as 'job/migrate-*'.

    --update and --live print an intent that is there with the images of these workloads, and with
    these workloads as targets too. Evidence about images that no target has any more is dropped,
    and the reports with the last of it; nothing is added to the evidence, all else stays.

    With --template each target also says what its containers do (commands, variables, volumes,
    securityContext and the like, as digests): the gate then denies a rollout that does anything
    else.
    """
    _check_options(update_file, name, live=live, in_place=in_place)
    if not workloads and not files:
        raise BadInput("name a workload, such as deployment/checkout, or a manifest with -f FILE")
    kinds = configured(gated_kinds)
    named = [wanted(argument, kinds) for argument in workloads]
    if namespace is not None:
        namespace_name(namespace, "--namespace")
    if name is not None:
        object_name(name, "--name", MAX_NAME)
    existing = None
    if update_file is not None:
        existing = intent_update.from_file(update_file, kinds)
        namespace = _agreed(namespace, existing)
    documents = [document for path in files for document in read_documents(path)]
    declared = found_in(documents, kinds)
    if not named and not declared:
        raise BadInput(
            f"{', '.join(files)}: holds no workload; allowed: {kind_names()}, "
            "and what --gated-kind names"
        )
    where, declared = _namespace(namespace, declared, kubeconfig, context)
    running: list[Found] = []
    if images:
        if len(named) != 1 or files:
            raise BadInput("--image: says what one workload is to run: name one, and no file")
        running = [with_images(named[0], images)]
    elif named:
        from cabgate_cli.input.cluster.client import read_running

        running = [read_running(item, where, kubeconfig, context) for item in named]
    found = told_templates(
        merged([*running, *declared]), kinds, template, where, kubeconfig, context
    )
    if not found:
        raise BadInput(f"--namespace: the manifests hold no workload of namespace {where}")
    if live:
        existing = intent_update.from_cluster(
            name or _first_name(found), where, kinds, kubeconfig, context
        )
    if existing is None:
        _print(found, where, name, output)
    else:
        intent_update.update(existing, found, kinds, output=output, in_place=in_place)


def _check_options(
    update_file: str | None, name: str | None, *, live: bool, in_place: bool
) -> None:
    """Refuse options that do not go together."""
    if update_file is not None and live:
        raise BadInput("--live: the intent is that of --update FILE; allowed: one of the two")
    if update_file is not None and name is not None:
        raise BadInput("--name: the intent of --update FILE has a name; allowed: without --name")
    if in_place and update_file in (None, "-"):
        raise BadInput("--in-place: there is no file to write; allowed: with --update FILE")


def _agreed(given: str | None, existing: intent_update.Existing) -> str | None:
    """The namespace, where both the command line and the intent may name it."""
    own = existing.namespace
    if given is not None and own is not None and given != own:
        raise BadInput(f"--namespace: {given}; allowed: {own}, as the intent of --update says")
    return given or own


def _namespace(
    given: str | None, declared: list[Found], kubeconfig: str | None, context: str | None
) -> tuple[str, list[Found]]:
    """The one namespace of the intent, and what is declared for it: its targets are all in there.

    Of manifests for several namespaces `--namespace` selects.
    """
    stated = sorted({item.namespace for item in declared if item.namespace})
    if given is None and len(stated) > 1:
        raise BadInput(
            f"the manifests are for the namespaces {', '.join(stated)}; an intent covers only its "
            "own: select one with --namespace"
        )
    if given is not None:
        others = selected_out(given, stated)
        return given, [item for item in declared if item.namespace not in others]
    if stated:
        return stated[0], declared
    from cabgate_cli.input.cluster.client import context_namespace

    return context_namespace(kubeconfig, context) or "default", declared


def _print(found: list[Found], namespace: str, name: str | None, output: str) -> None:
    """One intent for at most `MAX_DECLARED_TARGETS` workloads, so several for more."""
    first = plain_name(found[0].workload) if name else _first_name(found)
    most = MAX_DECLARED_TARGETS
    parts = [found[n : n + most] for n in range(0, len(found), most)]
    names = [name or first]
    if len(parts) > 1:
        names = [f"{name or first}-{number}" for number in range(1, len(parts) + 1)]
        note(
            f"{len(found)} workloads, and an intent names {most} at most: {len(parts)} "
            f"intents, {', '.join(names)}. Each is scored, approved and rolled out by itself"
        )
    printed = [intent_object(*pair) for pair in zip(parts, repeat(namespace), names)]
    if output == "json":
        of_several = {"apiVersion": "v1", "kind": "List", "items": printed}
        write(as_json(printed[0] if len(printed) == 1 else of_several))
    elif output == "yaml":
        write("---\n".join(as_yaml(obj) for obj in printed))
    else:
        texts = [
            intent_yaml(obj, [str(item.workload) for item in part])
            for obj, part in zip(printed, parts, strict=True)
        ]
        write("---\n".join(texts))


def _first_name(found: list[Found]) -> str:
    """The name of an intent for some workloads, if none is given."""
    first = plain_name(found[0].workload)
    if len(first) > MAX_NAME:
        raise BadInput(f"the name {first} is too long for an intent; give another with --name")
    return first


def plain_name(workload: Workload) -> str:
    """The name of a workload as an object may have it: of a generated name, what stands before
    the `*` may end as no name does."""
    return workload.name.rstrip(f"{ANY_NAME}.-")


def intent_object(found: list[Found], namespace: str, name: str) -> dict[str, Any]:
    """The intent for some workloads; raises `BadInput` for what the API server would refuse.

    Its evidence says what it is about and nothing else: the images, as the targets name them.
    """
    targets = [
        {
            "apiVersion": item.api_version,
            "kind": item.workload.kind,
            "name": item.workload.name,
            "images": list(item.images),
            **template_fields(item),
        }
        for item in found
    ]
    artifacts = [
        {"name": item.workload.argument[:MAX_ARTIFACT_NAME], "images": list(item.images)}
        for item in found
    ]
    written = written_out(found)
    forms = {"templateForms": written} if written else {}
    printed = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"targets": targets, **forms, "evidence": {"artifacts": artifacts}},
    }
    intent = checked(DeploymentIntent, printed)
    problems = [str(each) for each in target_problems(intent.spec.targets) if each.final]
    if problems:
        raise BadInput(*problems)
    return printed
