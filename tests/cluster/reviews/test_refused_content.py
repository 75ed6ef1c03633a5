# SPDX-License-Identifier: Apache-2.0
"""What was refused, on the real API server: under another intent's name no exception admits it, and
whoever lifts it is told."""

from cabgate.text.moments import rfc3339
from cabgate_devcluster import wait_until
from cabgate_kube.clock import utc_now
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, workload
from support.gate import denial


def dry_run(gate, namespace, *images):
    """What the gate says to a dry run of a rollout; empty where it passes."""
    made = workload(namespace, images=images)
    result = gate.create("requester", made, "--dry-run=server", check=False)
    return denial(result) if result.returncode else ""


def test_no_exception_admits_what_was_revoked_under_another_name(gate, namespace):
    first = gate.open(namespace, BAD, "ExceptionRequired", name="a")
    second = gate.open(namespace, BAD, "ExceptionRequired", name="b")
    gate.create("requester", exception(namespace, first, name="before"))
    gate.create("requester", exception(namespace, second, name="waits"))
    gate.review("security", "cabexception", "before", namespace, "Approved")
    assert dry_run(gate, namespace, "web:1") == ""
    gate.review("security", "cabrequest", first, namespace, "Revoked", rationale="CVE-2026-1")
    late = gate.create("requester", exception(namespace, second, name="late"), check=False)
    assert f"request {first} is revoked by security: CVE-2026-1" in denial(late)
    decided = gate.review("security", "cabexception", "waits", namespace, "Approved", check=False)
    assert denial(decided).startswith("ExceptionNotAllowed: ")
    assert "It takes new evidence" in denial(decided)
    assert dry_run(gate, namespace, "web:1").startswith("Revoked: ")


def test_who_approves_is_told_what_they_lift(gate, namespace):
    first = gate.open(namespace, GOOD, "AutoApproved", images=["web:1", "side:1"])
    waits = gate.open(namespace, MIDDLING, "Submitted", images=["web:2", "side:1"])
    gate.review(
        *("security", "cabrequest", first, namespace, "Revoked"),
        rationale="CVE-2026-1",
        images=["side:1"],
    )

    def said():
        conditions = gate.get("cabrequest", waits, namespace)["status"]["conditions"]
        return [each for each in conditions if "was revoked by security" in each["message"]]

    assert "CVE-2026-1" in wait_until(said, "the request that waits names it")[0]["message"]
    # Times are of whole seconds, and an approval of the same second counts as before.
    revoked = gate.get("cabrequest", first, namespace)["status"]["decisions"][-1]["at"]
    wait_until(lambda: rfc3339(utc_now()) > revoked, "the next second")
    body = {"status": {"review": {"verdict": "Approved", "rationale": "looked at web:2"}}}
    for more in (["--dry-run=server"], []):
        done = gate.patch_status("reviewer", "cabrequest", waits, namespace, body, *more)
        assert done.returncode == 0, done.stderr
        assert "Warning: lifts what security revoked at" in done.stderr
        assert f"under request {first}: Deployment web: side:1 (CVE-2026-1)" in done.stderr
    checked = gate.get("cabrequest", waits, namespace)["status"]["decisions"][-1]["checked"]
    assert (checked["refusals"], checked["lifts"]) == (1, [first])
    assert dry_run(gate, namespace, "web:2", "side:1") == ""
    gate.apply("requester", intent(namespace, images=["web:3"], evidence=MIDDLING))
    third = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    done = gate.review("reviewer", "cabrequest", third, namespace, "Approved")
    assert "lifts" not in done.stderr
