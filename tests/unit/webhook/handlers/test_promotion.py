# SPDX-License-Identifier: Apache-2.0
"""What a rollout reads of the rings before, and what becomes of it where that cannot be read."""

from datetime import timedelta

import pytest

from cabgate.lifecycle.limits.promotion import MAX_LOOKED_AT
from cabgate.rollout.templates import ring_template
from cabgate.rollout.workloads import kind_of, template_of
from cabgate_samples.models import NAMESPACE, NOW, by_person
from cabgate_samples.objects import MIDDLING, workload
from cabgate_webhook.client.lookups import BudgetUsedUp, LookupFailed
from support.promotion import DAY, IMAGE, OTHER_IMAGE, outcome, promoted, row, running
from unit.webhook.handlers.rollout_api import (
    ELSEWHERE,
    NAME,
    OUTCOMES,
    REQUESTS,
    Api,
    judged,
    replica_set,
)

MADE = workload(NAMESPACE, name=NAME, images=[IMAGE])
RUNS = ring_template(template_of(kind_of("apps/v1", "Deployment"), MADE))
SOAKED = outcome(template=RUNS)
READ = [REQUESTS, NAMESPACE, NAME, "replicasets", OUTCOMES]
LOOKED_AT = [*READ, ELSEWHERE]


def api(*outcomes, ring="3", of=None, **more):
    asks = of or promoted()
    return Api(of=asks, ring=ring, made=MADE, outcomes=outcomes, **more)


async def answer_to(found, **more):
    return await judged(found, **{"freezing": False, "obj": MADE, **more})


async def test_where_no_row_applies_no_outcome_is_read():
    found = api(SOAKED, ring="2")
    assert (await answer_to(found)).allowed
    assert found.reads == [REQUESTS, NAMESPACE]


async def test_where_one_does_one_list_of_its_release_is_read_over_all_namespaces():
    found = api(SOAKED)
    assert (await answer_to(found)).allowed
    assert found.reads == LOOKED_AT
    assert found.queries[OUTCOMES] == {"labelSelector": "cabgate.dev/release=shop"}


@pytest.mark.parametrize(
    ("outcomes", "reason"),
    [
        ([], "PreviousRingPending"),
        ([outcome(DAY, template=RUNS)], "PreviousRingPending"),
        ([outcome()], "PreviousRingPending"),  # another template: sleep, say
        ([outcome(template=RUNS, result="RolledBack")], "PreviousRingFailed"),
    ],
)
async def test_what_is_kept_back_is_looked_for_in_what_ran_before(outcomes, reason):
    found = api(*outcomes)
    assert (await answer_to(found)).reason == reason
    assert found.reads == READ
    again = api(*outcomes, sets=[replica_set(made=MADE)])
    assert (await answer_to(again)).allowed


async def test_what_soaked_is_let_in_beside_a_newer_request_for_it_that_is_not_attested():
    calm = [{"name": "calm", "description": "after the sale", "attestation": "Required"}]
    waits = by_person("ConditionallyApproved", conditions=calm)
    other = {**MIDDLING, "scope": {"affectedComponents": 12}}
    anew = promoted(waits, middling=other, name="anew", age=timedelta())
    assert (await answer_to(api(SOAKED, of=anew))).reason == "AttestationMissing"
    assert not (await answer_to(api(beside=[anew]))).allowed
    assert (await answer_to(api(SOAKED, beside=[anew]))).allowed


async def test_what_ran_here_once_needs_no_ring_however_lately_that_was():
    found = api(sets=[replica_set(made=MADE, created=NOW - timedelta(minutes=1))])
    assert (await answer_to(found)).allowed


async def test_a_creation_is_no_rollback():
    answer = await answer_to(api(sets=[replica_set(made=MADE)]), old=False)
    assert answer.reason == "PreviousRingPending"


async def test_in_a_namespace_of_a_ring_that_is_not_gated_nothing_is_a_rollback():
    """Whoever may write there makes what history they like, without anybody asked."""
    labelled = workload(NAMESPACE, name=NAME, images=[IMAGE], labels={"cabgate.dev/ring": "3"})
    found = api(ring="1", sets=[replica_set(made=MADE)])
    assert (await answer_to(found, obj=labelled)).reason == "PreviousRingPending"
    assert "replicasets" not in found.reads


async def test_a_release_that_is_not_named_is_not_read():
    found = api(SOAKED, of=promoted(release=None))
    assert (await answer_to(found)).reason == "PreviousRingPending"
    assert OUTCOMES not in found.reads


async def test_an_override_reads_no_ring():
    over = promoted(by_person("Approved", overrides=["promotion.ring-3"]))
    found = api(of=over)
    assert (await answer_to(found)).allowed
    assert found.reads == [REQUESTS, NAMESPACE]


async def test_an_override_of_a_higher_ring_lets_nothing_into_a_lower_one():
    rows = [row(), row(4, 3)]
    over = promoted(by_person("Approved", overrides=["promotion.ring-4"]), rows=rows)
    assert (await answer_to(api(of=over))).reason == "PreviousRingPending"
    assert (await answer_to(api(of=over, ring="4"))).allowed


async def test_what_is_not_approved_reads_no_ring():
    found = api(SOAKED, of=promoted(by_person("Rejected")))
    assert (await answer_to(found)).reason == "Rejected"
    assert found.reads == [REQUESTS, NAMESPACE]


async def test_a_rollback_waits_for_no_outcome():
    found = api(sets=[replica_set(made=MADE)], fails=[OUTCOMES])
    assert (await answer_to(found)).allowed
    assert OUTCOMES not in found.reads


@pytest.mark.parametrize("fails", [OUTCOMES, NAMESPACE, ELSEWHERE])
async def test_what_cannot_be_read_is_a_doubt(fails):
    with pytest.raises(LookupFailed):
        await answer_to(api(SOAKED, fails=[fails]))


async def test_an_outcome_that_cannot_be_read_is_a_doubt():
    found = api(SOAKED)
    found._found[OUTCOMES]["items"][0]["spec"]["ring"] = "two"
    with pytest.raises(LookupFailed, match="RolloutOutcome") as raised:
        await answer_to(found)
    assert "shop-2" not in str(raised.value)


async def test_what_is_too_large_to_be_compared_soaked_nowhere():
    large = workload(NAMESPACE, name=NAME, images=[IMAGE])
    large["spec"]["template"]["metadata"]["annotations"] = {"a": "x" * 70_000}
    answer = await answer_to(api(SOAKED, outcome(template=None)), obj=large)
    assert answer.reason == "PreviousRingPending"


async def test_variables_and_replicas_may_be_those_of_the_ring():
    other = workload(NAMESPACE, name=NAME, images=[IMAGE])
    other["spec"]["replicas"] = 40
    other["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "RING", "value": "3"}]
    assert (await answer_to(api(SOAKED), obj=other)).allowed
    other["spec"]["template"]["spec"]["containers"][0]["command"] = ["sleep"]
    assert not (await answer_to(api(SOAKED), obj=other)).allowed


async def test_the_row_of_the_namespaces_that_a_policy_names():
    named = promoted(rows=[row(namespaces=["canary"])])
    assert (await answer_to(api(SOAKED, of=named))).reason == "PreviousRingPending"
    canary = outcome(template=RUNS, namespace="canary")
    found = api(canary, of=named)
    assert (await answer_to(found)).allowed
    assert found.paths[OUTCOMES].endswith("/namespaces/canary/rolloutoutcomes")


LATER = workload(NAMESPACE, name=NAME, images=[OTHER_IMAGE])
IDLE = workload(NAMESPACE, name=NAME, images=[IMAGE])
IDLE["spec"]["template"]["spec"]["containers"][0]["command"] = ["sleep", "infinity"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        {},  # it is gone
        running(LATER),
        running(IDLE),
        running(MADE, available=0),
        running(MADE, created=NOW - DAY),  # made anew since
        running(MADE, generation=0),  # its controller has not seen it yet
        running({**MADE, "spec": {"template": {}}}),
    ],
)
async def test_what_nobody_ended_does_not_soak_for_ever(elsewhere):
    """The operator is stopped, or is somebody else, and the ring before runs something else."""
    found = api(SOAKED, elsewhere=elsewhere)
    denied = await answer_to(found)
    assert denied.reason == "PreviousRingPending"
    assert "does not run in ring 2 as its outcome says" in denied.message
    assert "shop-2" not in denied.message
    assert found.reads == LOOKED_AT


async def test_what_has_ended_as_it_should_needs_no_look():
    over = outcome(9 * DAY, template=RUNS, result="Replaced", ended=NOW - DAY)
    found = api(over, elsewhere={})
    assert (await answer_to(found)).allowed
    assert found.reads == READ


async def test_of_many_a_few_are_looked_at():
    many = [outcome(template=RUNS, namespace=f"shop-{number}") for number in range(9)]
    found = api(*many)
    assert (await answer_to(found)).allowed
    assert found.reads.count(ELSEWHERE) == MAX_LOOKED_AT


async def test_no_images_that_changed_their_containers_soaked():
    """The digests are the same set: which container runs which of them is not."""

    def two(first, second):
        return workload(NAMESPACE, name=NAME, images=[first, second])

    ran, comes = two(IMAGE, OTHER_IMAGE), two(OTHER_IMAGE, IMAGE)
    template = ring_template(template_of(kind_of("apps/v1", "Deployment"), ran))
    both = [IMAGE, OTHER_IMAGE]
    soaked = outcome(template=template, images=both)
    asks = promoted(images=both)
    assert (await answer_to(api(soaked, of=asks, elsewhere=running(ran)), obj=ran)).allowed
    found = api(soaked, of=asks, elsewhere=running(ran))
    assert (await answer_to(found, obj=comes)).reason == "PreviousRingPending"


async def test_what_cannot_be_read_elsewhere_is_told_without_its_namespace():
    with pytest.raises(LookupFailed) as raised:
        await answer_to(api(SOAKED, fails=[ELSEWHERE]))
    assert "shop-2" not in str(raised.value)
    assert "/namespaces/shop-2/deployments/" in raised.value.brief, "the log says where"


async def test_too_long_a_list_says_how_to_make_it_shorter():
    """It is over all namespaces: what is said of this one would help nobody."""

    class Large(Api):
        async def _read(self, path, query=None, **more):
            if path.endswith(OUTCOMES):
                raise BudgetUsedUp.of(path)
            return await super()._read(path, query, **more)

    with pytest.raises(BudgetUsedUp, match="namespaceSelector") as raised:
        await answer_to(Large(of=promoted(), ring="3", made=MADE))
    assert "this namespace alone" not in str(raised.value)
