# SPDX-License-Identifier: Apache-2.0
"""An API server for one rollout, which notes what is read of it."""

import asyncio
import json
from datetime import timedelta

from cabgate.api.base import rfc3339
from cabgate.review.identity import User
from cabgate.rollout.workloads import kind_of
from cabgate_samples.models import IMAGE, NAMESPACE, NOW, by_person, request, rollout
from cabgate_samples.objects import workload
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.handlers.rollouts import judge_rollout
from support.promotion import running

NAME = rollout().workload.name
REQUESTS, FREEZES, OUTCOMES = "cabrequests", "changefreezes", "rolloutoutcomes"
ELSEWHERE = "elsewhere"
"""What is noted of a read of the workload of that name in another namespace."""
MADE = workload(NAMESPACE, name=NAME, images=[IMAGE])
FINDS = [NAMESPACE, FREEZES, REQUESTS]
"""What is read first where freezes may hold."""


def dumped(found):
    """An object as the API server sends it."""
    return found.model_dump(mode="json", by_alias=True, exclude_none=True)


class Api(LiveReads):
    """An API server that holds some objects and notes what is read of them, in its order."""

    def __init__(
        self,
        *decisions,
        freezes=(),
        sets=(),
        fails=(),
        of=None,
        ring="2",
        made=MADE,
        outcomes=(),
        naming=(),
        elsewhere=None,
        beside=(),
    ):
        super().__init__(None)
        approved = of or request("ManualReview", *(decisions or [by_person("Approved")]))
        stored = made | {"metadata": {**made["metadata"], "uid": "u-1"}}
        self._found = {
            REQUESTS: {"items": [dumped(each) for each in (approved, *beside)]},
            FREEZES: {"items": list(freezes)},
            "replicasets": {"items": list(sets)},
            NAMESPACE: {"metadata": {"name": NAMESPACE, "labels": {"cabgate.dev/ring": ring}}},
            OUTCOMES: {"items": [dumped(each) for each in outcomes]},
            NAME: stored,
        }
        # What runs in other namespaces under the same name: by default what is rolled out.
        self._elsewhere = running(made) if elsewhere is None else elsewhere
        self._naming = [dumped(each) for each in naming]
        self._fails = fails
        self.reads = []
        self.queries, self.paths = {}, {}

    async def _read(self, path, query=None, **_):
        what = path.rpartition("/")[2]
        if what == "cabexceptions":  # sent ahead where a machine is slow, and needed by none here
            return b'{"items": []}'
        if what == NAME and f"/namespaces/{NAMESPACE}/" not in path:
            what = ELSEWHERE
        self.reads.append(what)
        self.queries[what] = query
        self.paths[what] = path
        await asyncio.sleep(0)
        if what in self._fails:
            raise LookupFailed(f"GET {path}: HTTP 500")
        if what == REQUESTS and self.reads.count(REQUESTS) > 1:
            return json.dumps({"items": self._naming}).encode()  # those that name a ReplicaSet
        if what == ELSEWHERE:
            return json.dumps(self._elsewhere).encode() if self._elsewhere else None
        return json.dumps(self._found[what]).encode()


async def judged(api, *, freezing=True, old=True, obj=MADE):
    """What becomes of the rollout of an object."""
    admission = AdmissionRequest(
        uid="u",
        group="apps",
        resource="deployments",
        subresource="",
        operation="UPDATE" if old else "CREATE",
        namespace=NAMESPACE,
        name=NAME,
        user=User("rita"),
        object=obj,
        old_object=workload(NAMESPACE, name=NAME, images=["old"]) if old else {},
    )
    kind = kind_of("apps/v1", "Deployment")
    return await judge_rollout(admission, kind, api, 0, NOW, freezing=freezing)


def replica_set(name=f"{NAME}-5d4f8", created=NOW - timedelta(days=3), made=MADE):
    """What a Deployment ran since a moment."""
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME, "uid": "u-1"}
    metadata = {"name": name, "creationTimestamp": rfc3339(created)}
    metadata["ownerReferences"] = [{**owner, "controller": True}]
    return {"metadata": metadata, "spec": {"template": made["spec"]["template"]}}
