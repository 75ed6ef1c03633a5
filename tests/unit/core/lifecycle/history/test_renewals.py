# SPDX-License-Identifier: Apache-2.0
"""Which exceptions came before one for the same workloads, and that its reviewer sees them."""

from datetime import timedelta

from cabgate.lifecycle.history.renewals import renewed
from cabgate.lifecycle.state.standing import standing_of
from cabgate.review.identity import User
from cabgate.views.show import show
from cabgate_cli.output.views import request_text
from cabgate_samples.models import NOW, by_person, by_system, exception, request
from cabgate_samples.objects import target
from unit.core.views.builders import whole

DAY = timedelta(days=1)
WEB = [target(["web:2"], name="web")]
ASKED = request("ExceptionRequired", name="web-2", targets=WEB)
BEFORE = request("ExceptionRequired", name="web-1", targets=[target(["web:1"], name="web")])
OTHER = request("ExceptionRequired", name="db-1", targets=[target(["db:1"], name="db")])
BOTH = request("ExceptionRequired", name="all-1", targets=[*WEB, target(["db:1"], name="db")])
REQUESTS = [ASKED, BEFORE, OTHER, BOTH]


def names(*exceptions, of=ASKED, looked_at=""):
    standings = [standing_of(each) for each in REQUESTS]
    return [
        each.metadata.name for each in renewed(standing_of(of), standings, exceptions, looked_at)
    ]


def approved(of, name, days_ago, days=30):
    at = by_person("Approved", at=NOW - days_ago * DAY)
    return exception(of, at, name=name, age=days_ago * DAY, days=days)


def test_the_chain_is_of_what_was_approved_for_a_workload_of_it():
    chain = [
        approved(BOTH, "second", 40),
        approved(BEFORE, "first", 80),
        approved(OTHER, "database", 50),
        exception(BEFORE, by_person("Rejected"), name="rejected"),
        exception(BEFORE, name="waits"),
        exception(BEFORE, by_person("Approved"), by_system("Reopened"), name="taken-back"),
        exception(BEFORE, by_person("Approved"), by_person("Revoked"), name="revoked", days=5),
        approved(ASKED, "third", 2),
    ]
    assert names(*chain) == ["first", "second", "revoked", "third"]
    assert names(*chain, looked_at="third") == ["first", "second", "revoked"]
    assert names(*chain, of=OTHER) == ["database", "second"]
    assert names() == []


def test_one_whose_request_is_gone_is_nobodys():
    gone = request("ExceptionRequired", name="gone-1", targets=WEB)
    assert names(approved(gone, "lost", 3)) == []


def test_who_decides_sees_what_it_renews():
    leave, before = exception(ASKED, name="again"), approved(BEFORE, "first", 40)
    standings = [standing_of(each) for each in REQUESTS]
    chain = renewed(standing_of(ASKED), standings, [leave, before], "again")
    seen = show(whole(ASKED)[0], [leave], NOW, exception=leave, viewer=User("sid"), renewals=chain)
    (found,) = seen.renewals
    assert (found.name, found.request, found.state, found.by) == (
        "first",
        "web-1",
        "Expired",
        "rita",
    )
    line = f"first for web-1: Expired, approved {found.at} by rita, until {found.ends}"
    assert line in request_text(seen)


def test_what_is_shown_already_is_not_shown_twice():
    active = approved(ASKED, "active", 2)
    chain = renewed(standing_of(ASKED), [standing_of(ASKED)], [active])
    seen = show(whole(ASKED)[0], [active], NOW, viewer=User("sid"), renewals=chain)
    assert [each.name for each in seen.exceptions] == ["active"]
    assert seen.renewals == ()
