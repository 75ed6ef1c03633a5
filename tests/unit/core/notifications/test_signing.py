# SPDX-License-Identifier: Apache-2.0
"""Signatures, against the constants that the libraries of Standard Webhooks are tested with."""

import pytest

from cabgate.notifications.signing import key_of, signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_that_of_the_specification() -> None:
    headers = signed_headers(
        *(key_of(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begin with whsec_"),
        ("whsec_not base64!", "is no base64"),
        ("whsec_", "has 0 bytes"),
        ("whsec_" + "A" * 28, "has 21 bytes"),
        ("whsec_" + "A" * 88, "has 66 bytes"),
    ],
)
def test_a_secret_that_is_none_is_refused_without_being_repeated(secret: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        key_of(secret)
    assert secret not in str(refused.value) or secret == "whsec_"
