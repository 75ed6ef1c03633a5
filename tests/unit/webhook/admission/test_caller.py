# SPDX-License-Identifier: Apache-2.0
"""Only what the API server sent is signed: it carries a value that nobody else knows."""

import base64
import dataclasses

import pytest

from cabgate.review.identity import User
from cabgate.text.refusal import Refusal
from cabgate.writes.caller_proof import ANNOTATION, MIN_BYTES
from cabgate_webhook.admission.caller import Caller
from cabgate_webhook.admission.requests import AdmissionRequest

PROOF = b"p" * MIN_BYTES
TOLD = base64.b64encode(PROOF).decode()
REVIEW = AdmissionRequest(
    uid="u",
    group="cabgate.dev",
    resource="cabrequests",
    subresource="status",
    operation="UPDATE",
    namespace="shop",
    name="web-1",
    user=User("rita"),
    object={},
    old_object={},
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "token"
    path.write_bytes(PROOF)
    return path


def review(metadata):
    return dataclasses.replace(REVIEW, object={"metadata": metadata})


def test_a_review_with_the_proof_is_taken(file):
    Caller(file).check(review({"annotations": {ANNOTATION: TOLD}}))


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"annotations": None},
        {"annotations": {}},
        {"annotations": [ANNOTATION]},
        {"annotations": {ANNOTATION: ""}},
        {"annotations": {ANNOTATION: PROOF.decode()}},
        {"annotations": {ANNOTATION: TOLD[:-4]}},
        {"annotations": {ANNOTATION: TOLD + "\ud800"}},
        {"annotations": {ANNOTATION: [TOLD]}},
    ],
)
def test_one_without_it_is_refused_with_where_it_comes_from(file, metadata):
    with pytest.raises(Refusal, match=r"^CallerNotProved: .*admission-proof\.cabgate\.dev"):
        Caller(file).check(review(metadata))


def test_another_value_counts_once_the_file_has_it(file):
    caller = Caller(file)
    file.write_bytes(b"q" * MIN_BYTES)
    with pytest.raises(Refusal):
        caller.check(review({"annotations": {ANNOTATION: TOLD}}))
    caller.check(review({"annotations": {ANNOTATION: base64.b64encode(b"q" * MIN_BYTES).decode()}}))


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_file_that_proves_nothing_lets_nothing_be_signed(file, content):
    caller = Caller(file)
    file.write_bytes(content)
    with pytest.raises(Refusal):
        caller.check(review({"annotations": {ANNOTATION: base64.b64encode(content).decode()}}))
    with pytest.raises(ValueError, match="needs 32: openssl rand -hex 32"):
        Caller(file)


def test_a_file_that_is_gone_lets_nothing_be_signed(file):
    caller = Caller(file)
    file.unlink()
    with pytest.raises(Refusal):
        caller.check(review({"annotations": {ANNOTATION: TOLD}}))
