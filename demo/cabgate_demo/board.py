# SPDX-License-Identifier: Apache-2.0
"""The scenes in which a change board makes rules: two people who approve, and a freeze."""

from datetime import UTC, datetime, timedelta

from cabgate_demo import files
from cabgate_demo.commands import SET_IMAGE, by_plugin, command_in
from cabgate_demo.stage import Stage

NS = files.NAMESPACE
POLICY = "two-people"
FREEZE = "stocktaking"
BRIEFLY = "-o yaml"
"""The plugin then prints what became of an approval, and not the request, as it does in a scene
before."""


def two_people(stage: Stage) -> str:
    """Have a release approved by two people, as a policy asks for; the name of its request."""
    stage.file("policy.yaml", files.policy(POLICY, score_from="50.01", count=2))
    stage.file("intent-1.4.yaml", files.intent("1.4", "Gift cards.", files.MIDDLING))
    stage.scene(
        "A change policy asks for two people: one is not enough",
        story="It does so from a score of 50.01 on, where a namespace names it in a label. With "
        "-o yaml the plugin prints what became of an approval, and not the request again.",
    )
    stage.passes("admin", "kubectl apply -f policy.yaml", "created")
    label = f"kubectl label namespace {NS} cabgate.dev/change-policy={POLICY}"
    stage.passes("admin", label, "labeled")
    stage.passes("requester", "kubectl apply -f intent-1.4.yaml", "configured")
    waiting = f"kubectl get cabrequest -n {NS} --field-selector status.state=Submitted"
    stage.until("reviewer", waiting, "Submitted")
    name = stage.quietly("reviewer", f"{waiting} -o name").strip().rpartition("/")[2]
    digest = f"kubectl get cabrequest {name} -n {NS} -o jsonpath={{.spec.evidenceDigest}}"
    approve = (
        f"kubectl cab approve {name} -n {NS} --because 'Looked at the reports' "
        f"--digest {stage.quietly('reviewer', digest)} {BRIEFLY}"
    )
    stage.passes("reviewer", approve, f"approvals of {name}: 1/2")
    columns = "custom-columns=STATE:.status.state,APPROVALS:.status.approvals"
    count = f"kubectl get cabrequest {name} -n {NS} -o {columns}"
    stage.until("reviewer", count, "UnderReview   1/2")
    stage.refused("requester", f"{SET_IMAGE}:1.4 -n {NS}", "ReviewPending", "1/2")
    stage.passes("lead", approve, f"approvals of {name}: 2/2; it is approved")
    return name


def freeze(stage: Stage, request: str) -> None:
    """Freeze what is approved; go back to what ran before, and let one request in all the same."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    stage.file("freeze.yaml", files.freeze(FREEZE, today, today + timedelta(days=7)))
    stage.scene(
        "A freeze holds back what is new, lets a rollback pass, and is overridden by name",
        story="The lead holds the verb override in namespace shop, the reviewer does not. The "
        "ledger says who let the request in, with the key that signed it.",
    )
    stage.passes("admin", "kubectl apply -f freeze.yaml", "created")
    denial = stage.refused("requester", f"{SET_IMAGE}:1.4 -n {NS}", "Frozen", FREEZE)
    back = f"kubectl rollout undo deployment/checkout --to-revision=1 -n {NS}"
    stage.passes("requester", back, "rolled back")
    stage.refused("reviewer", command_in(denial), "lacks the RBAC verb 'override'")
    override = f"{by_plugin(denial, 'Sold from tomorrow on')} {BRIEFLY}"
    stage.passes("lead", override, "recorded if this command succeeds: Approved by lead")
    stage.passes("requester", f"{SET_IMAGE}:1.4 -n {NS}", "image updated")
    fields = f"kubectl get cabrequest {request} -n {NS} -o jsonpath={{.spec.correlationID}}"
    columns = (
        "custom-columns=VERDICT:.spec.verdict,BY:.spec.author.username,"
        "OVERRIDES:.spec.overrides,KEY:.spec.signature.keyID"
    )
    records = (
        "kubectl get cabdecisions --field-selector "
        f"spec.correlationID={stage.quietly('admin', fields)} -o {columns}"
    )
    stage.until("admin", records, f"[{FREEZE}]")
