# SPDX-License-Identifier: Apache-2.0
"""What `--show-command` prints does what the command does: each on a cluster of its own."""

import re
import shlex

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import BAD, MIDDLING, exception, target
from support.cab import run_cab
from support.gate import install
from support.namespaces import create_namespace

NAMESPACE = "twin"
OF_EACH_CLUSTER = {
    *("uid", "resourceVersion", "creationTimestamp", "managedFields"),
    *("signature", "credentialID"),  # by keys and certificates of its own
}
RATIONALE = "It's fine; $HOME"
BECAUSE = f"--because {shlex.quote(RATIONALE)}"
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


@pytest.fixture(scope="module")
def twin():
    """cabgate on a second cluster."""
    with DevCluster() as running:
        yield install(running)


@pytest.fixture(scope="module")
def twins(gate, twin):
    """Both, each with the same namespace."""
    for each in (gate, twin):
        create_namespace(each.cluster, NAMESPACE, "2")
        each.bind("rita", "cabgate-cab-member", NAMESPACE)
    return gate, twin


def alike(stored):
    """An object without what no two clusters have in common; times are only told to be there."""
    if isinstance(stored, dict):
        return {k: alike(value) for k, value in stored.items() if k not in OF_EACH_CLUSTER}
    if isinstance(stored, list):
        return [alike(each) for each in stored]
    return TIME.sub("(time)", stored) if isinstance(stored, str) else stored


def leaves(value, path=""):
    """Each value of an object with its path, for what differs to be read in one line."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{path}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from leaves(each, f"{path}[{number}]")
    else:
        yield path, value


def opened(twins, name, evidence, state):
    """The request that each cluster opens for the same intent: of one name."""
    targets = [target([f"{name}:1"], name)]
    found = {gate.open(NAMESPACE, evidence, state, name=name, targets=targets) for gate in twins}
    [request] = found
    return request


def decide(twins, user, command, *seen):
    """Run it on the one, and on the other what it shows there."""
    one, other = twins
    command = f"{command} -n {NAMESPACE} {BECAUSE}"
    run_cab(one, one.user(user), shlex.join((*shlex.split(command), *seen)))
    shown = run_cab(other, other.user(user), f"{command} --show-command")
    run_cab(other, other.user(user), shown.stdout.strip())


def same(twins, kind, name):
    """The object, once both clusters have the same one."""

    def found():
        one, other = (alike(gate.get(kind, name, NAMESPACE)) for gate in twins)
        assert set(leaves(one)) ^ set(leaves(other)) == set()
        return one

    return wait_until(found, f"both clusters have the same {kind} {name}")


def digest_of(twins, name):
    [digest] = {gate.get("cabrequest", name, NAMESPACE)["spec"]["evidenceDigest"] for gate in twins}
    return "--digest", digest


def test_what_is_shown_has_the_same_effect(twins):
    name = opened(twins, "web", MIDDLING, "Submitted")
    digest = digest_of(twins, name)
    decide(twins, "reviewer", f"take {name}", *digest)
    condition = "--condition 'watch=Two hours; not less' --attestation watch"
    decide(twins, "reviewer", f"approve {name} {condition}", *digest)
    decide(twins, "rita", f"attest {name} --condition watch", *digest)
    decide(twins, "security", f"revoke {name} --image web:1", *digest)
    decided = same(twins, "cabrequest", name)
    assert decided["status"]["state"] == "Revoked"
    entries = [(each["verdict"], each["author"]["username"], each["rationale"])
               for each in decided["status"]["decisions"]]  # fmt: skip
    assert entries == [
        ("UnderReview", "reviewer", RATIONALE),
        ("ConditionallyApproved", "reviewer", RATIONALE),
        ("Attested", "rita", RATIONALE),
        ("Revoked", "security", RATIONALE),
    ]


def test_a_rejection_that_is_shown_has_the_same_effect(twins):
    name = opened(twins, "db", MIDDLING, "Submitted")
    decide(twins, "reviewer", f"reject {name}", *digest_of(twins, name))
    assert same(twins, "cabrequest", name)["status"]["state"] == "Rejected"


def test_an_approval_of_an_exception_that_is_shown_has_the_same_effect(twins):
    name = opened(twins, "api", BAD, "ExceptionRequired")
    for gate in twins:
        gate.create("requester", exception(NAMESPACE, name))
    one, _ = twins
    uid = one.get("cabexception", "leave", NAMESPACE)["metadata"]["uid"]
    seen = (*digest_of(twins, name), "--uid", uid)
    decide(twins, "security", "approve cabex/leave", *seen)
    decided = same(twins, "cabexception", "leave")
    assert decided["status"]["state"] == "Approved"
