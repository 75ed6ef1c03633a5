# SPDX-License-Identifier: Apache-2.0
"""The demo's story with its decisions made on the page: each person has a browser of their own, and
what they type there is what they would type for kubectl."""

import json
import re
import shlex
from dataclasses import dataclass

from cabgate_demo.stage import Stage
from cabgate_devcluster import wait_until
from support.browser import too_wide

PEOPLE = ("requester", "reviewer", "security", "lead")
"""Who has the page open. A service account has none, and the admin stays with kubectl."""

NOT_OFFERED = "somebody else has to approve it"
"""What the page says to who submitted a request, in the place of a button."""

VERBS = {"Approved": "approve", "Rejected": "reject", "Revoked": "revoke"}


@dataclass(frozen=True)
class Decision:
    """What a command of the story would decide."""

    path: str
    verb: str
    why: str
    condition: str = ""


def decision_of(command):
    """The decision that a command makes and the page can make; None for any other command."""
    words = shlex.split(command)
    where = words[words.index("-n") + 1] if "-n" in words else ""
    if words[:2] == ["kubectl", "patch"] and "--subresource=status" in words:
        review = json.loads(words[words.index("-p") + 1])["status"].get("review", {})
        if review.get("verdict") not in VERBS or "overrides" in review:
            return None
        kind = "exceptions" if words[2] == "cabexception" else "requests"
        path = f"/{kind}/{where}.{words[3]}"
        return Decision(path, VERBS[review["verdict"]], review["rationale"])
    if words[:2] == ["kubectl", "cab"] and words[2] in VERBS.values() and "--override" not in words:

        def option(name):
            return words[words.index(name) + 1] if name in words else ""

        path = f"/requests/{where}.{words[3]}"
        return Decision(path, words[2], option("--because"), option("--condition"))
    return None


class Mouse:
    """Fills in and presses what it points at."""

    def type(self, page, field, text):
        """Write a text into a field."""
        field.fill(text)

    def press(self, page, what):
        """Press a button, or what folds something out."""
        what.click()


class Keyboard:
    """Comes to everything with the Tab key, as who has no mouse does."""

    MOST = 200
    """Times that it is pressed for one thing at most."""

    def type(self, page, field, text):
        """Write a text into a field."""
        self._come_to(page, field)
        page.keyboard.insert_text(text)

    def press(self, page, what):
        """Press a button, or what folds something out."""
        self._come_to(page, what)
        page.keyboard.press("Enter")

    def _come_to(self, page, what):
        for _ in range(self.MOST):
            if what.evaluate("each => each === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"the Tab key does not lead to {what}")


class PageStage(Stage):
    """Where the decisions of people are made on the page, and all else as in the demo. `options`
    are those of each person's browser, `hand` is what they decide with."""

    def __init__(self, cluster, console, folder, browser, ending, hand, options):
        super().__init__(cluster, console, folder)
        self._browser = browser
        self._ending = ending
        self._hand = hand
        self._options = options
        self._pages = {}
        self.decided, self.denied = [], []

    def passes(self, user, command, *expected):
        decision = self._on_page(user, command)
        if decision is None:
            return super().passes(user, command, *expected)
        self._until_recorded(user, decision)
        return ""

    def eventually(self, user, command, *expected, succeeds=True):
        decision = self._on_page(user, command)
        if decision is None:
            super().eventually(user, command, *expected, succeeds=succeeds)
        else:
            self._until_recorded(user, decision)

    def refused(self, user, command, *expected):
        decision = self._on_page(user, command)
        if decision is None:
            return super().refused(user, command, *expected)

        def denied():
            said = self._tried(user, decision)
            refused = all(words in said for words in expected) or NOT_OFFERED in said
            return said if refused else None

        said = wait_until(denied, f"{user} is refused {decision}", timeout=120)
        self.denied.append((user, decision.verb))
        return said

    def _on_page(self, user, command):
        return decision_of(command) if user in PEOPLE else None

    def _until_recorded(self, user, decision):
        """As people do: not before the operator has looked at what was changed, and again while
        the API server does not know a kind."""
        wait_until(
            lambda: "is recorded, in your name" in self._tried(user, decision),
            f"{user}: {decision}",
            timeout=120,
        )
        self.decided.append((user, decision.verb))

    def _tried(self, user, decision):
        """What the page says to a decision, or why it has no button for it."""
        page, base = self._page_of(user)
        page.goto(base + decision.path)
        button = page.locator(f"button[name=verb][value={decision.verb}]")
        if not button.count():
            return page.inner_text("#decide")
        self._hand.type(page, page.get_by_label("Why"), decision.why)
        if decision.condition:
            name, _, description = decision.condition.partition("=")
            self._hand.press(page, page.get_by_text("On approval conditions"))
            self._hand.type(page, page.locator("#condition1-name"), name)
            self._hand.type(page, page.locator("#condition1-description"), description)
        assert not too_wide(page)
        with page.expect_navigation():
            self._hand.press(page, button)
        return page.inner_text("main")

    def _page_of(self, user):
        if user not in self._pages:
            url = self._ending.enter_context(self.serving(user, "kubectl cab ui"))
            context = self._browser.new_context(**self._options)
            self._ending.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.goto(url)
            self._pages[user] = (page, url.partition("/?")[0])
        return self._pages[user]


def staged(browser, ending, hand, **options):
    """Makes the stage of a run, kept in `made`; what it opens is closed with `ending`."""

    def stage_of(cluster, console, folder):
        stage_of.made = PageStage(cluster, console, folder, browser, ending, hand, options)
        return stage_of.made

    return stage_of


def ledger_of(cluster, namespace):
    """What the ledger says of a namespace without what differs from run to run: times, uids, hashes
    and signatures. Of each subject its records in their order, and the decisions of people in the
    order in which they were made."""
    items = cluster.api.call("GET", "/apis/cabgate.dev/v1alpha1/cabdecisions")["items"]
    specs = [each["spec"] for each in items if each["spec"]["subject"]["namespace"] == namespace]
    specs.sort(key=lambda spec: spec["sequence"])
    subjects, names = {}, {}
    for spec in specs:
        subjects.setdefault(_name(spec, names), []).append(_decided(spec))
    by_people = [each for each in specs if each["author"]["type"] == "Person"]
    by_people.sort(key=lambda spec: spec["at"])
    return subjects, [(_name(each, names), _decided(each)) for each in by_people]


def _name(spec, names):
    """A name that does not hang on a digest, or on when a glass was broken: what begins alike is
    counted."""
    subject = spec["subject"]
    if subject["uid"] not in names:
        plain = f"{subject['kind']} {re.sub(r'[0-9a-f]{8,}', '#', subject['name'])}"
        names[subject["uid"]] = f"{plain} {sum(each.startswith(plain) for each in names.values())}"
    return names[subject["uid"]]


def _decided(spec):
    author = {name: spec["author"].get(name) for name in ("type", "username", "groups")}
    return {name: spec[name] for name in RECORDED if name in spec} | {"author": author}


RECORDED = (
    "verdict", "rationale", "conditions", "condition", "images", "overrides", "constraints",
    "score", "gate", "ring", "state",
)  # fmt: skip
"""Fields of a record that two runs have to have alike, beside who its author is: the credential is
another in each cluster."""
