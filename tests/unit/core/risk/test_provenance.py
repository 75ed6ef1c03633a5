# SPDX-License-Identifier: Apache-2.0
"""Who speaks for evidence, and which parts of it."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate.api.base import rfc3339
from cabgate.api.signer import EvidenceSigner
from cabgate.risk import provenance
from cabgate.risk.provenance import check_not_contradicted, provenance_of
from cabgate.risk.statements import public_key
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NOW
from cabgate_samples.objects import GOOD
from unit.core.risk.signing import (
    HONEST,
    IMAGE,
    KEY,
    LABELS,
    OTHER,
    P256,
    changed,
    doubt,
    envelope,
    pem,
    seen,
    signed,
    signer,
    states,
    unsigned,
    with_envelopes,
)


@pytest.mark.parametrize("key", [KEY, P256], ids=["Ed25519", "P-256"])
def test_what_a_trusted_key_signed_of_these_images_is_verified(key: Any) -> None:
    found = seen(signed(key=key, commit="c" * 40), signer(key))
    assert states(found) == {"Verified"}
    assert {each.section.value for each in found} == set(GOOD)
    assert {(each.signer, each.created_at, each.commit) for each in found} == {
        ("ci", rfc3339(NOW), "c" * 40)
    }


def test_where_nothing_is_signed_nothing_is_said() -> None:
    assert seen(HONEST) == []


def test_of_several_keys_any_signs_while_it_holds() -> None:
    assert states(seen(signed(), signer(OTHER, KEY))) == {"Verified"}
    before, after = (rfc3339(NOW + timedelta(seconds=n)) for n in (-1, 1))
    for held in ({"notBefore": before}, {"notAfter": after}, {"notAfter": rfc3339(NOW)}):
        assert states(seen(signed(), signer(**held))) == {"Verified"}
    for gone in ({"notBefore": after}, {"notAfter": before}):
        assert "no key of an EvidenceSigner that holds now" in doubt(signed(), signer(**gone))


def test_an_expired_key_signs_nothing_by_saying_that_it_was_long_ago() -> None:
    past = NOW - timedelta(hours=2)
    of = signed(at=past - timedelta(hours=1))
    assert "no key" in doubt(of, signer(notAfter=rfc3339(past)))


def test_each_signer_speaks_for_its_parts_alone() -> None:
    tests, scans = (
        signer(name="tests", speaks_for=["testResults"]),
        signer(OTHER, name="scans", speaks_for=["scanResults", "testResults"]),
    )
    of = with_envelopes(
        HONEST,
        envelope(HONEST),
        envelope(HONEST, OTHER, sections=["scanResults"]),
    )
    found = {each.section.value: (each.state.value, each.signer) for each in seen(of, tests, scans)}
    assert found["testResults"] == ("Verified", "tests")
    assert found["scanResults"] == ("Verified", "scans")
    assert found["rollbackPlan"] == ("Declared", None)
    [why] = {e.why for e in seen(of, tests, scans) if e.state == "Declared"}
    assert why == "no signer who may speak for it signed it"


def test_a_revoked_signer_and_one_of_another_namespace_speak_for_nothing() -> None:
    assert "no key" in str(provenance_of(signed(), LABELS, [], NOW)[0].why)
    assert "no key" in doubt(signed(), signer(OTHER))
    going = signer()
    going["metadata"] |= {"deletionTimestamp": rfc3339(NOW), "finalizers": ["example.com/slow"]}
    assert "no key" in doubt(signed(), going)
    elsewhere = signer(namespaces=["other"])
    assert "does not speak in this namespace" in doubt(signed(), elsewhere)
    for labels in ({}, None, {"kubernetes.io/metadata.name": "other"}):
        assert "does not speak in this namespace" in doubt(signed(), labels=labels)


def test_one_key_of_two_signers_has_the_rights_of_each_and_of_neither_more() -> None:
    here = signer(name="here", speaks_for=["scope"])
    there = signer(name="there", namespaces=["other"])
    found = {each.section.value: each.state.value for each in seen(signed(), here, there)}
    assert [name for name, state in found.items() if state == "Verified"] == ["scope"]


def test_a_signer_that_cannot_be_read_is_named_and_none() -> None:
    broken = signer()
    broken["spec"]["maxAge"] = "for ever"
    assert "EvidenceSigner ci: spec.maxAge" in doubt(signed(), broken)
    private = signer("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n")
    assert "EvidenceSigner ci: spec.publicKeys" in doubt(signed(), private)
    two = signer(pem(OTHER) + pem(KEY))
    assert "EvidenceSigner ci: spec.publicKeys" in doubt(signed(), two)
    assert "more than 50 " in doubt(signed(), *[signer(name=f"s{n}") for n in range(51)])


def test_signers_of_other_namespaces_take_no_time_and_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else whoever may write an intent has each key of the cluster tried for each envelope, while
    the webhook answers nobody; and in a cluster of many teams nothing would be verified."""
    tried: list[object] = []
    real = provenance.verifies
    monkeypatch.setattr(provenance, "verifies", lambda *a: tried.append(a) or real(*a))
    others = [signer(OTHER, name=f"a{n}", namespaces=["other"]) for n in range(300)]
    assert states(seen(signed(), *others, signer())) == {"Verified"}
    assert len(tried) == 1
    why = doubt(with_envelopes(HONEST, envelope(HONEST, OTHER)), *others, signer())
    assert "EvidenceSigner a0 does not speak in this namespace" in why
    assert "nor do 299 more" in why


def test_signers_that_cannot_be_read_do_not_hide_what_is_wrong_with_an_envelope() -> None:
    broken = [signer(name=f"broken-{n}", max_age="for ever") for n in range(9)]
    forged = with_envelopes(HONEST, envelope(HONEST, OTHER))
    assert doubt(forged, signer(), *broken).startswith("attestation 1: no key")


@pytest.mark.parametrize(
    ("parts", "path", "said"),
    [
        (
            {"testResults": {"coveragePercent": 99, "passed": 100, "failed": 0}},
            "testResults.coveragePercent",
            "declared as 99, and signed as 95",
        ),
        ({"scanResults": {"critical": 0}}, "scanResults.high", "as nothing, and signed as 0"),
        ({"rollbackPlan": None}, "rollbackPlan", "declared as nothing"),
        (
            {"artifacts": [{"name": "web", "images": [IMAGE], "origin": "ThirdParty"}]},
            "artifacts[0].origin",
            "declared as ThirdParty, and signed as nothing",
        ),
    ],
)
def test_what_was_changed_after_it_was_signed_is_found_out(
    parts: dict[str, Any], path: str, said: str
) -> None:
    of = changed(signed(), **parts)
    found = [each for each in seen(of) if each.state == "Contradicted"]
    assert [(each.path, each.signer) for each in found] == [(path, "ci")]
    assert said in str(found[0].why)
    with pytest.raises(Refusal) as refused:
        check_not_contradicted(seen(of))
    assert refused.value.field == f"spec.evidence.{path}"
    check_not_contradicted(seen(signed()))


def test_the_path_of_what_differs_is_that_of_the_intent_as_it_is_written() -> None:
    artifacts = [{"name": name, "images": [IMAGE]} for name in ("zeta", "alpha")]
    made = unsigned({**GOOD, "artifacts": artifacts})
    artifacts[0]["origin"] = "ThirdParty"
    of = changed(with_envelopes(made, envelope(made)), artifacts=artifacts)
    with pytest.raises(Refusal) as refused:
        check_not_contradicted(seen(of))
    assert refused.value.field == "spec.evidence.artifacts[0].origin"


def test_a_second_envelope_that_agrees_does_not_help_against_one_that_does_not() -> None:
    better = changed(unsigned(), testResults={"coveragePercent": 99})
    of = with_envelopes(better, envelope(HONEST), envelope(better))
    assert "Contradicted" in states(seen(of))


def test_nobody_contradicts_by_a_signature_that_is_not_trusted() -> None:
    """Else whoever may write the intent's envelopes, and has no key, could stop a release."""
    worse = changed(unsigned(), testResults={"coveragePercent": 1})
    of = with_envelopes(HONEST, envelope(worse, OTHER), envelope(HONEST))
    assert states(seen(of)) == {"Verified"}


def test_the_signer_of_the_page_is_one_and_its_key_can_be_used() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "evidence.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    [shown] = [block for block in blocks if "kind: EvidenceSigner" in block]
    signer_of_page = EvidenceSigner.model_validate(yaml.safe_load(shown))
    public_key(signer_of_page.spec.public_keys[0].key)
    assert provenance_of(signed(), LABELS, [yaml.safe_load(shown), signer()], NOW)[0].signer == "ci"
