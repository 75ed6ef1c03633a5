# SPDX-License-Identifier: Apache-2.0
"""Ring after ring, on the real API server: what waits, counts and passes, and who overrides it."""

import datetime
import json
from pathlib import Path

import pytest

from cabgate_devcluster import wait_until
from support.cab import run_cab
from support.cli import cabgate
from support.gate import denial, paused
from support.glass import breaking
from support.kubelet import Kubelet
from support.policies import change_policy
from support.promotion import in_namespaces, row
from support.reviews import refused
from support.rings import NEUTRAL, Rings, image, manifest

TO = "deployment/web"


@pytest.fixture(scope="module", autouse=True)
def kubelet(gate):
    """Marks Pods ready: rollouts come to their end."""
    with Kubelet(gate.cluster):
        yield


@pytest.fixture
def rings(gate, make_namespace):
    return Rings.made(gate, make_namespace)


def test_ring_3_waits_for_ring_2_and_nothing_else_does(gate, rings, tmp_path):
    wide = rings.wide
    request = rings.declare(wide, 1)
    said = denial(rings.roll_out(wide, 1, check=False))
    assert said.startswith(f"PreviousRingPending: Deployment web in namespace {wide} (ring 3)")
    assert "release shop has not run in ring 2" in said
    assert rings.pilot not in said
    terms = gate.get("cabrequest", request, wide)["spec"]["terms"]
    assert terms["promotion"]["release"] == "shop"
    path = tmp_path / "web.json"
    path.write_text(json.dumps(manifest(wide, 1)))
    explained = cabgate(gate, "admin", f"explain -f {path}", code=1).stdout
    assert "approved, but ring 2 comes first" in explained
    rings.soaked(1)
    assert "Decision   admitted" in cabgate(gate, "admin", f"explain -f {path}").stdout
    shown = run_cab(gate, gate.cluster.admin, f"show {request} -n {wide}").stdout
    assert "into ring 3 after ring 2: Promoted" in shown
    rings.roll_out(wide, 1)
    rings.declare(wide, 2)
    rings.soaked(2)
    rings.roll_out(wide, 2)
    # What failed since in the ring before rolls back all the same, and is not rolled out anew.
    for number in (1, 2):
        incident(gate, rings, number)
    for words in (("scale", TO, "--replicas=3"), ("rollout", "restart", TO), ("label", TO, "a=b")):
        gate.kubectl("requester", *words, "-n", wide)
    gate.kubectl("requester", "set", "image", TO, f"*={image(1)}", "-n", wide)
    gate.kubectl("requester", "delete", TO, "-n", wide)
    assert denial(rings.roll_out(wide, 1, check=False)).startswith("PreviousRingFailed: ")


def incident(gate, rings, number):
    """Report one of a release in ring 2."""
    found = rings.outcome(rings.pilot, number)
    report = {"id": f"INC-{number}", "severity": 2, "source": "alertmanager"}
    body = {"status": {"report": report}}
    name = found["metadata"]["name"]
    gate.patch_status("admin", "rolloutoutcome", name, rings.pilot, body, check=True)


def test_no_canary_that_a_team_makes_up_counts(gate, rings, make_namespace):
    own = make_namespace("2")
    rings.declare(rings.wide, 5)
    # The very same, in a namespace that the policy does not name.
    rings.declare(own, 5)
    rings.roll_out(own, 5)
    rings.outcome(own, 5)
    # In one that it names, what sleeps.
    rings.declare(rings.pilot, 5, "idle")
    gate.apply("requester", manifest(rings.pilot, 5, "idle", command=["sleep", "infinity"]))
    rings.outcome(rings.pilot, 5, "idle")
    # And of another release.
    rings.declare(rings.pilot, 5, "other", release="another")
    rings.roll_out(rings.pilot, 5, name="other")
    rings.outcome(rings.pilot, 5, "other")
    begun = gate.items("rolloutoutcomes", rings.pilot)
    wait_until(lambda: all(_is_old(gate, each) for each in begun), "they have run for so long")
    said = rings.tried(5)
    assert "PreviousRingPending" in said
    assert own not in said
    assert rings.pilot not in said
    rings.soaked(5)


def _is_old(gate, outcome, seconds=4):
    """Whether an outcome is older than a soak, by the clock of the API server."""
    review = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "now-"}}
    path = gate.cluster.api.path("configmaps", outcome["metadata"]["namespace"])
    now = gate.cluster.api.call("POST", f"{path}?dryRun=All", review)
    created = outcome["metadata"]["creationTimestamp"]
    return now["metadata"]["creationTimestamp"] > _later(created, seconds=seconds)


def _later(moment, **by):
    found = datetime.datetime.fromisoformat(moment) + datetime.timedelta(**by)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_soak_goes_on_with_the_operator_stopped(gate, make_namespace):
    rings = Rings.made(gate, make_namespace, soak="8s")
    rings.declare(rings.wide, 7)
    rings.declare(rings.pilot, 7)
    rings.roll_out(rings.pilot, 7)
    begun = rings.outcome(rings.pilot, 7)
    rings.declare(rings.pilot, 8)
    with paused(gate.installation.operator):
        said = rings.tried(7)
        assert "PreviousRingPending" in said or _is_old(gate, begun, seconds=7), said
        wait_until(lambda: not rings.tried(7), "it is met by the webhook's clock", timeout=60.0)
        # What left the ring before meanwhile has an outcome that nobody ends.
        rings.roll_out(rings.pilot, 8)
        said = rings.tried(7)
        assert "PreviousRingPending" in said
        assert "does not run in ring 2 as its outcome says" in said
        assert rings.pilot not in said


def test_who_may_override_a_promotion_does_so_for_one_request(gate, rings):
    wide = rings.wide
    request = rings.declare(wide, 9)
    for person in ("ann", "bob"):
        gate.user(person)
        gate.bind(person, "cabgate-cab-member", wide)
    gate.bind("ann", "cabgate-promotion-override", wide)
    gate.bind("bob", "cabgate-freeze-override", wide)
    name = "promotion.ring-3"
    assert f'"overrides":["{name}"]' in denial(rings.roll_out(wide, 9, check=False))
    without = refused(gate, "bob", request, wide, overrides=[name])
    assert f"'override' on changepolicies.cabgate.dev {rings.policy}" in without
    other = refused(gate, "ann", request, wide, overrides=["promotion.ring-4"])
    assert "asks for no promotion.ring-4; it asks for: promotion.ring-3" in other
    gate.review("ann", "cabrequest", request, wide, "Approved", overrides=[name])
    rings.roll_out(wide, 9)
    entry = gate.get("cabrequest", request, wide)["status"]["decisions"][-1]
    assert (entry["overrides"], entry["author"]["username"]) == ([name], "ann")
    assert entry["signature"]
    # It is of that request alone.
    rings.declare(wide, 10)
    assert denial(rings.roll_out(wide, 10, check=False)).startswith("PreviousRingPending: ")
    # A broken glass waits for no ring.
    with breaking(gate, "promotion-glass") as glass:
        broken = glass.breaks("breaker", wide, image=image(10))
    assert broken.status_code == 200, broken.text


def test_no_row_counts_what_a_team_can_make_up(gate):
    def refusal(**changes):
        made = change_policy("made-up", NEUTRAL, promotion=[row(**changes)])
        return gate.create("admin", made, "--dry-run=server", check=False).stderr

    own = in_namespaces("a")
    own["matchExpressions"][0]["key"] = "team"
    assert "allowed: kubernetes.io/metadata.name" in refusal(namespaceSelector=own)
    others = in_namespaces("a")
    others["matchExpressions"][0]["operator"] = "NotIn"
    assert "allowed: In" in refusal(namespaceSelector=others)
    assert "name the namespaces whose outcomes do" in refusal(begins=1)
    assert "from must be a lower ring than ring" in refusal(ring=2)
    assert "names no namespaces" in refusal()  # a warning: it may be meant
    frozen = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "ChangeFreeze"}
    interval = {"from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    spec = {"kind": "Freeze", "title": "a", "reason": "b", "intervals": [interval]}
    frozen |= {"metadata": {"name": "promotion.ring-3"}, "spec": spec}
    said = gate.create("admin", frozen, check=False).stderr
    assert "what an approval names that overrides a promotion" in said


def test_the_example_is_taken_as_it_stands(gate):
    root = Path(__file__).resolve().parents[3]
    tried = gate.kubectl("admin", "create", "--dry-run=server", "-f", root / "examples/promotion")
    assert tried.stdout.count("created (server dry run)") == 1
    assert "Warning" not in tried.stderr
