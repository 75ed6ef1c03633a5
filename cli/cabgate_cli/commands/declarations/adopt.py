# SPDX-License-Identifier: Apache-2.0
"""`cabgate adopt`: intents for everything that runs in a namespace."""

import itertools
from collections.abc import Collection, Iterable
from typing import Any

import click

from cabgate.api.intent import MAX_NAME, DeploymentIntent
from cabgate.gate.coverage import TopLevel, top_level
from cabgate.rollout.targets import Workload
from cabgate_cli.commands.declarations.intent import intent_object, plain_name
from cabgate_cli.commands.options import (
    cluster_options,
    gated_kind_option,
    namespace_option,
    output_option,
)
from cabgate_cli.errors import BadInput, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.names import namespace_name
from cabgate_cli.input.workloads import Found, configured
from cabgate_cli.output.objects import write, write_machine
from cabgate_cli.output.skeleton import intent_yaml


@click.command(
    epilog="""\b
Examples:
  cabgate adopt -n shop > intents.yaml
  cabgate adopt -n shop | kubectl apply -f -
"""
    + of_command()
)
@namespace_option
@gated_kind_option
@output_option
@cluster_options
def adopt(
    namespace: str | None,
    gated_kinds: tuple[str, ...],
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Print an intent for each workload that has none.

    Of the workloads of a namespace: with every image that each runs now, also as what its evidence
    is about. The evidence is for you to complete. What is printed can be applied as it is: missing
    evidence scores worst, and is named. Workloads that an intent names are left alone, so that this
    can be run again at any time.
    """
    kinds = configured(gated_kinds)
    if namespace is not None:
        namespace_name(namespace, "--namespace")
    from cabgate_cli.input.cluster.client import Cluster, context_namespace
    from cabgate_cli.input.cluster.installation import installation_of
    from cabgate_cli.input.cluster.inventory import Inventory

    where = namespace or context_namespace(kubeconfig, context) or "default"
    cluster = Cluster(kubeconfig, context)
    installation = installation_of(cluster, kinds=kinds)
    if installation.excludes(where):
        note(
            f"nothing is gated in namespace {where}: the installation excludes it; no intent is "
            "needed"
        )
        return
    inventory = Inventory(cluster, installation, kinds)
    intents = inventory.source.intents(where)
    workloads = top_level(inventory.running(where))
    missing = [item for item in workloads if not _named(item, intents)]
    printed = _intents(missing, where, {intent.metadata.name for intent in intents})
    for item in workloads:
        _note_images(item, intents)
    if not printed:
        note(f"every workload of namespace {where} has an intent" if workloads else
             f"nothing runs in namespace {where}")  # fmt: skip
    elif output != "text":
        items = {"apiVersion": "v1", "kind": "List", "items": [one for one, _ in printed]}
        write_machine(items, output)
    else:
        write("---\n".join(intent_yaml(intent, [str(one)]) for intent, one in printed))


def _named(item: TopLevel, intents: Iterable[DeploymentIntent]) -> list[str]:
    """The images that intents name for a workload; none if no intent names it."""
    return [
        image
        for intent in intents
        for target in intent.spec.targets
        if Workload.of(target) in (item.workload, item.itself)
        for image in target.images
    ]


def _note_images(item: TopLevel, intents: Iterable[DeploymentIntent]) -> None:
    named = _named(item, intents)
    more = sorted(set(item.images) - set(named))
    if named and more:
        note(f"{item.workload} has an intent, which does not name what it runs: {', '.join(more)}")


def _intents(
    missing: Iterable[TopLevel], namespace: str, taken: Collection[str]
) -> list[tuple[dict[str, Any], Workload]]:
    """An intent for each workload, under a name of its own."""
    names, found = set(taken), []
    for item in missing:
        name = _free(item.workload, names)
        target = Found(item.api_version, item.workload, namespace, item.images)
        try:
            found.append((intent_object([target], namespace, name), item.workload))
        except BadInput as error:
            note(f"no intent for {item.workload}: {'; '.join(error.problems)}")
            continue
        names.add(name)
    return found


def _free(workload: Workload, taken: Collection[str]) -> str:
    """A name for the intent of a workload that no other has: the workload's if that is free."""
    plain, kind = plain_name(workload), workload.kind.lower()
    counted = (f"-{kind}-{number}" for number in itertools.count(2))
    for end in itertools.chain(("", f"-{kind}"), counted):
        name = plain[: MAX_NAME - len(end)].rstrip(".-") + end
        if name not in taken:
            return name
    raise AssertionError("numbers do not end")
