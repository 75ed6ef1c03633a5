# SPDX-License-Identifier: Apache-2.0
"""Who may decide once a request has waited, on the real API server and by the webhook's clock; what
a policy asks for is told beforehand, and written by its page alone."""

import json
import re
import shlex
from pathlib import Path

import pytest

from cabgate.api import ChangePolicy, DeploymentIntent
from cabgate.lifecycle.requests.opening import request_for
from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING, workload
from support.cli import CABGATE, cabgate
from support.gate import denial, paused
from support.policies import change_policy, deciding_late
from support.reviews import OPERATOR, RISKIER, decisions, now, refused

LABEL = "cabgate.dev/change-policy"
TWO = {"count": 2, "verb": "approve"}
NEVER, SOON = "9999h", "3s"
ONCALL = "board-oncall"
GROUP = "cabgate.dev"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "change-policies.md"
FREEZES = PAGE.with_name("change-freezes.md")


def steps(after):
    return [
        {"after": "0s", "level": 1},
        {"after": after, "level": 2, "alsoDecides": "approve-oncall"},
    ]


@pytest.fixture(scope="module", autouse=True)
def policies(gate):
    """The policies of this file, and a role of who decides late and holds no other verb."""
    made = {"late": NEVER, "soon": SOON}
    for name, after in made.items():
        gate.create("admin", change_policy(name, TWO, escalation=steps(after)))
    gate.create("admin", deciding_late(ONCALL))
    yield
    for name in made:
        gate.cluster.kubectl("delete", "changepolicy", name)


def under(gate, namespace, policy, **people):
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}={policy}", "--overwrite")
    for person, role in people.items():
        gate.user(person)
        gate.bind(person, role, namespace)


def rollout(gate, namespace):
    return gate.create("requester", workload(namespace), "--dry-run=server", check=False)


def reviewed(gate, user, name, namespace, verdict="Approved"):
    """The review of somebody who may give it by now, however long the wait for that is."""

    def given():
        found = gate.review(user, "cabrequest", name, namespace, verdict, check=False)
        if found.returncode == 0:
            return found
        assert "NotAuthorized" in found.stderr, found.stderr
        return None

    return wait_until(given, f"{user} may decide by now")


def test_who_decides_late_does_so_from_then_on_with_the_operator_stopped(gate, namespace):
    under(gate, namespace, "soon", ann="cabgate-cab-member", olga=ONCALL)
    name = gate.open(namespace, MIDDLING, "Submitted")
    spec = gate.get("cabrequest", name, namespace)["spec"]
    assert spec["requires"] == ["Escalation", "Quorum"]
    assert [each["afterSeconds"] for each in spec["terms"]["escalation"]] == [0, 3]
    with paused(gate.installation.operator):
        reviewed(gate, "olga", name, namespace)
        assert "approve or approve-oncall" in denial(rollout(gate, namespace))
        assert "olga has approved it already" in refused(gate, "olga", name, namespace)
        shown = cabgate(gate, "ann", f"show -n {namespace} {name}").stdout
        assert "escalated to level 2" in shown
        listed = cabgate(gate, "ann", f"queue -n {namespace}").stdout
        assert "approve or approve-oncall (1/2), escalated to level 2" in listed
        gate.review("ann", "cabrequest", name, namespace, "Approved")
        assert rollout(gate, namespace).returncode == 0
    gate.wait_state("cabrequest", name, namespace, "Approved")
    assert [who for _, who in decisions(gate, name, namespace)] == ["olga", "ann"]
    stored = gate.get("cabrequest", name, namespace)["status"]["decisions"]
    assert [each["verbs"] for each in stored] == [["approve-oncall"], ["approve"]]


def test_nobody_decides_sooner_whatever_they_write_or_the_policy_becomes(gate, namespace):
    """Nor is anything approved by waiting."""
    under(gate, namespace, "late", ann="cabgate-cab-member", olga=ONCALL)
    name = gate.open(namespace, MIDDLING, "Submitted")
    for verdict in ("Approved", "Rejected", "UnderReview"):
        said = refused(gate, "olga", name, namespace, verdict)
        assert said.startswith("NotAuthorized: "), said
    # The policy of the namespace is another one by now; what is open keeps its terms.
    under(gate, namespace, "soon")
    assert refused(gate, "olga", name, namespace).startswith("NotAuthorized: ")
    gate.review("ann", "cabrequest", name, namespace, "Approved")
    assert "has approvals 1/2" in denial(rollout(gate, namespace))
    shorter = {"spec": {"terms": {"escalation": [{"afterSeconds": 0, "level": 2}]}}}
    words = ("patch", "cabrequest", name, "-n", namespace, "--type=merge", "-p")
    for user in ("admin", OPERATOR):
        assert gate.refused(user, *words, json.dumps(shorter))
    back = {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}}
    gate.kubectl("admin", *words, json.dumps(back), check=False)
    assert refused(gate, "olga", name, namespace).startswith("NotAuthorized: ")


def test_no_operator_shortens_a_step_or_adds_who_decides(gate, namespace):
    under(gate, namespace, "late")
    gate.open(namespace, MIDDLING, "Submitted")
    declared = DeploymentIntent.model_validate(gate.get("deploymentintent", "web", namespace))
    for other in (steps("0s"), [{"after": "0s", "level": 5, "alsoDecides": "approve-x"}], []):
        content = change_policy("late", TWO, escalation=other)
        made = request_for(declared, 2, policy=ChangePolicy.model_validate(content)).to_dict()
        made["metadata"]["name"] += "-again"
        body = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "CABRequest", **made}
        assert denial(gate.create(OPERATOR, body, check=False)).startswith("WrongContent: ")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"after": "1h", "level": 1, "alsoDecides": "approve"}, "alsoDecides"),
        ({"after": "1h", "level": 1, "alsoDecides": "delete"}, "alsoDecides"),
        ({"after": "1d", "level": 1}, "after"),
        ({"after": "-1h", "level": 1}, "after"),
        ({"after": "1h", "level": 0}, "level"),
        ({"after": "1h", "level": 6}, "level"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(gate, step, words):
    odd = change_policy("odd", TWO, escalation=[step])
    found = gate.create("admin", odd, "--dry-run=server", check=False)
    assert found.returncode == 1
    assert words in found.stderr


def blocks(page=PAGE):
    """What a page has to be copied: the language of each block, and its text."""
    return re.findall(r"```(yaml|sh|text)\n(.*?)```", page.read_text(), re.DOTALL)


def by_now(text):
    """A block of a page, whose freeze is to hold now, whenever that is."""
    return re.sub("2026-12-[0-9T:Z]+", now(days=-1), re.sub("2027-01-[0-9T:Z]+", now(days=1), text))


def test_by_the_page_alone_two_approve_what_is_risky_a_senior_in_ring_4_and_a_freeze_holds(
    gate, tmp_path, monkeypatch, make_namespace
):
    monkeypatch.chdir(tmp_path)
    shop = make_namespace("4")
    # The page shows parts of policies as well, which are no files.
    whole = [block for kind, block in blocks() if kind == "yaml" and "\nkind: " in block]
    for name, block in zip(("policy.yaml", "roles.yaml", "oncall.yaml"), whole, strict=True):
        Path(name).write_text(block)
    Path("christmas.yaml").write_text(by_now(blocks(FREEZES)[0][1]))
    last, compared = "", 0
    gate.user("board-cora", "cab")
    gate.user("board-sue", "cab", "seniors")
    try:
        for language, block in blocks():
            # No freeze holds before it was declared.
            later = f"--at {now(hours=1)}"
            text = block.replace(" shop", f" {shop}").replace("--at 2026-12-24", later)
            if language == "text":
                prints(gate, last, text)
                compared += 1
            elif language == "sh":
                for command in text.replace("\\\n", " ").splitlines():
                    found = in_folder(gate, command)
                    assert found.returncode in (0, 1), (command, found.stderr)
                    last = command
                    if "freeze list" in command:
                        assert "christmas-2026" in found.stdout, (command, found.stderr)
                        assert found.returncode == 1
        assert compared == 2
        name = gate.open(shop, RISKIER, "Submitted")
        spec = gate.get("cabrequest", name, shop)["spec"]
        assert float(spec["assessment"]["score"]) > 65
        needs = [(each["count"], each["verb"]) for each in spec["terms"]["approvals"]]
        assert sorted(needs) == [(1, "approve-senior"), (2, "approve")]
        reviewed(gate, "board-cora", name, shop)
        said = denial(rollout(gate, shop))
        assert "has approvals 1/2 approve, 0/1 approve-senior" in said
        reviewed(gate, "board-sue", name, shop)
        gate.wait_state("cabrequest", name, shop, "Approved")
        assert "ChangeFreeze christmas-2026" in denial(rollout(gate, shop))
        gate.cluster.kubectl("delete", "changefreeze", "christmas-2026")
        assert rollout(gate, shop).returncode == 0
    finally:
        gate.cluster.kubectl("delete", "changefreeze", "christmas-2026", "--ignore-not-found")
        gate.cluster.kubectl("delete", "changepolicy", "board-2", "--ignore-not-found")
        gate.cluster.kubectl("delete", "clusterrole", "cab-senior", "--ignore-not-found")


def in_folder(gate, command):
    """A command of the page as an admin runs it who is in the folder of the files."""
    words = shlex.split(command)
    placed = [str(Path.cwd() / word) if word.endswith(".yaml") else word for word in words]
    return gate.shell("admin", shlex.join(placed), CABGATE)


def prints(gate, command, text):
    """The API server knows of a binding a moment after it was created."""
    wait_until(lambda: in_folder(gate, command).stdout == text, f"{command} prints what it is to")


def test_a_board_that_cannot_approve_is_found_before_it_has_to(gate, make_namespace, tmp_path):
    namespace = make_namespace("3")
    path = tmp_path / "policy.yaml"
    rules = [
        TWO,
        {"count": 1, "verb": "approve-oncall"},
        {"when": {"ringFrom": 4}, "count": 9, "verb": "approve"},
    ]
    path.write_text(json.dumps(change_policy("planned", *rules)))
    for group, role in (("cab", "cabgate-cab-member"), ("oncall", ONCALL)):
        words = (f"{group}-here", f"--clusterrole={role}", f"--group={group}", "-n", namespace)
        gate.kubectl("admin", "create", "rolebinding", *words)
    check = f"policy check -n {namespace} -f {path}"

    def answer(groups, code):
        arguments = " ".join(f"--as-group {each}" for each in groups)
        return json.loads(cabgate(gate, "admin", f"{check} {arguments} -o json", code).stdout)

    wait_until(
        lambda: answer_of(gate, f"{check} --as-group cab,oncall"), "the API server knows the roles"
    )
    assert answer(["cab,oncall"], 0)["fewest"] == 2
    assert answer(["cab", "cab,oncall=1"], 0)["fewest"] == 2
    just = answer(["cab=1", "cab,oncall=1"], 0)
    assert (just["fewest"], just["leavesNobody"]) == (2, True)
    assert answer(["cab=0", "cab,oncall=1"], 1)["fewest"] is None
    lone = answer(["cab", "oncall"], 1)
    needs = {each["verb"]: each for each in lone["needs"]}
    assert needs["approve"]["met"]
    assert needs["approve-oncall"]["withoutApprove"] == ["oncall"]
    text = cabgate(gate, "admin", f"{check} --as-group cab --as-group oncall", 1).stdout
    assert "Lacks      oncall: the verb approve on cabrequests.cabgate.dev" in text
    assert "Answer     no" in text
    # Of the policy that holds: none, so that one approval is enough.
    found = cabgate(gate, "admin", f"policy check -n {namespace} --as-group cab=1 -o json").stdout
    assert json.loads(found)["policy"] == ""
    explained = cabgate(gate, "admin", f"policy explain -n {namespace} --score 60 -o json").stdout
    assert json.loads(explained)["approvals"] == [{"count": 1, "verb": "approve"}]
    # Who may not ask for the rights of others, and a policy that is not there.
    assert "subjectaccessreviews" in cabgate(gate, "requester", f"{check} --as-group cab", 4).stderr
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=gone")
    for command in ("check --as-group cab", "explain --score 60"):
        said = cabgate(gate, "admin", f"policy {command} -n {namespace}", 1).stderr
        assert "ChangePolicyMissing" in said


def answer_of(gate, arguments):
    found = gate.shell("admin", f"cabgate {arguments}", CABGATE)
    return found.returncode == 0
