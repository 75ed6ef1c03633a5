# SPDX-License-Identifier: Apache-2.0
"""Reading a ledger and what it is about from a cluster, and pruning it; imported only for that."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from cabgate import GROUP, VERSION
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_cli.errors import Unavailable
from cabgate_cli.input.cluster.client import TIMEOUT_SECONDS, connected, not_kubernetes
from cabgate_kube.installation import RELAY_LEASE

CHUNK = 500
"""Objects in one page of a list."""

BEHIND = "only behind the checkpoint"
"""What the policy pruning.cabgate.dev says of a record before the checkpoint of its chain."""

SETTLE_SECONDS = 10.0
"""Longest wait until the API server's policies know a new checkpoint."""


class LedgerSource:
    """What a cluster holds of a ledger. Every read raises `Unavailable`, with what to do.

    `monotonic` and `sleep` are the time that it waits by for the policies.
    """

    def __init__(
        self,
        kubeconfig: str | None,
        context: str | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = connected(kubeconfig, context)
        self._monotonic = monotonic
        self._sleep = sleep

    def objects(self, plural: str) -> list[dict[str, Any]]:
        """Every object of one of cabgate's kinds."""
        return list(self.each(plural))

    def each(self, plural: str) -> Iterator[dict[str, Any]]:
        """The same, page by page: nobody has to hold all of them at once."""
        api = client.CustomObjectsApi(self._client)
        token: str | None = None
        while True:
            options = {"_continue": token} if token else {}
            answer = self._call(
                plural,
                api.list_cluster_custom_object,
                *(GROUP, VERSION, plural),
                limit=CHUNK,
                **options,
            )
            if not isinstance(answer, dict):
                raise not_kubernetes(plural, self._client)
            yield from answer.get("items") or []
            token = (answer.get("metadata") or {}).get("continue")
            if not token:
                return

    def config_map(self, name: str) -> dict[str, str] | None:
        """The data of a ConfigMap of cabgate's own; None if there is none."""
        api = client.CoreV1Api(self._client)
        try:
            found = self._call(
                f"configmap {name}", api.read_namespaced_config_map, name, SYSTEM_NAMESPACE
            )
        except _NotFoundError:
            return None
        return dict(found.data or {})

    def has_relay(self) -> bool:
        """Whether a relay keeps this ledger in an event store, or did: it leaves its Lease."""
        api = client.CoordinationV1Api(self._client)
        what = f"lease {RELAY_LEASE}"
        try:
            self._call(
                what, api.read_namespaced_lease, RELAY_LEASE, SYSTEM_NAMESPACE, doing="look for"
            )
        except _NotFoundError:
            return False
        return True

    def change_config_map(
        self, name: str, before: Mapping[str, str], after: Mapping[str, str]
    ) -> None:
        """Set keys of a ConfigMap of cabgate's own, if they are still as they were read."""
        api = client.CoreV1Api(self._client)
        what = f"configmap {name}"
        found = self._call(what, api.read_namespaced_config_map, name, SYSTEM_NAMESPACE)
        data = found.data or {}
        if any(data.get(key) != before.get(key) for key in after):
            raise Unavailable(f"write conflict: {what} was changed at the same time; try again")
        if any(data.get(key) != value for key, value in after.items()):
            found.data = {**data, **after}
            replace = api.replace_namespaced_config_map
            self._call(what, replace, name, SYSTEM_NAMESPACE, found, doing="update")

    def delete(self, plural: str, raw: Mapping[str, Any]) -> None:
        """Delete an object of cabgate's, if it is still the one that was read."""
        api = client.CustomObjectsApi(self._client)
        meta = raw["metadata"]
        body = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=meta.get("uid")))
        last = self._monotonic() + SETTLE_SECONDS
        while True:
            try:
                self._call(
                    f"{plural} {meta['name']}",
                    api.delete_cluster_custom_object,
                    *(GROUP, VERSION, plural, meta["name"]),
                    body=body,
                    doing="delete",
                )
            except _NotFoundError:
                return
            except _BehindCheckpointError:
                if self._monotonic() > last:
                    raise
                self._sleep(0.2)  # the API server has not seen the checkpoint yet
            else:
                return

    def _call(self, what: str, method: Any, *args: Any, doing: str = "read", **options: Any) -> Any:
        try:
            return method(*args, **options, _request_timeout=TIMEOUT_SECONDS)
        except ApiException as error:
            raise _refused(what, error, doing) from None
        except (ValueError, RecursionError):
            raise not_kubernetes(what, self._client) from None
        except (HTTPError, OSError) as error:
            host = self._client.configuration.host
            reason = " ".join(str(error).split())[:300]
            raise Unavailable(
                f"cannot reach the API server at {host}: {reason}. Check kubectl's connection "
                "(kubectl version), or use exported objects (-f FILE)."
            ) from None


class _NotFoundError(Unavailable):
    """There is none."""


class _BehindCheckpointError(Unavailable):
    """The API server knows no checkpoint that a record lies behind."""


def _refused(what: str, error: ApiException, doing: str) -> Unavailable:
    if error.status == 404:
        return _NotFoundError(f"no {what} in this cluster: is cabgate installed there?")
    if error.status in (401, 403) and doing != "read":
        kind = _BehindCheckpointError if BEHIND in str(error.body) else Unavailable
        return kind(
            f"you may not {doing} {what} (HTTP {error.status}). Ask for the ClusterRole "
            "cabgate-ledger-keeper, bound with a ClusterRoleBinding; then run this again."
        )
    if error.status in (401, 403):
        return Unavailable(
            f"you may not read {what} (HTTP {error.status}). Ask for the ClusterRole "
            "cabgate-auditor, bound with a ClusterRoleBinding."
        )
    if doing != "read":
        return Unavailable(
            f"could not {doing} {what}: HTTP {error.status} {error.reason}; try again"
        )
    return Unavailable(
        f"the API server did not return {what}: HTTP {error.status} {error.reason}; try again"
    )
