# SPDX-License-Identifier: Apache-2.0
"""`cabgate exception` for a request that takes none, with kubectl replaced."""

import pytest

from cabgate.api import CABRequest
from cabgate_samples.models import by_person, request
from unit.cli.fake_kubectl import FakeKubectl, installed
from unit.cli.support import run

SAID = ("--reason", "outage", "--control", "watched")


def printed(
    monkeypatch: pytest.MonkeyPatch, of: CABRequest, code: int, *options: str
) -> tuple[str, str]:
    fake = installed(monkeypatch, FakeKubectl([of]))
    result = run("exception", "-n", "shop", of.metadata.name, *SAID, *options, code=code)
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/shop/cabrequests/{of.metadata.name}"
    assert [call[2] for call in fake.calls] == [path]
    assert fake.options == {options}
    return result.stdout, result.stderr


def test_one_is_printed_for_a_request_that_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = printed(monkeypatch, request("ExceptionRequired"), 0)
    assert "kind: CABException" in out
    assert err == ""


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (request("ManualReview"), "waits for a CAB member (score 52.50, ManualReview)"),
        (request("AutoApprove"), "needs no exception: its score asks for nobody"),
        (request("ManualReview", by_person("Rejected")), "ask rita what has to change"),
        (request("ExceptionRequired", by_person("Revoked")), "It takes new evidence"),
    ],
)
def test_for_any_other_it_says_whom_to_ask(
    monkeypatch: pytest.MonkeyPatch, of: CABRequest, says: str
) -> None:
    out, err = printed(monkeypatch, of, 1)
    assert out == ""
    assert says in err


def test_it_is_asked_as_whom_kubectl_is_told_to_act(monkeypatch: pytest.MonkeyPatch) -> None:
    printed(monkeypatch, request("ExceptionRequired"), 0, "--as=rita", "--as-group=cab")
