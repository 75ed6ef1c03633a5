# SPDX-License-Identifier: Apache-2.0
"""`cabgate uncovered`: what runs in gated namespaces although nothing covers it now."""

from collections.abc import Sequence
from typing import Any

import click

from cabgate.gate.coverage import Uncovered
from cabgate.gate.verdict import Reason
from cabgate.text.foreign import printed
from cabgate_cli.commands.options import (
    cluster_options,
    default_ring_option,
    gated_kind_option,
    namespace_option,
    output_option,
)
from cabgate_cli.errors import BadInput, note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.names import namespace_name
from cabgate_cli.input.workloads import configured
from cabgate_cli.output.objects import write, write_machine

MAX_OBJECTS = 3
"""Objects that a row names beside their workload."""


@click.command(
    epilog="""\b
Examples:
  cabgate uncovered -n shop
  cabgate uncovered -A
  cabgate uncovered -A -o json | jq -r '.items[].namespace' | sort | uniq -c
"""
    + of_command("nothing runs uncovered", "something does: one row for each workload")
)
@namespace_option
@click.option(
    "-A", "--all-namespaces", "everywhere", is_flag=True, help="Look into every namespace."
)
@default_ring_option
@gated_kind_option
@output_option
@cluster_options
@click.pass_context
def uncovered(
    ctx: click.Context,
    namespace: str | None,
    everywhere: bool,
    default_ring: int | None,
    gated_kinds: tuple[str, ...],
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """List workloads whose images the gate would deny now.

    A verdict is given at admission, and what was admitted keeps running. So this finds what ran
    before its namespace was gated, whose approval was revoked or whose exception ended, and
    images that something put into Pods past the gate.
    """
    kinds = configured(gated_kinds)
    if everywhere and namespace is not None:
        raise BadInput("-A and -n: one of the two")
    if namespace is not None:
        namespace_name(namespace, "--namespace")
    from cabgate_cli.input.cluster.client import Cluster, context_namespace
    from cabgate_cli.input.cluster.installation import installation_of
    from cabgate_cli.input.cluster.inventory import Inventory

    where = namespace or context_namespace(kubeconfig, context) or "default"
    cluster = Cluster(kubeconfig, context)
    installation = installation_of(cluster, default_ring=default_ring, kinds=kinds)
    inventory = Inventory(cluster, installation, kinds)
    found = inventory.uncovered_everywhere() if everywhere else inventory.uncovered(where)
    if output != "text":
        machine = {"items": [_machine(item) for item in found]}
        write_machine(machine, output)
    elif found:
        write(as_table(found))
        for advice in advice_on(found):
            note(advice)
    elif not everywhere and installation.excludes(where):
        note(f"nothing is gated in namespace {where}: the installation excludes it")
    else:
        note(f"nothing runs uncovered in {'any namespace' if everywhere else f'namespace {where}'}")
    ctx.exit(ExitCode.NO if found else ExitCode.OK)


def _machine(item: Uncovered) -> dict[str, Any]:
    workload = item.workload
    return {
        "namespace": item.namespace,
        "workload": {"group": workload.group, "kind": workload.kind, "name": workload.name},
        "images": list(item.images),
        "reason": item.reason,
        "objects": [one.argument for one in item.objects],
    }


def advice_on(found: Sequence[Uncovered]) -> list[str]:
    """What to do about what runs uncovered; to write intents only where some are missing."""
    first = found[0]
    advice = [f"cabgate explain -n {first.namespace} {first.workload.argument} says why"]
    without = next((item for item in found if item.reason == Reason.NO_REQUEST), None)
    if without is not None:
        advice.append(f"cabgate adopt -n {without.namespace} prints the intents that are missing")
    return advice


def as_table(found: Sequence[Uncovered]) -> str:
    """A row for each, for people."""
    rows = [["NAMESPACE", "WORKLOAD", "REASON", "IMAGES"]]
    rows += [
        [item.namespace, _named(item), item.reason, printed(", ".join(item.images)) or "-"]
        for item in found
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    return "".join(
        "   ".join([*(row[n].ljust(widths[n]) for n in range(3)), row[3]]) + "\n" for row in rows
    )


def _named(item: Uncovered) -> str:
    """The workload, and what of it runs the images if it is not all."""
    names = [one.argument for one in item.objects[:MAX_OBJECTS]]
    if len(item.objects) > MAX_OBJECTS:
        names.append(f"{len(item.objects) - MAX_OBJECTS} more")
    return f"{item.workload.argument} ({', '.join(names)})" if names else item.workload.argument
