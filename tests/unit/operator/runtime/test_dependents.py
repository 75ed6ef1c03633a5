# SPDX-License-Identifier: Apache-2.0
"""Whom the operator looks at again when a request or an exception changed."""

import copy

from cabgate_kube.resources import EXCEPTIONS, INTENTS, REQUESTS, Object
from cabgate_operator.runtime.dependents import Dependents
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.remembered import ToList
from unit.operator.support import BAD, exception_object, intent_object, request

WEB = Key(Subject.INTENT, "team", "web")
OTHER = Key(Subject.INTENT, "team", "other")
LEAVE = Key(Subject.EXCEPTION, "team", "leave")


def stored(intent: str = "web", **metadata: str) -> Object:
    body = request(BAD).model_dump(mode="json", by_alias=True)
    body["spec"]["intentRef"]["name"] = intent
    body["metadata"] |= {"uid": f"uid-{intent}", "name": f"{intent}-1", **metadata}
    return body


def leave(request: Object) -> Object:
    body = exception_object_for(request)
    body["metadata"]["uid"] = "uid-leave"
    return body


def exception_object_for(stored_request: Object) -> Object:
    body = copy.deepcopy(exception_object(request(BAD)))
    body["spec"]["requestRef"]["name"] = stored_request["metadata"]["name"]
    return body


def decided(body: Object) -> Object:
    status = body.get("status") or {}
    return {**body, "status": {**status, "decisions": [*status.get("decisions", []), {}]}}


def noted() -> Dependents:
    """Two intents with requests for one workload, and an exception of one of them."""
    known = Dependents(Manager().keys_of)
    known.saw(REQUESTS, stored())
    known.saw(REQUESTS, stored("other"))
    known.saw(EXCEPTIONS, leave(stored()))
    return known


def test_a_decision_is_news_to_the_intents_of_the_workload_and_to_its_exceptions() -> None:
    known = noted()
    assert known.saw(REQUESTS, decided(stored())) == {WEB, OTHER, LEAVE}
    assert known.saw(REQUESTS, decided(stored("other"))) == {WEB, OTHER}


def test_that_its_decision_was_noticed_is_news_as_well() -> None:
    known = noted()
    changed = stored()
    changed["status"] = {"conditions": [{"type": "Decided", "status": "True"}]}
    assert known.saw(REQUESTS, changed) == {WEB, OTHER, LEAVE}


def test_whatever_else_changes_in_a_status_is_no_news() -> None:
    known = noted()
    changed = stored()
    changed["status"] = {"state": "Submitted", "conditions": [{}]}
    assert known.saw(REQUESTS, changed) == set()


def test_an_exception_is_news_to_the_intents_of_its_requests_workloads() -> None:
    known = noted()
    assert known.saw(EXCEPTIONS, leave(stored())) == set()
    assert known.saw(EXCEPTIONS, decided(leave(stored()))) == {WEB, OTHER, LEAVE}
    assert known.saw(EXCEPTIONS, leave(stored()), deleted=True) == {WEB, OTHER}
    assert known.saw(REQUESTS, decided(stored())) == {WEB, OTHER}


def test_a_deleted_request_is_news_and_forgotten() -> None:
    known = noted()
    assert known.saw(REQUESTS, stored(), deleted=True) >= {OTHER, LEAVE}
    assert known.saw(REQUESTS, decided(stored("other"))) == {OTHER}


def test_one_that_is_created_again_under_its_name_is_another() -> None:
    known = noted()
    assert known.saw(REQUESTS, stored(uid="uid-again")) == {WEB, OTHER, LEAVE}
    known.saw(REQUESTS, stored(), deleted=True)
    assert known.saw(EXCEPTIONS, decided(leave(stored()))) == {WEB, OTHER, LEAVE}


def test_another_namespace_is_not_concerned() -> None:
    known = noted()
    assert known.saw(REQUESTS, stored("far", namespace="elsewhere")) == {
        Key(Subject.INTENT, "elsewhere", "far")
    }


def test_what_a_list_of_all_lacks_is_forgotten_and_its_dependents_are_looked_at() -> None:
    known = noted()
    assert known.gone(REQUESTS, {"uid-other"}) == {WEB, OTHER, LEAVE}
    assert known.gone(REQUESTS, {"uid-other"}) == set()
    assert known.gone(EXCEPTIONS, set()) == {LEAVE}
    assert known.saw(REQUESTS, decided(stored("other"))) == {OTHER}


def test_intents_are_not_noted() -> None:
    assert Dependents(Manager().keys_of).saw(INTENTS, intent_object(BAD)) == set()


LABELS = {"target.cabgate.dev/a", "target.cabgate.dev/b"}


def labelled(*labels: str, intent: str = "web") -> Object:
    return stored(intent, labels=dict.fromkeys(labels, ""))  # type: ignore[arg-type]


def complete(*bodies: Object) -> Dependents:
    known = Dependents(Manager().keys_of, complete=True)
    for body in bodies:
        known.saw(REQUESTS, body)
    return known


def test_which_lists_a_look_needs() -> None:
    a, c = "target.cabgate.dev/a", "target.cabgate.dev/c"
    table = [
        ((), ToList(own=False, naming=False)),
        ((labelled(a),), ToList(own=False, naming=True)),
        ((labelled(c),), ToList(own=True, naming=False)),
        ((labelled(a, intent="other"),), ToList(own=False, naming=True)),
        ((labelled(c, intent="other"),), ToList(own=False, naming=False)),
        ((labelled(c), labelled(a, intent="other")), ToList(own=True, naming=True)),
    ]
    for bodies, wanted in table:
        assert complete(*bodies).to_list(WEB, LABELS) == wanted, bodies
        known = complete()
        for body in bodies:  # before any watch has brought them
            known.created(body)
        assert known.to_list(WEB, LABELS) == wanted, bodies
        known.complete = False
        assert known.to_list(WEB, LABELS) == ToList()


def test_of_an_intent_that_is_gone_its_own_requests_are_listed() -> None:
    known = complete(labelled("target.cabgate.dev/a"))
    assert known.to_list(WEB, ()) == ToList(own=True, naming=False)
    known.saw(REQUESTS, labelled("target.cabgate.dev/a"), deleted=True)
    assert known.to_list(WEB, ()) == ToList(own=False, naming=False)


def test_who_depends_on_what_the_operator_created_is_looked_at_once_a_watch_brings_it() -> None:
    a = "target.cabgate.dev/a"
    known = complete(labelled(a, intent="other"))
    known.created(labelled(a))
    assert known.saw(REQUESTS, labelled(a)) == {WEB, OTHER}
    assert known.saw(REQUESTS, labelled(a)) == set()
    known.saw(REQUESTS, labelled(a), deleted=True)
    known.saw(REQUESTS, labelled(a, intent="other"), deleted=True)
    assert known.to_list(WEB, LABELS) == ToList(own=False, naming=False)
