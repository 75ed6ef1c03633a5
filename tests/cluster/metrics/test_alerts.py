# SPDX-License-Identifier: Apache-2.0
"""Each alert of the chart fires from what the real processes show under a real fault, and none does
while all is well. promtool judges the rules that Helm renders.

A fault lasts seconds here. What was scraped before and under it goes on for promtool as it came,
until the alert is due; how, says `support.prometheus.Course`.
"""

import json
from datetime import UTC, datetime

import pytest

from cabgate.api.changefreeze import NAME_LABEL
from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.chart import manifests
from cabgate_samples.objects import GOOD, MIDDLING, intent, workload
from support.freezes import DAY, freeze, interval
from support.gate import denial
from support.monitored import OPTIONS, Monitored
from support.operators import ENTRY_ARGV, Replica, leader_of
from support.prometheus import Course, Proofs, Rules

RUNBOOKS = "https://git.example.com/alerts.md"
DOUBTS = "cabgate_admission_in_doubt_total"
SWEPT = "cabgate_last_sweep_timestamp_seconds"
proves = Proofs()


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def monitored(cluster):
    with Monitored(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def gate(monitored):
    return monitored.gate


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    values = {"monitoring": {"prometheusRule": {"enabled": True, "runbooks": RUNBOOKS}}}
    found = [each for each in manifests(values) if each["kind"] == "PrometheusRule"]
    return Rules(found[0]["spec"], tmp_path_factory.mktemp("rules"))


@pytest.fixture
def healthy(monitored):
    """What is scraped before the fault. Each test leaves all as it was."""
    leader_of(monitored.operators)
    wait_until(lambda: max(monitored.scrape().of(SWEPT)) > 0, "a sweep is done")
    yield monitored.scrape()
    for proxy in proxies(monitored):
        proxy.heal()
    if not monitored.webhook.running:
        monitored.start_webhook()
    for replica in monitored.operators:
        if not replica.process.running:
            replica.start()
    leader_of(monitored.operators, 60)


def proxies(monitored):
    return [monitored.proxy, *(replica.proxy for replica in monitored.operators)]


def refuse(replicas, wanted):
    """Have the API server fail some calls of operators."""
    for replica in replicas:
        replica.proxy.refuse = lambda call: (500, "InternalError") if wanted(call) else None


def tried(gate, namespace):
    """What came of a rollout, tried as a dry run."""
    body = json.dumps(workload(namespace))
    return gate.tried_once("requester", "create", "--dry-run=server", "-f", "-", stdin=body)


def test_promtool_finds_nothing_to_complain_of(rules):
    assert f"SUCCESS: {len(rules.alerts)} rules found" in rules.check()


def test_each_alert_is_proved_below(rules):
    assert set(rules.alerts) == proves.alerts


def test_none_fires_while_all_is_well(gate, monitored, namespace, rules, healthy):
    assert "NoRequest" in denial(tried(gate, namespace))
    gate.open(namespace, GOOD, "AutoApproved")
    assert tried(gate, namespace).returncode == 0
    first = monitored.scrape()
    gate.open(namespace, MIDDLING, "Submitted", name="waits")
    assert tried(gate, namespace).returncode == 0
    last = settled(monitored, max(first.of(SWEPT)))
    # A denial is no trouble.
    assert last.of("cabgate_admission_requests_total", reason="NoRequest", verdict="denied")
    course = Course(healthy, first, last)
    rules.check_course(course, dict.fromkeys(range(0, 181, 5), ()))


def settled(monitored, since):
    """A scrape after another sweep."""

    def found():
        scraped = monitored.scrape()
        return scraped if max(scraped.of(SWEPT)) > since else None

    return wait_until(found, "another sweep is done")


def test_none_fires_where_another_replica_takes_over(monitored, rules, healthy):
    leader, _ = leader_of(monitored.operators)
    leader.process.stop()
    leader_of(monitored.operators)
    first = settled(monitored, max(healthy.of(SWEPT)))
    last = settled(monitored, max(first.of(SWEPT)))
    rules.check_course(Course(healthy, first, last), dict.fromkeys(range(0, 91, 5), ()))


@proves("CabgateWebhookAbsent")
def test_no_webhook_runs(monitored, rules, healthy):
    monitored.webhook.stop()
    gone = monitored.scrape()
    rules.check_course(Course(healthy, gone, gone), {1: (), 3: ("CabgateWebhookAbsent",)})


@proves("CabgateWebhookNotReady")
def test_no_webhook_is_ready(monitored, rules, healthy):
    """The API server sends a webhook that is not ready no review that could fail."""
    monitored.proxy.refuse = lambda call: (403, "Forbidden")
    unready = monitored.scrape()
    assert unready.of("cabgate_webhook_ready") == [0.0]
    course = Course(healthy, unready, unready)
    rules.check_course(course, {1: (), 3: ("CabgateWebhookNotReady",)})


@proves("CabgateAdmissionInDoubt")
def test_reviews_are_in_doubt(gate, monitored, namespace, rules, healthy):
    """Two denials are enough, the first two of the process, with nothing after them; one is not."""
    monitored.webhook.stop()
    monitored.start_webhook()
    before = monitored.scrape()
    assert sum(before.of(DOUBTS)) == 0
    monitored.proxy.refuse = lambda call: (
        (500, "InternalError") if f"/namespaces/{namespace}" in call.path else None
    )
    seen = []
    for count in (1, 2):
        assert denial(tried(gate, namespace)).startswith("LookupFailed: ")
        seen.append(monitored.scrape())
        assert seen[-1].of(DOUBTS, reason="LookupFailed") == [count]
    one, two = seen
    rules.check_course(Course(before, one, one), {5: (), 10: (), 20: ()})
    alert = ("CabgateAdmissionInDoubt",)
    rules.check_course(Course(before, two, two), {2: alert, 10: alert, 20: ()})
    rules.check_course(Course(before, one, two), {20: alert, 60: alert})


@proves("CabgateAdmissionSlow")
def test_reviews_are_slow(gate, monitored, namespace, rules, healthy):
    gate.open(namespace, GOOD, "AutoApproved")
    before = monitored.scrape()
    monitored.proxy.delay = 1.2
    scraped = []
    for _ in range(2):
        assert tried(gate, namespace).returncode == 0
        scraped.append(monitored.scrape())
    course = Course(before, *scraped)
    rules.check_course(course, {5: (), 12: ("CabgateAdmissionSlow",)})


@proves("CabgateCertificateEnds")
def test_a_certificate_is_near_its_end(cluster, monitored, rules, healthy):
    pair = cluster.serving_certificate("a-week")
    monitored.webhook.stop()
    monitored.start_webhook(certificate=pair.cert, key=pair.key)
    try:
        first = monitored.scrape()
        last = settled(monitored, max(first.of(SWEPT)))
    finally:
        monitored.webhook.stop()
    course = Course(healthy, first, last)
    rules.check_course(course, {30: (), 61: ("CabgateCertificateEnds",)})


@proves("CabgateNoLeader")
def test_no_operator_leads(monitored, rules, healthy):
    refuse(monitored.operators, lambda call: "/leases" in call.path)
    wait_until(lambda: not any(each.leads for each in monitored.operators), "none leads")
    scraped = monitored.scrape()
    assert scraped.of("cabgate_leader") == [0.0, 0.0]
    course = Course(healthy, scraped, scraped)
    rules.check_course(course, {1: (), 3: ("CabgateNoLeader",), 120: ("CabgateNoLeader",)})


def test_no_operator_runs(monitored, rules, healthy):
    for replica in monitored.operators:
        replica.process.stop()
    gone = monitored.scrape()
    course = Course(healthy, gone, gone)
    rules.check_course(course, {1: (), 3: ("CabgateNoLeader",), 120: ("CabgateNoLeader",)})


def test_who_leads_is_not_scraped(monitored, rules, healthy):
    """Prometheus cannot know that somebody else leads; the runbook says so."""
    leader, _ = leader_of(monitored.operators)
    others = {each.name for each in monitored.operators} - {leader.name}
    scraped = monitored.scrape(operators=others)
    course = Course(healthy, scraped, scraped)
    rules.check_course(course, {1: (), 3: ("CabgateNoLeader",)})


@proves("CabgateSweepLate")
def test_sweeps_are_late(monitored, rules, healthy):
    refuse(monitored.operators, lists_requests)
    leader, _ = leader_of(monitored.operators)

    def stood_still():  # a sweep that had begun before may still end well
        before = monitored.scrape()
        refused(leader)
        after = monitored.scrape()
        return (before, after) if before.of(SWEPT) == after.of(SWEPT) else None

    first, last = wait_until(stood_still, timeout=90.0, what="no sweep is done any more")
    course = Course(healthy, first, last)
    rules.check_course(course, {50: (), 67: ("CabgateSweepLate",)})


def test_a_leader_that_has_never_swept_is_late_at_once(monitored, rules, healthy):
    leader, _ = leader_of(monitored.operators)
    other = next(each for each in monitored.operators if each is not leader)
    other.process.stop()
    other.start()
    refuse([other], lists_requests)
    leader.process.stop()
    leader_of([other])
    scraped = monitored.scrape()
    assert scraped.of(SWEPT) == [0.0]
    course = Course(healthy, scraped, scraped)
    rules.check_course(course, {4: (), 6: ("CabgateSweepLate",)})


def lists_requests(call):
    """Whether a call is what each sweep begins with."""
    everywhere = call.path.endswith("/v1alpha1/cabrequests") and "/namespaces/" not in call.path
    return everywhere and call.method == "GET" and not call.watch


def refused(replica):
    """Return once the API server has failed one more sweep."""
    seen = len(replica.proxy.calls)
    wait_until(
        lambda: any(lists_requests(call) for call in replica.proxy.calls[seen:]),
        "a sweep is tried",
    )


@proves("CabgateReconcilesFail")
def test_reconciles_fail(gate, monitored, namespace, rules, healthy):
    refuse(
        monitored.operators,
        lambda call: call.method == "POST" and call.path.endswith("/cabrequests"),
    )
    gate.apply("requester", intent(namespace))

    first = failed_since(monitored, healthy)
    last = failed_since(monitored, first)
    course = Course(healthy, first, last)
    rules.check_course(course, {15: (), 32: ("CabgateReconcilesFail",)})
    for proxy in proxies(monitored):
        proxy.heal()
    # Or an operator of a later test opens it, and fails again: with a clock that is days ahead.
    gate.request_of(namespace, state="AutoApproved")


def failed_since(monitored, before):
    """A scrape with more errors than one before."""

    def errors(scraped):
        return sum(scraped.of("cabgate_reconciles_total", result="error"))

    def found():
        scraped = monitored.scrape()
        return scraped if errors(scraped) > errors(before) else None

    return wait_until(found, "an object is tried and fails")


@proves("CabgateRequestsWait")
def test_requests_wait_for_a_week(gate, monitored, namespace, rules, healthy):
    """The age is constructed: nobody can give an object another creationTimestamp, so the clock of
    the operator is eight days ahead."""
    gate.open(namespace, MIDDLING, "Submitted")
    for replica in monitored.operators:
        replica.process.stop()
    ahead = ("--clock-shift", str(8 * 86400))
    with Replica(gate, "ahead", *OPTIONS, *ahead, argv=ENTRY_ARGV) as later:
        monitored.operators.append(later)
        try:
            leader_of([later])
            first = settled(monitored, 0)
            last = settled(monitored, max(first.of(SWEPT)))
        finally:
            monitored.operators.remove(later)
    assert last.of("cabgate_pending_requests", age="over_7d") >= [1.0]
    course = Course(healthy, first, last)
    rules.check_course(course, {30: (), 62: ("CabgateRequestsWait",)})


@proves("CabgateFreezeCalendarEnds")
def test_a_calendar_of_freezes_ends_within_two_weeks(gate, monitored, rules, healthy):
    def ends(count):
        def found():
            scraped = monitored.scrape()
            shown = scraped.of("cabgate_change_freeze_ends_timestamp_seconds")
            return scraped if len(shown) == count else None

        return wait_until(found, f"the metric has {count} calendars")

    nowhere = {"key": NAME_LABEL, "operator": "In", "values": ["nowhere"]}
    until = interval(ends=13 * DAY, now=datetime.now(UTC))
    window = freeze("ends", until, kind="Window", terms=[nowhere])
    del window["metadata"]["creationTimestamp"]
    gate.create("admin", window)
    try:
        first = ends(1)
        last = settled(monitored, max(first.of(SWEPT)))
    finally:
        gate.cluster.kubectl("delete", "changefreeze", "ends")
    ends(0)
    course = Course(healthy, first, last)
    firing = {30: (), 62: ("CabgateFreezeCalendarEnds",)}
    rules.check_course(course, firing, changefreeze="ends", kind="Window")


@proves("CabgateInstallationDiffers")
def test_commands_are_told_something_else_than_the_operator(gate, monitored, rules, healthy):
    def differs(value):
        def found():
            scraped = monitored.scrape()
            return scraped if max(scraped.of("cabgate_installation_differs")) == value else None

        return wait_until(found, f"cabgate_installation_differs is {value}")

    patch = {"data": {"defaultRing": "3"}}
    gate.patch("admin", "configmap", "cabgate-installation", "cabgate-system", patch)
    try:
        first = differs(1)
        last = settled(monitored, max(first.of(SWEPT)))
    finally:
        monitored.apply_objects("cabgate-installation")
    differs(0)
    course = Course(healthy, first, last)
    rules.check_course(course, {25: (), 32: ("CabgateInstallationDiffers",)})
