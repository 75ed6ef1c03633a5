# SPDX-License-Identifier: Apache-2.0
"""A store that is away slows no rollout, and has what a cluster has no more."""

import contextlib
import os
import statistics
import sys
import time

from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING
from cabgate_store.errors import StoreError
from cabgate_store.opening import open_to_read
from cluster.ledger.storing import Relays, decided, new_file, verify
from support.models import risk_model
from support.namespaces import create_namespace
from support.postgres import running
from support.relays import CLUSTER
from support.stores import change, prepared

ROLLOUTS = int(os.environ.get("RELAY_ROLLOUTS", "20"))


def test_a_database_that_is_away_slows_no_rollout(own, auditor, capsys):
    """What rollouts took is printed and judged by nobody here: `make test-relay` makes a figure."""
    with running() as server:
        relays = Relays(own, prepared(server), server)
        relays.start()
        decided(own, auditor, "rolled")
        relays.has_all()
        there = rollouts(own, "rolled")
        server.kill()
        decided(own, auditor, "rolled-away")
        away = rollouts(own, "rolled")
        assert relays.stored() is None
        server.start()
        relays.has_all()
        back = rollouts(own, "rolled")
        relays.end()
    both = statistics.median(there + back)
    figures = " ".join(
        f"{what} {1000 * statistics.median(times):.1f} ms ({1000 * min(times):.1f} to "
        f"{1000 * max(times):.1f});"
        for what, times in (("before", there), ("away", away), ("after", back))
    )
    if "RELAY_ROLLOUTS" not in os.environ:
        return
    with capsys.disabled():
        ratio = statistics.median(away) / both
        sys.stdout.write(f"\n{ROLLOUTS} rollouts, median: {figures} away/there {ratio:.2f}\n")


def rollouts(own, namespace):
    """Seconds that each of some rollouts took, of a workload that is approved."""
    took = []
    path = f"{own.cluster.api.path('deployment', namespace)}/web"
    for _ in range(ROLLOUTS):
        change = {"template": {"metadata": {"annotations": {"example.com/at": str(time.time())}}}}
        began = time.perf_counter()
        answer = own.client("requester").patch(
            path,
            json={"spec": change},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        took.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text
    return took


def test_a_model_that_is_gone_still_computes_what_it_scored(own, auditor, tmp_path):
    place = new_file(tmp_path)
    relays = Relays(own, place)
    relays.start()
    own.create("admin", risk_model("passing", autoApproveUpTo="30.00"))
    create_namespace(own.cluster, "scored")
    label = ("label", "namespace", "scored", "cabgate.dev/risk-model=passing")
    own.cluster.kubectl(*label)
    name = own.open("scored", MIDDLING, "Submitted")
    request = own.get("cabrequest", name, "scored")
    assessment, uid = request["spec"]["assessment"], request["metadata"]["uid"]
    assert assessment["riskModel"]["name"] == "passing"
    auditor.submission("scored", name)
    wait_until(lambda: "passing" in kept(place, "RiskModel", "name"), "the model is kept")
    wait_until(lambda: uid in kept(place, "CABRequest", "uid"), "the request is kept")
    own.cluster.kubectl(*label[:3], "cabgate.dev/risk-model-")
    own.cluster.kubectl("delete", "riskmodel", "passing")
    own.cluster.kubectl("delete", "namespace", "scored")
    wait_until(lambda: not own.items("cabrequest", "scored"), "the request is gone")

    def complete():
        verified = verify(own, relays, tmp_path, code=0)
        return verified["findings"] == [] and verified["chains"].get("scored", 0) > 0

    wait_until(complete, "the store has its record")
    assert verify(own, relays, tmp_path, code=0)["notComputedAnew"] == {}
    sql = "UPDATE objects SET content = replace(content, ?, ?) WHERE uid = ?"
    change(place, sql, f'"score":"{assessment["score"]}"', '"score":"0.50"', uid)
    [*found] = verify(own, relays, tmp_path, code=1)["findings"]
    assert {each["code"] for each in found} == {"SubjectDiffers", "WrongAssessment"}
    relays.end()


def kept(place, kind, field):
    """What a field of the metadata is in the objects of a kind that a store has."""
    with contextlib.suppress(StoreError), contextlib.closing(open_to_read(place.read)) as store:
        return {each["metadata"][field] for each in store.objects(CLUSTER, kind)}
    return set()
