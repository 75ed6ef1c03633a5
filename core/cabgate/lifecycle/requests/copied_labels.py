# SPDX-License-Identifier: Apache-2.0
"""Labels of an intent that its requests repeat, so that people can select by them.

No decision reads one: whoever writes the intent writes its labels. And none is a label by which a
tool knows its own objects: Argo CD would take the request for one that Git no longer has, and
delete it.
"""

import re
from collections.abc import Iterable, Mapping

from cabgate.api.base import SUBDOMAIN

DEFAULT_REQUEST_LABELS = ("team", "app.kubernetes.io/part-of")
"""Labels that are copied as installed."""

MAX_REQUEST_LABELS = 8
"""Labels that are copied at most."""

RESERVED_DOMAINS = (
    "argoproj.io",
    "cabgate.dev",
    "cattle.io",
    "fluxcd.io",
    "helm.sh",
    "k14s.io",
    "k8s.io",
    "kubernetes.io",
)
"""Domains, with all below them, whose labels say to whom an object belongs, or what is done with
it: of Kubernetes, of cabgate, and of tools that delete what they take for theirs."""

FREE_LABELS = tuple(
    f"app.kubernetes.io/{name}" for name in ("component", "name", "part-of", "version")
)
"""Labels of these domains that only describe."""

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(SUBDOMAIN)


def label_problem(key: str) -> str | None:
    """Why a label is never copied; None if it can be."""
    prefix, slash, name = key.rpartition("/")
    has_form = not slash or (len(prefix) <= 253 and _PREFIX.fullmatch(prefix))
    if not has_form or not _NAME.fullmatch(name):
        return f"{key!r} is the key of no label; allowed: NAME, or DOMAIN/NAME, such as team"
    if key in FREE_LABELS or not _is_reserved(prefix):
        return None
    return (
        f"{key} is a label of Kubernetes, of cabgate or of a tool that manages objects: with it a "
        "request could be taken for the tool's own and be deleted; allowed: "
        f"{', '.join(FREE_LABELS)}, and labels outside of {', '.join(RESERVED_DOMAINS)}"
    )


def check_request_labels(keys: Iterable[str]) -> None:
    """Raise `ValueError` for labels that an installation cannot have copied."""
    keys = list(keys)
    problem = next((found for found in map(label_problem, keys) if found), None)
    if problem is not None:
        raise ValueError(problem)
    if len(keys) > MAX_REQUEST_LABELS:
        raise ValueError(f"{len(keys)} labels; allowed: {MAX_REQUEST_LABELS} at most")


def copied_labels(labels: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """What a request repeats of the labels of its intent: those of the keys that it has and that
    may be copied, up to a number."""
    wanted = [key for key in dict.fromkeys(keys) if key in labels and label_problem(key) is None]
    return {key: labels[key] for key in wanted[:MAX_REQUEST_LABELS]}


def _is_reserved(domain: str) -> bool:
    return any(domain == each or domain.endswith(f".{each}") for each in RESERVED_DOMAINS)
