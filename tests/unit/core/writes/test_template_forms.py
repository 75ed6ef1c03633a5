# SPDX-License-Identifier: Apache-2.0
"""Which templates an intent may write out: those that its targets name, and of their digests."""

import pytest

from cabgate.rollout.templates import form_text, template_of_forms
from cabgate.text.refusal import Refusal
from cabgate.writes.template_forms import MAX_FORM_BYTES, check_forms
from cabgate_samples.models import intent, target


def template(command):
    return template_of_forms([{"containers": {"app": {"command": [command]}}}])


def written(of, text=None):
    return {"template": of.digest, "form": form_text(of) if text is None else text}


def spec(*forms, of=None):
    named = template("serve") if of is None else of
    return intent(targets=[target(template=named.digest)], templateForms=list(forms)).spec


SERVE, OTHER = template("serve"), template("sh")
FRAME = len(form_text(template("")))
FULL = template("x" * (MAX_FORM_BYTES - FRAME))
ABOVE = template("x" * (MAX_FORM_BYTES - FRAME + 1))


def test_what_is_named_and_of_its_digest_passes():
    check_forms(None, spec())
    check_forms(None, spec(written(SERVE)))
    assert len(form_text(FULL)) == MAX_FORM_BYTES
    check_forms(None, spec(written(FULL), of=FULL))


@pytest.mark.parametrize(
    ("new", "field", "why"),
    [
        (spec(written(ABOVE), of=ABOVE), "form", f"comes to {MAX_FORM_BYTES + 1} bytes; allowed"),
        (spec(written(SERVE, form_text(OTHER))), "form", "is other than its digest says"),
        (spec(written(OTHER)), "template", "no target names"),
    ],
    ids=["large", "another", "of no target"],
)
def test_anything_else_is_refused_with_its_path(new, field, why):
    with pytest.raises(Refusal) as refusal:
        check_forms(None, new)
    assert refusal.value.field == f"spec.templateForms[0].{field}"
    assert why in refusal.value.message
    assert "eave" in refusal.value.message, "what to do"
    # A summary is mended all the same.
    check_forms(new, new.model_copy(update={"summary": "other"}))


def test_the_fields_that_a_target_declares_are_those_of_the_form():
    """The messages of denials read them."""
    named = [
        target("a", template=SERVE.digest, templateFields=SERVE.fields[::-1]),
        target("b", template=SERVE.digest, templateFields=OTHER.fields),
    ]
    with pytest.raises(Refusal, match="are not the fields of spec") as refusal:
        check_forms(None, intent(targets=named, templateForms=[written(SERVE)]).spec)
    assert refusal.value.field == "spec.targets[1].templateFields"
    check_forms(None, intent(targets=named[:1], templateForms=[written(SERVE)]).spec)
    check_forms(None, intent(targets=named).spec)


def test_a_template_is_written_out_once():
    with pytest.raises(Refusal, match="written out twice") as refusal:
        check_forms(None, spec(written(SERVE), written(SERVE)))
    assert refusal.value.field == "spec.templateForms[1].template"
