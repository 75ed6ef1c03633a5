# SPDX-License-Identifier: Apache-2.0
"""Every page, as people meet it, in a real Chromium 320 px wide: no violation that axe-core finds,
and nothing that has to be moved sideways. The page that says that somebody has signed out is in
tests/cluster/portal/test_portal_issuer.py."""

import pytest

from cabgate_kube.transport import HttpAnswer
from cabgate_samples.decisions import numbered
from cabgate_samples.models import NOW, by_person, exception
from cabgate_samples.objects import BAD, MIDDLING, workload
from support.browser import too_wide, violations
from support.freezes import DAY
from support.promotion import outcome, promoted
from unit.core.ledger.histories import fresh
from unit.portal.fake_api import OURS, status
from unit.portal.page.in_browser import put_freezes
from unit.portal.page.opened import as_stored

pytestmark = pytest.mark.slow


@pytest.fixture(params=["light", "dark"])
def page(request, opened):
    made = opened(color_scheme=request.param, viewport={"width": 320, "height": 800})
    yield made
    assert made.problems == []


def check(page, where):
    """What is shown now, with all that can be unfolded."""
    for each in page.locator("details").all():
        each.evaluate("each => each.open = true")
    assert violations(page) == [], where
    assert not too_wide(page), where


def put_decided(serving, name, *decisions):
    """A request with decisions, and its path."""
    made, path = serving.put("ManualReview", MIDDLING, name)
    for obj in serving.api.objects.values():
        if obj["metadata"]["name"] == made.metadata.name:
            obj["status"] = {"decisions": numbered(decisions, made.spec.evidence_digest)}
    return path


def put_workload(api):
    obj = workload("shop", name="checkout", images=["registry.example.com/shop/checkout:1.4.2"])
    api.objects["/apis/apps/v1/namespaces/shop/deployments/checkout"] = obj


def put_release(api):
    """A request that is frozen, and waits for the ring before; its path."""
    made = as_stored("CABRequest", promoted())
    api.put("cabrequests", made)
    for each in (outcome(DAY), outcome(incidents=2, namespace="shop-3")):
        meta = each.metadata
        path = f"{OURS}/namespaces/{meta.namespace}/rolloutoutcomes/{meta.name}"
        api.objects[path] = as_stored("RolloutOutcome", each)
    return f"/requests/shop.{made['metadata']['name']}"


def put_renewal(serving):
    """An exception, within limits, that renews another; its path."""
    bad, _ = serving.put("ExceptionRequired", BAD, "renewed")
    before = by_person("Approved", NOW - 40 * DAY)
    serving.put_exception(exception(bad, before, name="before", age=41 * DAY))
    limits = {"maxReplicas": 2, "maxRing": 3}
    return serving.put_exception(exception(bad, name="again", constraints=limits))


def test_no_page_violates_wcag(serving, page, shop):
    put_freezes(serving.api)
    put_workload(serving.api)
    serving.put_records(fresh().records)
    approved = put_decided(serving, "basket-2", by_person("Approved"))
    needed = [{"name": "dba", "description": "The DBA is there", "attestation": "Required"}]
    to_attest = by_person("ConditionallyApproved", conditions=needed)
    page.goto(serving.url(approved))
    page.get_by_label("these images").check()
    check(page, "ticked")
    pages = {
        "/queue": "checkout",
        shop[0]: "Evidence",
        shop[1]: "Within narrower limits",
        approved: "What is revoked",
        put_decided(serving, "basket-3", to_attest): "Which approval condition is met",
        put_release(serving.api): "into ring 3 after ring 2",
        put_renewal(serving): "It renews",
        "/calendar": "Christmas",
        "/ledger": "because",
        "/ledger?subject=nothing": "No record fits",
        "/dashboard?days=30": "Exceptions in force by week",
        "/workload": "Name a namespace and a workload",
        "/workload?namespace=shop&workload=deployment/checkout": "Requests that name it",
    }
    for path, words in pages.items():
        page.goto(serving.url(path))
        assert words in page.content(), path
        check(page, path)
    page.goto(serving.url("/queue"))
    assert "frozen until" in page.inner_text("main")


def test_no_page_of_a_problem_violates_wcag(serving, page, shop):
    for path, words in (
        ("/calendar?namespace=gone", "NotFound"),
        ("/workload?namespace=shop&workload=deployment/missing", "NotFound"),
        ("/nothing", "there is no such page"),
        ("/queue?namespace=a/b", "is no namespace"),
    ):
        page.goto(serving.url(path))
        assert words in page.inner_text("main"), path
        check(page, path)
    stranger = page.context.browser.new_page(viewport={"width": 320, "height": 800})
    stranger.goto(serving.url("/queue"))
    assert stranger.get_by_role("heading").count() == 1
    check(stranger, "another browser")
    stranger.close()


def test_no_answer_to_a_decision_violates_wcag(serving, page, shop):
    """What changed since, what was not taken, and what cannot be shown beside it any more."""
    api, before = serving.api, "v1:sha256:" + "1" * 64
    earlier = serving.put("ManualReview", MIDDLING, "checkout")[0]
    for obj in api.objects.values():
        if obj["metadata"]["name"] == earlier.metadata.name:
            waiting = obj
    old = {**waiting, "metadata": {**waiting["metadata"], "name": "checkout-before"}}
    targets = [{**waiting["spec"]["targets"][0], "images": ["checkout:1.4.1"]}]
    old["spec"] = {**waiting["spec"], "evidenceDigest": before, "targets": targets}
    api.put("cabrequests", old)

    def answered(why, verb="Reject"):
        page.get_by_label("Why").fill(why)
        with page.expect_navigation():
            page.get_by_role("button", name=verb).click()

    page.goto(serving.url(shop[0]))
    page.locator("input[name=digest]").evaluate("(each, old) => each.value = old", before)
    answered("Read the report")
    assert "checkout:1.4.1" in page.inner_text("main")
    check(page, "What changed since you looked")
    answered(" ")
    assert page.get_by_label("Why").get_attribute("aria-invalid") == "true"
    check(page, "no reason is given")
    api.answers = [HttpAnswer(401, status(401, "Unauthorized", "Unauthorized"))] * 30
    answered("Read the report")
    assert page.get_by_label("What you typed").input_value() == "Read the report"
    check(page, "signed out in the middle")
    api.answers = []
    with page.expect_navigation():
        page.get_by_role("button", name="Send it again").click()
    check(page, "sent again")
    page.goto(f"{serving.url(shop[0])}?recorded=Approved")
    check(page, "nothing recorded")
