# SPDX-License-Identifier: Apache-2.0
"""Which images are named by digest, and what is said of those that are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import DeploymentIntent
from cabgate.gate.composing import MAX_BYTES
from cabgate.rollout.image_names import digest_of
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.image_digests import changes_targets, check_digests
from cabgate_samples.models import intent, target

SHA = "sha256:" + "0123456789abcdef" * 4
NAMES = st.from_regex(r"[a-z0-9]+(/[a-z0-9]+){0,2}(:[a-z0-9]{1,8})?", fullmatch=True)


def of(*images: str) -> DeploymentIntent:
    return intent(targets=[target("web", each) for each in images])


@given(NAMES)
def test_a_tag_is_no_digest_and_a_digest_is_one_beside_a_tag_too(name: str) -> None:
    assert digest_of(name) is None
    assert digest_of(f"{name}@{SHA}") == SHA
    assert digest_of(f"{name}@sha512:{'0' * 128}") == f"sha512:{'0' * 128}"


@pytest.mark.parametrize(
    "image",
    [
        "web:sha256",
        f"web:{SHA}",
        f"@{SHA}",
        f"web@{SHA[:-1]}",
        f"web@{SHA}0",
        f"web@{SHA.upper()}",
        "web@sha256:" + "A" * 64,
        f"web@{SHA}:1",
        f"web@{SHA}@{SHA}",
        f"web@{SHA}\n",
        "web@md5:" + "0" * 32,
        "web@",
    ],
)
def test_what_only_looks_like_a_digest_is_none(image: str) -> None:
    assert digest_of(image) is None


@given(st.integers(0, 4), st.integers(0, 4))
def test_only_from_the_ring_on(ring: int, required_from: int) -> None:
    check_digests(of(f"web@{SHA}"), ring, required_from)
    if ring < required_from:
        check_digests(of("web:1"), ring, required_from)
        return
    with pytest.raises(Refusal) as refusal:
        check_digests(of(f"web@{SHA}", "web:1"), ring, required_from)
    assert refusal.value.reason is RefusalReason.DIGEST_REQUIRED
    assert refusal.value.field == "spec.targets[1].images[0]"
    assert refusal.value.message.endswith(": docker buildx imagetools inspect web:1")


IMAGES = st.text(min_size=1, max_size=500).filter(lambda text: bool(text.strip()))
"""What the schema takes for an image, and more."""


@given(IMAGES.filter(lambda image: digest_of(image) is None))
def test_the_message_is_short_and_on_one_line(image: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check_digests(of(image), 4, 0)
    assert len(str(refusal.value).encode()) <= MAX_BYTES
    assert "\n" not in str(refusal.value)


def test_an_intent_that_leaves_its_targets_alone_says_nothing_anew() -> None:
    before = of("web:1")
    assert changes_targets(None, before)
    assert not changes_targets(before, before.model_copy(deep=True))
    assert changes_targets(before, of("web:2"))
    assert changes_targets(of("web:1", "web:2"), before)
