# SPDX-License-Identifier: Apache-2.0
"""What was approved by score admits as long as nothing else can be decided in its place."""

from cabgate.lifecycle.limits.flapping import MAX_REOPENED
from cabgate_kube.resources import INTENTS
from unit.operator.controllers.declaring import declare, look, name_of
from unit.operator.support import GOOD, World, evidence, intent_object

OTHER = evidence(GOOD, "other")


async def test_two_good_packages_that_take_turns_leave_one_that_admits() -> None:
    world = World()
    for turn in range(2 * MAX_REOPENED + 6):
        declare(world, OTHER if turn % 2 else GOOD)
        await look(world)
        assert "AutoApproved" in world.requests().values(), turn
        assert world.ready()[0] == "True", turn
    assert "Superseded" in world.requests().values(), "one of them is held back for a while"
    # In the end the one that is declared is the one that admits.
    world.clock.forward(3700)
    await look(world)
    wanted = OTHER if turn % 2 else GOOD
    assert world.requests()[name_of(wanted)] == "AutoApproved"


async def test_reports_of_before_approve_no_job_with_the_release_in_its_name() -> None:
    """Nor a workload that the intent names from now on: what is asked is the intent's own past."""
    world = World()
    for number in (1, 2):
        body = intent_object(
            {**GOOD, "artifacts": [{"name": "web", "images": [f"r/web:{number}"]}]}
        )
        body["metadata"]["generation"] = number
        body["spec"]["targets"] = [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": f"migrate-{number}",
                "images": [f"r/web:{number}"],
            }
        ]
        world.api.put(INTENTS, body)
        await look(world)
    assert sorted(world.requests().values()) == ["AutoApproved", "Submitted"]
