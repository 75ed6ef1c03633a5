# SPDX-License-Identifier: Apache-2.0
"""What the policies answer where they refuse: 403, and the field in the text.

A refusal without a reason is a 422, for which Flux with `force: true`, `kubectl apply --force` and
whoever does alike delete the object and create it anew.
"""

import re

import pytest

from cabgate.text.foreign import PHRASES

VALUES = [
    {},
    {"mode": "Warn"},
    {"mode": "Audit", "defaultRing": 2},
    {
        "gatedKinds": [
            {
                "group": "apps.kruise.io",
                "kind": "CloneSet",
                "resource": "clonesets",
                "paths": ["spec.template"],
            }
        ]
    },
]
WHOLE = (
    "WrittenByOperatorOnly: a CABDecision is a record of the ledger: only the cabgate operator "
    "writes it",
    "a CABEvidence belongs to its CABRequest: only the cabgate operator creates it",
    "(variables.stored ? 'the glass is broken' : ",  # a warning
    "'pause what undoes this. ",  # another
)
"""Texts that are about no field."""

FIELD = re.compile(r"\b(metadata|spec|data)(\.[a-zA-Z]+|\[|\))")


TEXTS = ("message", "messageExpression")


def _whole(policy, text):
    """A text with the variables that it is put together from."""
    variables = policy["spec"].get("variables", ())
    used = [each for each in variables if f"variables.{each['name']}" in text]
    return " ".join([text, *(each["expression"] for each in used)])


@pytest.fixture(params=VALUES, ids=["enforce", "warn", "audit", "kinds"])
def validations(request, render):
    """Of every validation that is rendered: its policy, whether that is about deletions, the
    validation, and its texts."""
    policies = render(**request.param).all("ValidatingAdmissionPolicy")
    assert len(policies) >= 8
    return [
        (
            policy["metadata"]["name"],
            {
                operation
                for rule in policy["spec"]["matchConstraints"]["resourceRules"]
                for operation in rule["operations"]
            }
            == {"DELETE"},
            validation,
            [_whole(policy, validation[key]) for key in TEXTS if key in validation],
        )
        for policy in policies
        for validation in policy["spec"]["validations"]
    ]


def test_every_refusal_of_a_policy_is_a_403(validations):
    for policy, _, validation, texts in validations:
        assert validation.get("reason") == "Forbidden", (policy, texts)


def test_every_refusal_of_a_policy_names_its_field(validations):
    for policy, deletes, _, texts in validations:
        assert texts, policy
        for text in texts:
            if not deletes and not text.startswith(WHOLE):
                assert FIELD.search(text), (policy, text)


def test_no_text_of_a_policy_has_a_phrase_that_tools_act_on(validations):
    for policy, _, _, texts in validations:
        for text in texts:
            for phrase in PHRASES:
                assert not re.search(phrase.pattern, text, re.IGNORECASE), (policy, text)
