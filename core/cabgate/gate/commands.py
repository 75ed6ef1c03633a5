# SPDX-License-Identifier: Apache-2.0
"""The commands that messages tell people to run."""

import json
import re
import shlex
from collections.abc import Collection, Mapping
from typing import Any

from cabgate.api.base import trimmed
from cabgate.api.rationale import RATIONALE
from cabgate.api.stored import Declared
from cabgate.api.values import DEFAULT_DURATION_DAYS
from cabgate.lifecycle.state.standing import ExceptionStanding
from cabgate.rollout.appliers import where_to_edit
from cabgate.rollout.targets import Workload
from cabgate.text.foreign import printed

MAX_NAME = 253
"""Longest name of a Kubernetes object, in characters."""

IMAGES = "..."
"""Where the images belong in the command of a message that does not say which are meant."""

MAX_IMAGES_LENGTH = 400
"""Longest list of images in a command, in characters: a denial has room for no more."""

WITHOUT_PLUGIN = ", or without the plugin: "
"""Between the plugin's command and kubectl's own."""

MAX_PLUGIN_LENGTH = 130
"""Longest command of the plugin that a message names beside kubectl's own, in characters: what is
longer would take the room of what is wrong."""


def approve_request(request: Declared) -> str:
    """How a CAB member approves a request, for exactly the evidence that it shows."""
    meta = request.metadata
    return _either(
        f"kubectl cab approve {meta.name} -n {meta.namespace}",
        _review("cabrequest", meta.namespace, meta.name, _approval(request)),
    )


def override(request: Declared, name: str) -> str:
    """How a CAB member who may override a freeze or a promotion lets a request pass it: `name` is
    what the approval names."""
    meta = request.metadata
    review = {**_approval(request), "overrides": [name]}
    return _either(
        f"kubectl cab approve {meta.name} -n {meta.namespace} --override {name}",
        _review("cabrequest", meta.namespace, meta.name, review),
    )


def attest(request: Declared, condition: str) -> str:
    """How a CAB member attests that an approval condition is met."""
    meta = request.metadata
    review = {"verdict": "Attested", "condition": condition, "rationale": RATIONALE}
    return _either(
        f"kubectl cab attest {meta.name} -n {meta.namespace} --condition {condition}",
        _review("cabrequest", meta.namespace, meta.name, review),
    )


def revoke_request(request: Declared, images: Collection[str]) -> str:
    """How a security reviewer revokes some images of a request, or `*`: all of them. Where the
    command cannot name them it has a place for them, and is refused as it stands."""
    meta = request.metadata
    named = list(images) if can_be_revoked(images) else [IMAGES]
    review = {"verdict": "Revoked", "rationale": RATIONALE, "images": named}
    return _review("cabrequest", meta.namespace, meta.name, review)


def can_be_revoked(images: Collection[str]) -> bool:
    """Whether the command of a message can name images: there are some, they have room, and none
    of them is changed where it is printed."""
    short = sum(map(len, images)) <= MAX_IMAGES_LENGTH
    written = json.dumps(list(images))
    return bool(images) and short and printed(written) == written


def approve_exception(exception: ExceptionStanding, request: Declared) -> str:
    """How a security reviewer approves an exception: this one, since its team may delete it and
    create another of its name."""
    meta = exception.metadata
    return _either(
        f"kubectl cab approve cabex/{meta.name} -n {meta.namespace}",
        _review("cabexception", meta.namespace, meta.name, _approval(request), meta.uid),
    )


def _either(of_plugin: str, plain: str) -> str:
    """The plugin's command, which asks for the rationale, and kubectl's own for whoever has no
    plugin: the last one runs wherever kubectl does."""
    if len(of_plugin) > MAX_PLUGIN_LENGTH:
        return plain
    return f"{of_plugin}{WITHOUT_PLUGIN}{plain}"


def _approval(request: Declared) -> dict[str, Any]:
    digest = request.spec.evidence_digest
    return {"verdict": "Approved", "rationale": RATIONALE, "evidenceDigest": digest}


def review_of(review: Mapping[str, Any], uid: str = "") -> str:
    """The patch that gives a review; of the object of a uid alone, if one is given."""
    patch: dict[str, Any] = {"metadata": {"uid": uid}} if uid else {}
    return json.dumps({**patch, "status": {"review": review}}, separators=(",", ":"))


def _review(
    resource: str, namespace: str, name: str, review: Mapping[str, Any], uid: str = ""
) -> str:
    body = review_of(review, uid)
    body = body.replace("'", "\\u0027")  # an image may hold one, which would end the argument
    return (
        f"kubectl patch {resource} {name} -n {namespace} --subresource=status --type=merge"
        f" -p '{body}'"
    )


def show_request(request: Declared) -> str:
    """How anybody sees where a request stands."""
    return f"kubectl get cabrequest {request.metadata.name} -n {request.metadata.namespace}"


def show_intent(namespace: str, name: str) -> str:
    """How a team sees what its intent asks for, and what became of it."""
    return f"kubectl get deploymentintent {name} -n {namespace} -o yaml"


LIST_FREEZES = "kubectl get changefreezes"
"""How anybody sees which freezes there are."""


def may_i(verb: str, what: str, namespace: str) -> str:
    """How somebody asks whether they hold a verb on an object, `RESOURCE.GROUP/NAME`, in a
    namespace."""
    return f"kubectl auth can-i {verb} {what} -n {namespace}"


def list_uncovered(namespace: str) -> str:
    """How anybody sees what runs uncovered in a namespace, or in all if that is empty."""
    return f"cabgate uncovered -n {namespace}" if namespace else "cabgate uncovered -A"


def list_intents(request: Declared) -> str:
    """How a team sees what its intents ask for, whether that of a request is still there or not."""
    return f"kubectl get deploymentintents -n {request.metadata.namespace}"


def write_intent(namespace: str, workload: Workload, images: Collection[str]) -> str:
    """How a team begins an intent for a workload that is to run some images."""
    named = "".join(f" --image {shlex.quote(image)}" for image in images)
    if not all(map(can_be_pasted, images)) or len(named) > MAX_IMAGES_LENGTH:
        return write_intent_of_file(namespace)
    return f"cabgate intent -n {namespace} {shlex.quote(workload.argument)}{named}"


def write_intent_of_file(namespace: str) -> str:
    """How a team begins one intent for all workloads of a file."""
    return f"cabgate intent -n {namespace} -f MANIFEST.yaml"


def update_template(request: Declared) -> str:
    """How a team has its intent say what the containers of its manifest do: in the cluster, or in
    the file that a tool applies."""
    namespace, reference = request.metadata.namespace, request.spec.intent_ref
    if reference is None:
        return f"{write_intent_of_file(namespace)} --template client"
    there = f"--live --name {reference.name}"
    if reference.applied_by is not None:
        there = "--update INTENT.yaml --in-place"
    return f"{write_intent_of_file(namespace)} {there} --template client"


def can_be_pasted(image: str) -> bool:
    """Whether an image is the same in a command that a message shows."""
    return bool(trimmed(image)) and image.isascii() and printed(image) == image


def write_exception(
    request: Declared, after: ExceptionStanding | None = None, name: str = ""
) -> str:
    """How a team requests an exception with what the terms of its request ask for, of a name, or of
    another than that of one which stands already. How far it is to go, the team says in place of
    what is in capitals."""
    meta = request.metadata
    command = f"cabgate exception -n {meta.namespace} {meta.name}"
    if after is not None:
        name = _next_name(after, meta.name)
    return command + (f" --name {name}" if name else "") + _asked_for(request)


_CONSTRAINTS = {
    "maxReplicas": " --max-replicas NUMBER",
    "maxRing": " --max-ring RING",
    "until": " --until TIME",
    "windows": " --window FROM/UNTIL",
}


def _asked_for(request: Declared) -> str:
    """The options of an exception that the terms of its request ask for."""
    terms = request.spec.terms
    need = None if terms is None else terms.exceptions
    if need is None:
        return ""
    days = f" --days {need.max_days}" if need.max_days < DEFAULT_DURATION_DAYS else ""
    return days + "".join(_CONSTRAINTS.get(str(name), "") for name in need.require)


def replace_exception(namespace: str, name: str) -> str:
    """How a team asks for its exception anew as it is, so that the webhook stamps it."""
    return f"kubectl get cabexception {name} -n {namespace} -o yaml | kubectl replace --force -f -"


def _next_name(after: ExceptionStanding, request_name: str) -> str:
    """Another name than that of an exception which still stands, and cannot be changed."""
    # At most three digits: a request's name may end in eight, and is no count.
    counted = re.fullmatch(r"(.+)-([0-9]{1,3})", after.metadata.name)
    stem, count = (counted[1], int(counted[2])) if counted else (after.metadata.name, 1)
    name = f"{stem}-{count + 1}"
    return name if len(name) <= MAX_NAME else f"{request_name}-2"


def edit_intent(request: Declared) -> str:
    """How a team changes the intent that a request was made from, or begins one where the glass
    was broken instead."""
    namespace, reference = request.metadata.namespace, request.spec.intent_ref
    if reference is None:
        target = request.spec.targets[0]
        return write_intent(namespace, Workload.of(target), target.images)
    return change_intent(namespace, reference.name, reference.applied_by)


def change_intent(namespace: str, name: str, tool: str | None = None) -> str:
    """How a team changes an intent, which a tool may apply."""
    if tool is not None:
        return where_to_edit(name, printed(tool))
    return f"kubectl edit deploymentintent {name} -n {namespace}"
