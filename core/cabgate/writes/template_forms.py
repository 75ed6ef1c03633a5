# SPDX-License-Identifier: Apache-2.0
"""What an intent writes out of the templates that its targets name."""

from functools import partial

from cabgate.api.intent import DeploymentIntentSpec
from cabgate.api.types import TemplateForm
from cabgate.lifecycle.limits.capacity import KIB
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.templates import template_of_text
from cabgate.text.refusal import Refusal, RefusalReason, check_all

MAX_FORM_BYTES = 16 * KIB
"""A template written out: people are to read it."""

_ADVICE = "write both anew with cabgate intent --template, or leave this out: it decides nothing"


def check_forms(old: DeploymentIntentSpec | None, new: DeploymentIntentSpec) -> None:
    """Raise `Refusal` for templates that are written out anew and are too large, are other than
    their digests or `templateFields` say, or are of no target: reviewers are shown them."""
    if old is not None and (old.template_forms, old.targets) == (new.template_forms, new.targets):
        return
    named: dict[str | None, list[tuple[str, list[str]]]] = {}
    for index, target in enumerate(new.targets):
        path = f"spec.targets[{index}].templateFields"
        named.setdefault(target.template, []).append((path, list(target.template_fields)))
    seen: set[str] = set()
    checks = []
    for index, each in enumerate(new.template_forms):
        fields = None if each.template in seen else named.get(each.template)
        checks.append(partial(_check, each, f"spec.templateForms[{index}]", fields))
        seen.add(each.template)
    check_all(*checks)


def _check(each: TemplateForm, path: str, named: list[tuple[str, list[str]]] | None) -> None:
    """`named` is what the targets that name the template say of its fields, with their paths."""
    size = len(each.form.encode(errors="surrogatepass"))
    if size > MAX_FORM_BYTES:
        raise Refusal(
            RefusalReason.INVALID,
            f"comes to {size} bytes; allowed: {MAX_FORM_BYTES}. Leave it out: the approval covers "
            "the same, and reviewers are shown which fields change, without their values",
            f"{path}.form",
        )
    if named is None:
        raise Refusal(
            RefusalReason.WRONG_CONTENT,
            f"no target names {each.template}, or it is written out twice; {_ADVICE}",
            f"{path}.template",
        )
    try:
        template = template_of_text(each.template, each.form)
    except PodTemplateError as error:
        raise Refusal(RefusalReason.WRONG_CONTENT, f"{error}; {_ADVICE}", f"{path}.form") from None
    for at, fields in named:
        if fields and set(fields) != set(template.fields):
            raise Refusal(
                RefusalReason.WRONG_CONTENT,
                f"are not the fields of {path}.form; {_ADVICE}",
                at,
            )
