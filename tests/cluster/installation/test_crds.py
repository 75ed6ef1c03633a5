# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions alone, on an API server without any process of cabgate: what they
hold by themselves, and what kubectl makes of them."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import GOOD, exception, intent, target
from cluster.installation.definition_rows import (
    COLUMNS,
    EXCEPTIONS,
    EXPLAINED,
    IMMUTABLE,
    INTENTS,
    NAMESPACE,
    REQUESTS,
    ROWS,
    SELECTORS,
    entry,
    put,
    request,
)

CRDS = Path(__file__).resolve().parents[3] / "crds"


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        running.kubectl("create", "namespace", NAMESPACE)
        applied = running.kubectl("apply", "-f", f"{CRDS}/")  # a link, which it follows so
        assert applied.stderr == "", "the API server warns of a definition"
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        wait_until(
            lambda: running.kubectl("get", "cab", "-A").returncode == 0, "kubectl knows them"
        )
        yield running


def refused(cluster, obj):
    args = ("create", "--dry-run=server", "--validate=false", "-f", "-")
    result = cluster.kubectl(*args, stdin=json.dumps(obj), check=False)
    assert result.returncode != 0, obj
    return result.stderr


@pytest.mark.parametrize(
    ("base", "rows"),
    [
        (intent(NAMESPACE, evidence=GOOD), INTENTS),
        (exception(NAMESPACE, "web-aaaaaaaa"), EXCEPTIONS),
        (request(), REQUESTS),
    ],
    ids=["intents", "exceptions", "requests"],
)
def test_what_is_not_allowed_is_refused_by_field_and_told(cluster, base, rows):
    cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(base))
    for path, value, field, said in rows:
        message = refused(cluster, put(base, path, value))
        assert field in message, (path, value, message)
        assert said in message, (path, value, message)


def test_what_is_just_allowed_is_allowed(cluster):
    base = intent(NAMESPACE, evidence=GOOD)
    for path, value in (
        ("spec.evidence.testResults.coveragePercent", 100),
        ("spec.evidence.testResults.coveragePercent", 0),
        ("spec.evidence.testResults.coveragePercent", 87.25),
        ("spec.evidence.scanResults.low", 1_000_000_000),
        ("spec.evidence.testResults.sha256", "aF" * 32),
        ("spec.evidence.testResults.sha256", "sha256:" + "aF" * 32),
        ("spec.summary", "größer\n\t- 👍, an emoji"),
        ("spec.targets", [target(["a"], name=f"n{n}") for n in range(20)]),
        ("spec.targets.0.images", [f"i{n}" for n in range(50)]),
        ("spec.evidence", ...),
        ("spec.evidence", {}),
        ("metadata.name", "x" * 200),
    ):
        obj = json.dumps(put(base, path, value))
        cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=obj)


def test_an_unknown_field_is_named_by_kubectl(cluster):
    obj = put(intent(NAMESPACE), "spec.evidence.testResult", {"coveragePercent": 95})
    result = cluster.kubectl(
        "create", "--dry-run=server", "-f", "-", stdin=json.dumps(obj), check=False
    )
    assert 'unknown field "spec.evidence.testResult"' in result.stderr


def write_status(cluster, resource, name, status, *, check=False):
    """As an admin, with no webhook to say no."""
    return cluster.kubectl(
        *("patch", resource, name, "-n", NAMESPACE, "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": status})),
        check=check,
    )


def test_a_spec_is_immutable_also_against_its_removal(cluster):
    for obj, changes in IMMUTABLE:
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))
        changed = {**obj, "spec": {**obj["spec"], **changes}}
        result = cluster.kubectl("apply", "-f", "-", stdin=json.dumps(changed), check=False)
        assert "spec never changes: create another object instead" in result.stderr, changes
    for resource in ("cabrequest", "cabexception"):
        args = ("patch", resource, "fixed", "-n", NAMESPACE, "--type=merge", "-p", '{"spec":null}')
        assert "spec: Required value" in cluster.kubectl(*args, check=False).stderr


def test_decisions_are_append_only_with_no_webhook_at_all(cluster):
    leave = exception(NAMESPACE, "web-aaaaaaaa", name="append")
    for resource, obj in (("cabrequest", request("append")), ("cabexception", leave)):
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj))
        first, second = entry(1), entry(2, "Revoked")

        def write(status, resource=resource):
            return write_status(cluster, resource, "append", status)

        assert "without gaps" in write({"decisions": [entry(2)]}).stderr
        assert "without gaps" in write({"decisions": [first, entry(3)]}).stderr
        assert write({"decisions": [first, first]}).returncode != 0
        assert write({"decisions": [first]}).returncode == 0
        assert write({"decisions": [first, second]}).returncode == 0
        for status in (
            None,
            {"decisions": None},
            {"decisions": []},
            {"decisions": [first]},
            {"decisions": [second]},
            {"decisions": [second, entry(3)]},
            {"decisions": [first, {**second, "rationale": "other"}]},
            {"decisions": [{**first, "at": "2025-01-01T00:00:00Z"}, second]},
            {"decisions": [{**first, "author": {"type": "Person", "username": "x"}}, second]},
        ):
            result = write(status)
            assert result.returncode != 0, (resource, status)
            assert (
                "append-only" in result.stderr
                or "cannot be changed" in result.stderr
                or ("without gaps" in result.stderr)
            ), result.stderr
        if resource == "cabrequest":
            assert "append-only" in write(None).stderr
            assert (
                "cannot be changed"
                in write({"decisions": [first, {**second, "rationale": "other"}]}).stderr
            )


def test_a_decision_says_all_that_it_must(cluster):
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(request("complete")))
    conditions = [{"name": "a", "description": "b"}]
    for made, said in (
        (entry(verdict="ConditionallyApproved"), "needs conditions"),
        (entry(verdict="ConditionallyApproved", conditions=[]), "needs conditions"),
        (entry(verdict="Rejected", rationale=" "), "needs a rationale"),
        (entry(verdict="Revoked", rationale=""), "needs a rationale"),
        (entry(verdict="Fine"), "Unsupported value"),
        (entry(author={"type": "Robot", "username": "x"}), "Unsupported value"),
        (entry(author={"type": "Person"}), "author.username"),
        (entry(evidenceDigest="x"), "evidenceDigest"),
        (entry(at="yesterday"), "date-time"),
        (entry(verdict="ConditionallyApproved", conditions=conditions * 2), "Duplicate value"),
        (entry(rationale="no\u202e"), r'decisions[0].rationale: Invalid value: "no\u202e"'),
        (entry(sequence=0), "sequence"),
        (entry(sequence=257), "sequence"),
    ):
        result = write_status(cluster, "cabrequest", "complete", {"decisions": [made]})
        assert result.returncode != 0, made
        assert said in result.stderr, (made, result.stderr)
    for rationale in ("...", "<why>"):
        review = {"verdict": "Approved", "rationale": rationale}
        result = write_status(cluster, "cabrequest", "complete", {"review": review})
        assert "says nothing: write why" in result.stderr, rationale
    status = {"decisions": [entry(verdict="ConditionallyApproved", conditions=conditions)]}
    write_status(cluster, "cabrequest", "complete", status, check=True)


def test_what_an_older_release_took_in_can_still_be_decided(cluster):
    """By definitions that know no characters, and then by ours."""
    new = (CRDS / "cabrequests.cabgate.dev.yaml").read_text()
    old = "\n".join(line for line in new.splitlines() if "pattern: ^[^" not in line)
    hidden = entry(rationale="fine\u009b")

    def refused_now():
        result = write_status(cluster, "cabrequest", "later", {"decisions": [hidden]})
        return "should match" in result.stderr

    cluster.kubectl("create", "-f", "-", stdin=json.dumps(request("later")))
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(request("older")))
    assert refused_now()
    try:
        cluster.kubectl("apply", "-f", "-", stdin=old)
        wait_until(
            lambda: (
                write_status(cluster, "cabrequest", "older", {"decisions": [hidden]}).returncode
                == 0
            ),
            "definitions that know no characters",
        )
    finally:
        cluster.kubectl("apply", "-f", "-", stdin=new)
    wait_until(refused_now, "our definitions")
    both = {"decisions": [hidden, entry(2, "Revoked")], "state": "Revoked"}
    write_status(cluster, "cabrequest", "older", both, check=True)


@pytest.fixture(scope="module")
def several(cluster):
    """Objects in different states."""
    for name, of, state, ticket in (
        ("shop-aaaaaaaa", "shop", "Submitted", "CHG-7/a"),
        ("shop-bbbbbbbb", "shop", "Superseded", "CHG-7"),
        ("cart-aaaaaaaa", "cart", "Approved", "CHG-7/a"),
    ):
        reference = {"name": of, "uid": "u", "generation": 1}
        obj = request(name, intentRef=reference, correlationID=ticket)
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj))
        shown = {"targets": "Deployment/web", "submitters": "requester"}
        write_status(cluster, "cabrequest", name, {"state": state, **shown}, check=True)
    leave = exception(NAMESPACE, "cart-aaaaaaaa", name="cart-leave", durationDays=7)
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(leave))
    status = {"state": "Pending", "expiresAt": "2030-01-08T00:00:00Z"}
    write_status(cluster, "cabexception", "cart-leave", status, check=True)
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(intent(NAMESPACE, name="shop")))
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "ReviewPending",
        "message": "x",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {
        "state": "Submitted",
        "score": "52.50",
        "gate": "ManualReview",
        "requestName": "shop-aaaaaaaa",
        "correlationID": "CHG-7/a",
        "conditions": [condition],
    }
    write_status(cluster, "deploymentintent", "shop", status, check=True)


def test_pending_and_related_objects_are_found_by_field(cluster, several):
    for resource, selector, names in SELECTORS:
        args = ("get", resource, "-A", "-o", "name", f"--field-selector={selector}")
        found = [line.partition("/")[2] for line in cluster.kubectl(*args).stdout.split()]
        assert sorted(found) == names, selector


def test_a_table_shows_what_a_reviewer_wants(cluster, several):
    for (resource, wide), columns in COLUMNS.items():
        args = ["get", resource, "-n", NAMESPACE, *([wide] if wide else [])]
        lines = cluster.kubectl(*args).stdout.splitlines()
        assert lines[0].split() == columns, (resource, wide)
        row = ROWS[resource]
        (found,) = [line.split() for line in lines if line.split()[0] == row[0]]
        assert found[: len(row)] == row
    everything = cluster.kubectl("get", "cab", "-n", NAMESPACE, "-o", "name").stdout
    for name in (
        "deploymentintent.cabgate.dev/shop",
        "cabrequest.cabgate.dev/cart-aaaaaaaa",
        "cabexception.cabgate.dev/cart-leave",
    ):
        assert name in everything.split()


def test_kubectl_explains_every_field(cluster):
    for path, said in EXPLAINED.items():
        text = " ".join(cluster.kubectl("explain", path).stdout.split())
        assert said in text, path
    for resource in ("di", "cabreq", "cabex", "cabrm"):
        text = cluster.kubectl("explain", resource, "--recursive").stdout
        assert "<none>" not in text
        assert "<no description>" not in text


def test_a_status_cannot_be_created_with_the_object(cluster):
    made = {**request("bare"), "status": {"state": "Approved", "decisions": [entry()]}}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(made))
    found = cluster.kubectl("get", "cabrequest", "bare", "-n", NAMESPACE, "-o", "json").stdout
    assert "status" not in json.loads(found)


def test_what_was_stored_with_a_time_in_small_letters_can_be_written_again(cluster):
    """By the schema of before every write failed, since its rules could not read the object: also
    the one that revokes. On a copy of the definition, so that no other test meets it."""
    definition = yaml.safe_load((CRDS / "cabrequests.cabgate.dev.yaml").read_text())
    copied = json.loads(json.dumps(definition).replace("cabgate.dev", "copy.example.com"))
    copied["spec"]["names"] = {"kind": "OldRequest", "plural": "oldrequests"}
    copied["metadata"] = {"name": "oldrequests.copy.example.com"}
    before = copy.deepcopy(copied)
    [version] = before["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    at = spec["properties"]["evidence"]["properties"]["manualTesting"]["properties"]["at"]
    at["format"] = "date-time"

    def established():
        found = cluster.kubectl("get", "crd", "oldrequests.copy.example.com", "-o", "json").stdout
        conditions = json.loads(found).get("status", {}).get("conditions", [])
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(before))
    wait_until(established, "the definition of before")
    testing = {"status": "Completed", "at": "2026-02-27t15:30:00z"}
    made = request(evidence={"manualTesting": testing})
    made |= {"apiVersion": "copy.example.com/v1alpha1", "kind": "OldRequest"}
    wait_until(
        lambda: (
            cluster.kubectl("create", "-f", "-", stdin=json.dumps(made), check=False).returncode
            == 0
        ),
        "one of before",
    )
    name, status = made["metadata"]["name"], {"state": "Submitted"}
    failed = write_status(cluster, "oldrequests", name, status)
    assert "Invalid date-time formatted string" in failed.stderr
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(copied))
    wait_until(
        lambda: write_status(cluster, "oldrequests", name, status).returncode == 0,
        "it can be written again",
    )
