# SPDX-License-Identifier: Apache-2.0
"""What a rollout reads for freezes, and what becomes of it where that cannot be read."""

from datetime import timedelta

import pytest

from cabgate_samples.models import NAMESPACE, NOW, by_person
from cabgate_webhook.client.lookups import LookupFailed
from support.freezes import freeze
from unit.webhook.handlers.rollout_api import (
    FINDS,
    FREEZES,
    NAME,
    REQUESTS,
    Api,
    judged,
    replica_set,
)


def test_without_a_policy_no_freeze_is_read():
    api = Api(freezes=[freeze()])
    assert judged(api, freezing=False).allowed
    assert api.reads == [REQUESTS]


def test_with_one_two_reads_are_made_beside_the_first():
    api = Api()
    assert judged(api).allowed
    assert sorted(api.reads) == sorted(FINDS)


def test_what_a_freeze_keeps_back_is_looked_for_in_what_ran_before():
    api = Api(freezes=[freeze()])
    assert judged(api).reason == "Frozen"
    assert api.reads[3:] == [NAME, "replicasets"]
    again = Api(freezes=[freeze()], sets=[replica_set()])
    assert judged(again).allowed
    assert again.reads[3:] == [NAME, "replicasets", REQUESTS]


@pytest.mark.parametrize(
    "created", [NOW - timedelta(days=1), NOW - timedelta(hours=1)], ids=["as it began", "in it"]
)
def test_what_ran_since_a_freeze_began_is_no_rollback(created):
    api = Api(freezes=[freeze()], sets=[replica_set(created=created)])
    assert judged(api).reason == "Frozen"


def test_a_creation_is_no_rollback():
    api = Api(freezes=[freeze()], sets=[replica_set()])
    assert judged(api, old=False).reason == "Frozen"
    assert sorted(api.reads) == sorted(FINDS)


def test_an_override_reads_no_history():
    override = by_person("Approved", overrides=["christmas"])
    api = Api(override, freezes=[freeze()])
    assert judged(api).allowed
    assert sorted(api.reads) == sorted(FINDS)


@pytest.mark.parametrize("fails", [FREEZES, NAMESPACE, "replicasets", NAME])
def test_what_cannot_be_read_is_a_doubt(fails):
    with pytest.raises(LookupFailed):
        judged(Api(freezes=[freeze()], fails=[fails]))


def test_one_freeze_that_cannot_be_read_stops_no_other_time():
    strange = freeze("strange", {"from": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"})
    strange["spec"]["moon"] = "full"
    assert judged(Api(freezes=[strange, freeze("other", kind="Window")])).allowed
