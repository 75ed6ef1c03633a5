# SPDX-License-Identifier: Apache-2.0
"""A rogue operator cannot shorten a soak or add Pods, and nobody reports in another's name."""

import pytest
from pydantic import ValidationError

from cabgate.api import CABException, RolloutOutcome
from cabgate.api.outcome import MAX_INCIDENTS, MAX_INTERRUPTIONS
from cabgate.outcomes.pods import PodsNow
from cabgate.outcomes.writing import labels_of, spec_of
from cabgate.text.refusal import Refusal
from cabgate.writes.outcomes import (
    check_incidents,
    check_new_outcome,
    check_operator_write,
    stamped_status,
)
from cabgate_samples.models import intent, request, target
from unit.core.outcomes.outcomes import (
    IMAGE,
    LATER_IMAGE,
    at,
    interruption,
    outcome_of,
    stamp,
)
from unit.core.outcomes.workloads import running

NOW = running()
CLOCK = at(1000)
HERE = {"images": [IMAGE], "template": NOW.template}


def refused(check, *args, **more):
    """The field of the refusal; None if there is none."""
    try:
        check(*args, **more)
    except Refusal as refusal:
        return refusal.field
    return None


def write(old, new, workload=NOW, *, ready=0, others=()):
    pods = PodsNow(ready)
    return refused(check_operator_write, old, new, workload, pods, others, CLOCK)


def now_of(*interruptions, **more):
    return outcome_of(*interruptions, **HERE, **more)


OPEN = interruption(100)
INCIDENT = {"id": "a", "severity": 1, "source": "s", "at": stamp(1), "by": "ann"}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        # An interruption is taken away, closed while it lasts, or closed in the past.
        (now_of(OPEN), now_of(), "status.interruptions"),
        (now_of(interruption(100, 200)), now_of(interruption(100, 150)), "status.interruptions"),
        (now_of(interruption(100, 200)), now_of(interruption(150, 200)), "status.interruptions"),
        (now_of(OPEN), now_of(interruption(100, 500)), "status.interruptions"),
        (now_of(OPEN), now_of(interruption(100, 2000)), "status.interruptions"),
        (now_of(OPEN), now_of(interruption(900)), "status.interruptions"),
        (now_of(OPEN), now_of(interruption(100, None, "ImagesLeft")), "status.interruptions"),
        # One begins that is over already, or will begin, or while another lasts.
        (now_of(), now_of(interruption(10, 1000)), "status.interruptions"),
        (now_of(), now_of(interruption(1100)), "status.interruptions"),
        (now_of(), now_of(interruption(1), interruption(2)), "status.interruptions"),
        (now_of(OPEN), now_of(OPEN, interruption(200)), "status.interruptions"),
        # Pods are made up, or forgotten.
        (now_of(pods=(2, 0)), now_of(pods=(3, 0)), "status.pods.seen"),
        (now_of(pods=(2, 1)), now_of(pods=(2, 0)), "status.pods"),
        (now_of(pods=(2, 1)), now_of(pods=(1, 1)), "status.pods"),
        # What ended is written anew.
        (now_of(result="Failed", ended=5), now_of(result="Replaced", ended=5), "status"),
        (now_of(result="Failed", ended=5), now_of(), "status"),
        (now_of(result="Failed", ended=5), now_of(OPEN, result="Failed", ended=5), "status"),
        # The end is made up.
        (now_of(), now_of(result="Failed", ended=1000), "status.result"),
        (now_of(OPEN), now_of(OPEN, result="Replaced", ended=1000), "status.result"),
        (now_of(), now_of(result="Replaced", ended=900), "status.endedAt"),
        (now_of(), now_of(incidents=[INCIDENT]), "status.incidents"),
        (now_of(incidents=[INCIDENT]), now_of(), "status.incidents"),
    ],
)
def test_what_a_rogue_operator_may_not_write(old, new, field):
    assert write(old, new, ready=2) == field


def test_an_interruption_lasts_as_long_as_the_workload_is_not_back():
    closed = now_of(interruption(100, 1000))
    assert write(now_of(OPEN), closed) is None
    assert write(now_of(OPEN), closed, running(available=0)) == "status.interruptions"
    assert write(now_of(OPEN), closed, running(LATER_IMAGE)) == "status.interruptions"
    assert write(now_of(OPEN), closed, None) == "status.interruptions"
    left = now_of(interruption(100, None, "ImagesLeft"))
    back = now_of(interruption(100, 1000, "ImagesLeft"))
    assert write(left, back) is None
    assert write(left, back, running(old=1)) == "status.interruptions"


def test_what_is_so_may_be_written():
    assert write(now_of(), now_of(interruption(900))) is None
    assert write(now_of(pods=(1, 0)), now_of(pods=(3, 2)), ready=3) is None
    assert write(now_of(pods=(3, 0)), now_of(pods=(3, 0)), ready=0) is None
    assert write(now_of(), now_of(result="Succeeded", ended=1000), None) is None
    assert write(now_of(OPEN), now_of(OPEN, result="Failed", ended=1000), None) is None


def test_pods_of_something_else_are_none_of_its():
    """A rogue operator would leave an outcome open, and count what runs in its place."""
    more = now_of(pods=(9, 0))
    assert write(now_of(), more, running(LATER_IMAGE), ready=200) == "status.pods.seen"
    assert write(now_of(), more, running(created=500), ready=200) == "status.pods.seen"


def test_an_interruption_has_the_reason_that_it_has():
    left = now_of(interruption(900, None, "ImagesLeft"))
    assert write(now_of(), left) == "status.interruptions"
    assert write(now_of(), left, running(LATER_IMAGE)) is None
    assert write(now_of(), now_of(interruption(900)), running(LATER_IMAGE)) is not None


def test_a_rollback_is_none_of_what_it_is_rolled_back_to():
    old = outcome_of(images=[LATER_IMAGE], name="later")
    before = now_of(name="before", result="Replaced", ended=50)
    replaced = outcome_of(images=[LATER_IMAGE], name="later", result="Replaced", ended=1000)
    rolled_back = outcome_of(images=[LATER_IMAGE], name="later", result="RolledBack", ended=1000)
    assert write(old, replaced, others=[old, before]) == "status.result"
    assert write(old, rolled_back, others=[old, before]) is None
    assert write(old, rolled_back, others=[old]) == "status.result"


def test_what_lists_as_many_interruptions_as_it_may_fails():
    times = [interruption(10 * n, 10 * n + 5) for n in range(MAX_INTERRUPTIONS)]
    assert write(now_of(*times), now_of(*times, result="Failed", ended=1000)) is None
    fewer = times[1:]
    field = write(now_of(*fewer), now_of(*fewer, result="Failed", ended=1000))
    assert field == "status.result"


def stamped(old, status, username="op", *, by_operator=True):
    return stamped_status(old, status, username, CLOCK, by_operator=by_operator)


def test_ends_have_the_time_of_the_webhook():
    """Whoever closes an interruption earlier has a longer soak."""
    early = {"interruptions": [interruption(100, 200)], "result": "Failed", "endedAt": stamp(1)}
    made, _ = stamped(now_of(OPEN), early)
    assert made["interruptions"] == [interruption(100, 1000)]
    assert made["endedAt"] == stamp(1000)
    late, _ = stamped(now_of(), {"interruptions": [interruption(5000)]})
    assert late["interruptions"] == [interruption(1000)]
    old = now_of(interruption(100, 200), result="Failed", ended=300)
    assert stamped(old, old.status.to_dict())[0] == old.status.to_dict()


REPORT = {"id": "INC-1", "severity": 2, "source": "alertmanager"}


def test_a_report_becomes_an_incident_of_who_reports_it():
    made, message = stamped(now_of(), {"report": REPORT | {"by": "x"}}, "pager", by_operator=False)
    assert made == {"incidents": [{**REPORT, "at": stamp(1000), "by": "pager"}]}
    assert "INC-1" in message


def test_an_incident_is_recorded_once():
    known = [{**REPORT, "at": stamp(5), "by": "pager"}]
    old = now_of(incidents=known)
    status = {**old.status.to_dict(), "report": {**REPORT, "severity": 4}}
    made, message = stamped(old, status, "pager", by_operator=False)
    assert made == old.status.to_dict()
    assert "before" in message


def test_a_full_list_says_so():
    known = [{**INCIDENT, "id": f"i-{n}"} for n in range(MAX_INCIDENTS)]
    old = now_of(incidents=known)
    with pytest.raises(Refusal, match=str(MAX_INCIDENTS)):
        stamped(old, {**old.status.to_dict(), "report": REPORT}, "pager", by_operator=False)


def test_a_report_that_is_none_is_refused():
    with pytest.raises(ValidationError):
        stamped(now_of(), {"report": {**REPORT, "severity": 9}}, "pager", by_operator=False)


def incidents(old, new, username="pager"):
    return refused(check_incidents, old, new, username, CLOCK)


def reported(by="pager", seconds=1000, **more):
    return {**REPORT, "at": stamp(seconds), "by": by, **more}


def test_others_add_incidents_of_their_own_and_nothing_else():
    assert check_incidents(now_of(), now_of(incidents=[reported()]), "pager", CLOCK)
    assert not check_incidents(now_of(), now_of(), "pager", CLOCK)
    assert incidents(now_of(), now_of(incidents=[reported("ann")])) == "status.incidents"
    assert incidents(now_of(), now_of(incidents=[reported(seconds=1)])) == "status.incidents"
    assert incidents(now_of(incidents=[reported()]), now_of()) == "status"
    changed = now_of(incidents=[reported(severity=4)])
    assert incidents(now_of(incidents=[reported()]), changed) == "status"
    assert incidents(now_of(), now_of(pods=(5, 0))) == "status"
    assert incidents(now_of(OPEN), now_of(interruption(100, 1000))) == "status"
    assert incidents(now_of(), now_of(result="Replaced", ended=1000)) == "status"


WEB = intent({}, [target("web", "shop/web:1")], name="web", release="shop")
ASKED = request(of=WEB)
NEW = spec_of(NOW, 1, "web", "shop")


def new(spec=NEW, **metadata):
    labels = {"labels": labels_of(spec)} | metadata
    return RolloutOutcome.model_validate({"metadata": labels, "spec": spec.to_dict()})


def changed(**fields):
    return new(NEW.model_copy(update=fields))


def created(outcome, workload=NOW, declared=WEB, ring=1, asked=None, exception=None):
    return refused(check_new_outcome, outcome, workload, declared, ring, asked, exception)


def test_an_outcome_that_is_so_begins():
    assert created(new()) is None


@pytest.mark.parametrize(
    ("outcome", "facts", "field"),
    [
        (new(), {"workload": None}, "spec.target"),
        (new(), {"workload": running(available=1)}, "spec.target"),
        (new(), {"workload": running(old=1)}, "spec.target"),
        (new(), {"workload": running(LATER_IMAGE)}, "spec.images"),
        (new(), {"workload": running(command=["sleep"])}, "spec.template"),
        (changed(template=None), {}, "spec.template"),
        (new(), {"ring": 2}, "spec.ring"),
        (
            new(),
            {"declared": intent({}, [target("web", "shop/web:1")], name="web")},
            "spec.release",
        ),
        (changed(release="other"), {}, "spec.release"),
        (new(), {"declared": None}, "spec.intentName"),
        (changed(request_name="web-1"), {}, "spec.requestName"),
        (changed(exception_name="x"), {}, "spec.exceptionName"),
        (new(labels={}), {}, "metadata.labels"),
        (new(labels={**labels_of(NEW), "cabgate.dev/release": "other"}), {}, "metadata.labels"),
    ],
)
def test_an_outcome_that_is_not_so_is_refused(outcome, facts, field):
    assert created(outcome, **facts) == field


def test_the_request_names_what_runs():
    named = changed(request_name=ASKED.metadata.name)
    assert created(named, asked=ASKED) == "spec.requestName"  # it is for other images
    images = [t.model_copy(update={"images": [IMAGE]}) for t in ASKED.spec.targets]
    spec = ASKED.spec.model_copy(update={"targets": images})
    asked = ASKED.model_copy(update={"spec": spec})
    assert created(named, asked=asked) is None
    body = {"metadata": {"name": "x"}, "spec": {"requestRef": {"name": asked.metadata.name},
            "reason": "r", "compensatingControls": ["c"]}}  # fmt: skip
    exception = CABException.model_validate(body)
    both = changed(request_name=asked.metadata.name, exception_name="x")
    assert created(both, asked=asked, exception=exception) is None


def test_an_outage_is_not_passed_off_as_scaled_to_0():
    down, zero = running(available=0), running(replicas=0)
    scaled, out = now_of(interruption(900, None, "ScaledToZero")), now_of(interruption(900))
    assert write(now_of(), scaled, zero) is None
    assert write(now_of(), out, down) is None
    assert write(now_of(), scaled, down) == "status.interruptions"
    assert write(now_of(), out, zero) == "status.interruptions"
    # Nor is it over before it is scaled up.
    over = now_of(interruption(900, 1000, "ScaledToZero"))
    assert write(scaled, over, zero) == "status.interruptions"
    assert write(scaled, over, down) is None
