# SPDX-License-Identifier: Apache-2.0
"""What becomes of a denial and of a doubt, by the mode of the cluster and of the namespace."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cabgate.ledger.signatures import SigningKeys
from cabgate.rollout.modes import DRY_RUN_LABEL, MODE_LABEL, Mode
from cabgate_webhook.admission.caller import Caller
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.http.app import Limits, Settings, create_app
from cabgate_webhook.metrics import Metrics

KEYS = SigningKeys(
    Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
REFUSED = LookupFailed("GET /somewhere: connection refused")
ENFORCED, ANY = "/validate/enforce", "/validate"


class Api:
    """Stands in for an API server that knows a namespace's labels, and fails at all else."""

    def __init__(self, labels, fault=REFUSED):
        self._labels, self._fault = labels, fault

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def namespace_labels(self, _name):
        if self._labels is None:
            return await self._fails()
        return self._labels

    async def _fails(self, *_args, **_kwargs):
        if self._fault is None:
            await asyncio.Event().wait()
        raise self._fault

    def __getattr__(self, _name):
        return self._fails


async def answered(
    api,
    mode,
    path=ANY,
    group="apps",
    resource="deployments",
    kind="Deployment",
    limits=None,
    metrics=None,
    dry_run=False,
):
    obj = {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "web:1"}]}}},
    }
    request = {
        "uid": "u-1",
        "resource": {"group": group, "version": "v1", "resource": resource},
        "operation": "CREATE",
        "namespace": "shop",
        "name": "web",
        "userInfo": {"username": "alice"},
        "object": obj,
        "dryRun": dry_run,
    }
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}

    app = create_app(
        api,
        Settings(KEYS, Caller(Path(__file__)), mode=mode),
        metrics or Metrics(),
        lambda: datetime(2026, 11, 23, tzinfo=UTC),
        limits or Limits(),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:
        answer = await client.post(path, content=json.dumps(body))
        return answer.json()["response"]


def what(response):
    """What was done: denied, warned or audited."""
    noted = response["auditAnnotations"]
    assert noted["denial"].startswith("LookupFailed: ")
    assert "workload" in noted
    if not response["allowed"]:
        assert "mode" not in noted
        return "denied"
    assert noted["mode"] in ("Warn", "Audit")
    return "warned" if response.get("warnings") else "audited"


@pytest.mark.parametrize(
    ("cluster", "label", "path", "expected"),
    [
        (Mode.ENFORCE, None, ANY, "denied"),
        (Mode.ENFORCE, "Audit", ANY, "denied"),
        (Mode.WARN, None, ANY, "warned"),
        (Mode.WARN, "Audit", ANY, "warned"),
        (Mode.WARN, "Enforce", ANY, "denied"),
        (Mode.WARN, "enforce", ANY, "denied"),
        (Mode.AUDIT, None, ANY, "audited"),
        (Mode.AUDIT, "Warn", ANY, "warned"),
        (Mode.AUDIT, "Enforce", ANY, "denied"),
        # What is read now counts more than what the API server's selector saw.
        (Mode.WARN, None, ENFORCED, "warned"),
    ],
)
async def test_a_doubt_is_what_the_mode_of_the_namespace_says(cluster, label, path, expected):
    labels = {} if label is None else {MODE_LABEL: label}
    assert what(await answered(Api(labels), cluster, path)) == expected


@pytest.mark.parametrize(
    ("cluster", "own", "label", "rollout", "dry_run"),
    [
        (Mode.ENFORCE, None, "Warn", "denied", "warned"),
        (Mode.ENFORCE, None, None, "denied", "denied"),
        (Mode.ENFORCE, None, "warn", "denied", "denied"),
        (Mode.ENFORCE, None, "Audit", "denied", "denied"),
        (Mode.WARN, "Enforce", "Warn", "denied", "warned"),
        (Mode.WARN, None, "Warn", "warned", "warned"),
        (Mode.AUDIT, None, "Warn", "audited", "audited"),
    ],
)
async def test_a_namespace_may_have_its_dry_runs_warned_and_no_rollout(
    cluster, own, label, rollout, dry_run
):
    labels = {MODE_LABEL: own, DRY_RUN_LABEL: label}
    api = Api({name: value for name, value in labels.items() if value is not None})
    assert what(await answered(api, cluster)) == rollout
    found = await answered(api, cluster, dry_run=True)
    assert what(found) == dry_run
    if rollout == "denied" and dry_run == "warned":
        assert found["warnings"][0] == "This is a dry run. cabgate denies the rollout itself:"


@pytest.mark.parametrize("fault", [REFUSED, None], ids=["fails", "hangs"])
async def test_a_dry_run_is_denied_where_nobody_knows_what_its_namespace_wants(fault):
    seconds = 0.05 if fault is None else 60
    limits = Limits(deadline_seconds=seconds, mode_seconds=seconds)
    found = await answered(Api(None, fault), Mode.ENFORCE, dry_run=True, limits=limits)
    assert not found["allowed"]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("resource", ["cabrequests", "deploymentintents", "cabexceptions"])
async def test_dry_runs_of_cabgates_own_objects_say_what_the_write_would(mode, resource):
    own = {"group": "cabgate.dev", "resource": resource}
    found = await answered(Api({DRY_RUN_LABEL: "Warn"}), mode, dry_run=True, **own)
    assert not found["allowed"]


@pytest.mark.parametrize("fault", [REFUSED, None], ids=["fails", "hangs"])
async def test_without_the_namespace_the_entry_that_was_called_tells(fault):
    # What hangs is given up at once, what fails has time to.
    seconds = 0.05 if fault is None else 60
    limits = Limits(deadline_seconds=seconds, mode_seconds=seconds)

    async def done(mode, path):
        response = await answered(Api(None, fault), mode, path, limits=limits)
        return response["allowed"], bool(response.get("warnings"))

    assert await done(Mode.ENFORCE, ANY) == (False, False)
    for mode in (Mode.WARN, Mode.AUDIT):
        assert await done(mode, ENFORCED) == (False, False)
        assert await done(mode, ANY) == (True, mode is Mode.WARN)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("resource", ["cabrequests", "deploymentintents", "cabexceptions"])
async def test_writes_to_cabgates_own_objects_have_no_mode(mode, resource):
    response = await answered(Api({}), mode, ANY, group="cabgate.dev", resource=resource)
    assert not response["allowed"]


async def test_a_kind_that_the_webhook_does_not_know_is_in_nobodys_way_where_it_does_not_enforce():
    other = {"group": "example.com", "resource": "things", "kind": "Thing"}
    assert (await answered(Api({}), Mode.WARN, **other))["allowed"]
    assert not (await answered(Api({}), Mode.ENFORCE, **other))["allowed"]


@pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT])
async def test_whom_enforce_would_hit_are_those_who_roll_out_not_those_who_compare(mode):
    metrics = Metrics()
    labels = {"namespace": "shop", "workload": "other", "reason": "LookupFailed"}
    for dry_run, count in ((True, None), (True, None), (False, 1), (True, 1)):
        await answered(Api({}), mode, metrics=metrics, dry_run=dry_run)
        counted = metrics.registry.get_sample_value("cabgate_not_enforced_denials_total", labels)
        assert counted == count
