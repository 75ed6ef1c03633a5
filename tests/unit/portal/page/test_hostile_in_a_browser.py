# SPDX-License-Identifier: Apache-2.0
"""Whatever somebody writes into an object, an address or a form: nothing of it runs in a real
Chromium, nothing is asked of another site, and what nobody sees is written out. `make test-browser`
tries each shape of a text; `make test-browser PAYLOADS=200` each in every form, list and page."""

import copy
import os
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from cabgate.api import CABDecision, CABException, CABRequest, ChangeFreeze
from cabgate_samples.decisions import numbered
from cabgate_samples.models import by_person, exception
from cabgate_samples.objects import BAD, MIDDLING
from unit.core.ledger.histories import fresh
from unit.portal.page.hostile import SHAPES, UNSEEN, fields_for, filled, texts
from unit.portal.page.in_browser import put_freezes

pytestmark = pytest.mark.slow

ASKED = os.environ.get("BROWSER_PAYLOADS", "12")
PAYLOADS = texts(len(SHAPES) if ASKED == "each" else int(ASKED))
"""What is tried in each field: so many, or each shape once."""

MODELS = {each.__name__: each for each in (CABRequest, CABException, CABDecision, ChangeFreeze)}
"""What the pages show, by kind. Of an intent they show what its request repeats."""

FILTERS = (
    "/ledger?subject={0}&verdict={0}&author={0}", "/ledger?namespace={}", "/ledger?correlation={}",
    "/ledger?continue={}", "/queue?namespace={}", "/calendar?namespace={}",
    "/dashboard?namespace={}", "/workload?workload={}",
)  # fmt: skip
"""Fields of filters. Each shape is tried in one of them, and in the next where it comes again, as
in lists, pages and forms."""

LISTS = ("/queue", "/ledger")
"""Pages that show the most of what teams write."""

PAGES = ("/calendar", "/dashboard?days=30", "/workload?namespace=shop&workload={}")
"""Pages that show little of what teams write: with them it is the same."""


class Shown:
    """Objects of every page, of which each text is put into all fields that take it; and the
    pages."""

    def __init__(self, serving):
        made, self.request = serving.put("ManualReview", MIDDLING, "checkout")
        bad, _ = serving.put("ExceptionRequired", BAD, "basket")
        self.exception = serving.put_exception(exception(bad))
        self.decided = f"{self.request}-decided"
        put_freezes(serving.api)
        self._api, objects = serving.api, serving.api.objects
        conditions = [{"name": "watch", "description": "Watch it"}]
        entry = by_person("ConditionallyApproved", conditions=conditions)
        for where, obj in list(objects.items()):
            if obj["metadata"]["name"] == made.metadata.name and obj["kind"] == "CABRequest":
                again = copy.deepcopy(obj)
                again["metadata"]["name"] += "-decided"
                again["status"] = {"decisions": numbered([entry], made.spec.evidence_digest)}
                objects[f"{where}-decided"] = again
        serving.put_records(fresh().records)
        self._objects = {k: v for k, v in objects.items() if v.get("kind") in MODELS}
        longest = max(map(len, PAYLOADS)) * "<"
        self._fields = {
            where: fields_for(obj, MODELS[obj["kind"]], longest)
            for where, obj in self._objects.items()
        }
        assert {self._objects[where]["kind"] for where, paths in self._fields.items() if paths} == (
            set(MODELS)
        )

    def say(self, text):
        """Have every object say a text, in every field that takes it."""
        for where, paths in self._fields.items():
            obj, model = self._objects[where], MODELS[self._objects[where]["kind"]]
            made = filled(obj, paths, text)
            try:
                model.model_validate(made)
            except ValidationError:  # some fields take no text like this one
                taken = fields_for(obj, model, text)
                assert taken, (obj["kind"], text)
                made = filled(obj, taken, text)
            self._api.objects[where] = made


def unharmed(page, where):
    """Nothing of what is shown has run, nor hides."""
    assert page.evaluate("window.ran") is None, where
    said = page.inner_text("body")
    assert not UNSEEN & set(said), where
    return said


def refused_with_all_that_was_typed(page, text, button):
    """Type a text into every field of a form, send it for another digest than is shown, and find
    all of it again."""
    fields = page.locator("form.decide").locator("textarea, input:not([type])")
    typed = fields.evaluate_all(
        "(all, text) => all.map(each => [each.name, (each.value = text, each.value)])", text
    )
    page.locator("form.decide input[name=digest]").evaluate("each => each.value = 'stale'")
    with page.expect_navigation():
        page.get_by_role("button", name=button).click()
    assert "LookAgain" in unharmed(page, (button, text))
    kept = fields.evaluate_all("all => all.map(each => [each.name, each.value])")
    # The ends of lines and blanks around them are those of forms.
    assert [[name, value.strip()] for name, value in typed] == kept, text
    return [name for name, _ in kept]


def test_nothing_that_teams_write_or_somebody_types_runs(serving, opened):
    page = opened()
    shown = Shown(serving)
    for number, text in enumerate(PAYLOADS):
        shown.say(text)
        said, turn = quote(text, safe=""), sum(divmod(number, len(SHAPES)))
        for some in (LISTS, FILTERS, PAGES):
            path = some[turn % len(some)].format(said)
            page.goto(serving.url(path))
            assert "cannot be read by this version" not in unharmed(page, (path, text)), path

        path, button, field = (
            (shown.request, "Approve", "condition3.description"),
            (shown.exception, "Approve", "window2.until"),
            (shown.decided, "Revoke", "rationale"),
        )[turn % 3]
        page.goto(serving.url(f"{path}?recorded={said}"))
        assert "cannot be read by this version" not in unharmed(page, (path, text))
        assert field in refused_with_all_that_was_typed(page, text, button)
    assert page.problems == []
    assert serving.patches() == []
