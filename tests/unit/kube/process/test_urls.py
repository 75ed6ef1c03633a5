# SPDX-License-Identifier: Apache-2.0
"""Which URLs something may be sent to, of every process."""

import pytest

from cabgate_kube.process.urls import https_url


@pytest.mark.parametrize(
    "url",
    [
        "https://kubernetes.default.svc", "https://10.0.0.1:6443", "https://[::1]:8443/x",
        "https://dex.example.com/dex", "https://hooks.example.com/a?b=c",
    ],
)  # fmt: skip
def test_what_is_https_and_names_a_host_is_taken_as_it_is(url):
    assert https_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://kubernetes", "no https URL"), ("file:///etc/passwd", "no https URL"),
        ("kubernetes.default.svc", "no https URL"), ("https://", "no https URL"),
        ("https://kubernetes:0", "no https URL"), ("https://kubernetes:99999", "no URL"),
        ("https://[::1", "no URL"), ("https://rita@kubernetes", "a user"),
        ("https://rita:secret@kubernetes", "a user"), ("https://:@kubernetes", "a user"),
        ("https://kubernetes/#x", "a fragment"), ("https://kubernetes/a b", "a blank"),
        ("https://kubern\u0435tes", "to be escaped"), ("https://kubernetes/\n", "URL|blank"),
    ],
)  # fmt: skip
def test_what_is_not_is_refused_and_not_repeated(url, why):
    with pytest.raises(ValueError, match=why) as caught:
        https_url(url)
    assert "secret" not in str(caught.value)
    assert "rita" not in str(caught.value)
