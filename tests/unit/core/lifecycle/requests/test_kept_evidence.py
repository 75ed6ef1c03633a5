# SPDX-License-Identifier: Apache-2.0
"""What is kept beside a request: what its live intent says, and nothing else, whoever wrote it."""

import hashlib
import json

import pytest

from cabgate.api.cabevidence import CABEvidence
from cabgate.api.types import MAX_DECLARED_TARGETS
from cabgate.lifecycle.limits.capacity import KIB, check_size, stored_bytes
from cabgate.lifecycle.requests.kept_evidence import (
    check_evidence,
    evidence_for,
    kept_templates,
    may_have_evidence,
)
from cabgate.lifecycle.requests.opening import request_for
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import form_text, template_of_forms
from cabgate.text.canonical import sha256_hex
from cabgate.text.refusal import Refusal
from cabgate_samples.models import intent, target
from unit.core.risk.signing import OTHER, changed, envelope, signed, unsigned, with_envelopes


def template(command="serve"):
    return template_of_forms([{"containers": {"app": {"command": [command]}}}])


def bound(*commands, forms=None, **more):
    """An intent whose workloads run a command each, which is written out."""
    made = [template(each) for each in commands]
    targets = [
        target(f"web-{number}", template=each.digest, templateFields=each.fields)
        for number, each in enumerate(made)
    ]
    written = [{"template": each.digest, "form": form_text(each)} for each in made]
    return intent(targets=targets, templateForms=written if forms is None else forms, **more)


def test_the_envelopes_and_the_forms_are_kept_under_the_name_of_the_request():
    for of in (signed(), bound("serve", "work")):
        kept, request = evidence_for(of), request_for(of, 2)
        assert (kept.metadata.name, kept.metadata.namespace) == (request.metadata.name, "shop")
        assert kept.spec.evidence_digest == request.spec.evidence_digest
        assert kept.spec.attestations == (of.spec.evidence.attestations or [])
        assert kept.spec.template_forms == of.spec.template_forms
        # As the API server stores it.
        stored = CABEvidence.model_validate(json.loads(json.dumps(kept.to_dict())))
        check_evidence(of, stored)
        assert may_have_evidence(request)


def test_the_request_itself_has_the_digest_of_each():
    """So it needs no further one, which rollouts would read."""
    of = signed()
    [kept], [named] = (
        evidence_for(of).spec.attestations,
        request_for(of, 2).spec.evidence.attestations,
    )
    assert named.sha256 == sha256_hex(kept.to_dict())
    of = bound("serve")
    [form], [named] = evidence_for(of).spec.template_forms, request_for(of, 2).spec.targets
    assert named.template == f"t1:sha256:{hashlib.sha256(form.form.encode()).hexdigest()}"


def test_where_nothing_is_signed_or_written_out_nothing_is_kept_or_asked_for():
    for of in (intent(), bound("serve", forms=[])):
        assert evidence_for(of) is None
        check_evidence(of, None)
    assert not may_have_evidence(request_for(intent(), 2))


def test_an_empty_part_of_an_envelope_is_as_good_as_none():
    of = signed()
    [made] = of.spec.evidence.attestations
    empty = made.model_copy(
        update={"signatures": [made.signatures[0].model_copy(update={"keyid": ""})]}
    )
    assert evidence_for(with_envelopes(of, empty)) == evidence_for(of)


def forged(kept, **spec):
    return kept.model_copy(update={"spec": kept.spec.model_copy(update=spec)})


def test_anything_else_than_what_the_live_intent_says_is_refused():
    of, mine = signed(), bound("serve")
    kept, forms = evidence_for(of), evidence_for(mine)
    other = with_envelopes(unsigned(), envelope(unsigned(), OTHER))
    raised = changed(of, testResults={"coveragePercent": 99})
    gone = kept.model_copy(
        update={"metadata": kept.metadata.model_copy(
            update={"deletion_timestamp": "2026-01-01T00:00:00Z"})}
    )  # fmt: skip
    rows = [
        (of, None, "there is no CABEvidence"),
        (of, gone, "there is no CABEvidence"),
        (of, evidence_for(other), "spec.evidenceDigest of CABEvidence"),  # of another request
        (raised, kept, "spec.evidenceDigest of CABEvidence"),
        (of, forged(kept, attestations=other.spec.evidence.attestations), "spec.attestations"),
        (of, forged(kept, attestations=[]), "spec.attestations"),
        (of, forged(kept, template_forms=forms.spec.template_forms), "spec.templateForms"),
        (mine, forged(forms, template_forms=[]), "spec.templateForms"),
        (
            mine,
            forged(forms, template_forms=evidence_for(bound("sh")).spec.template_forms),
            "spec.templateForms",
        ),
    ]
    for live, found, why in rows:
        with pytest.raises(Refusal, match=why) as refusal:
            check_evidence(live, found)
        assert refusal.value.reason == "WrongContent"


def test_what_is_shown_is_of_the_digest_that_the_request_names():
    """Whatever stands there: the operator may lie, and a backup be edited."""
    of, evil = bound("serve"), evidence_for(bound("sh"))
    request, kept = request_for(of, 2), evidence_for(of)
    [form] = kept.spec.template_forms
    shown = kept_templates(request, kept)
    assert [each.forms for each in shown.values()] == [template().forms]
    assert list(shown) == [Workload.of(request.spec.targets[0])]
    lie = form.model_copy(update={"form": evil.spec.template_forms[0].form})
    for found in (None, evil, forged(kept, template_forms=[lie])):
        assert kept_templates(request, found) == {}


def test_what_is_kept_of_an_intent_that_is_let_in_stays_far_below_what_it_may_have():
    of = bound(*(f"{number}-{'x' * 2500}" for number in range(MAX_DECLARED_TARGETS)))
    check_size(None, of)
    assert len(evidence_for(of).spec.template_forms) == MAX_DECLARED_TARGETS
    assert stored_bytes(evidence_for(of).to_dict()) < 128 * KIB
    with pytest.raises(Refusal, match="most of it in templateForms"):
        check_size(None, bound(*(f"{n}-{'x' * 8000}" for n in range(MAX_DECLARED_TARGETS))))
