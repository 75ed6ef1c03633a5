# SPDX-License-Identifier: Apache-2.0
"""Reading running workloads. The only module that talks to a cluster; imported only for that,
since the client takes longer to import than the rest takes to run."""

import json
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError
from yaml import YAMLError

from cabgate_cli.errors import BadInput, Unavailable
from cabgate_cli.workloads import Found, Wanted, read_workload

_config: Any = config  # its functions carry no types

# What the client lets through of a kubeconfig that is missing, not YAML, or of another shape.
_UNUSABLE = (
    ConfigException,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    YAMLError,
)

TIMEOUT_SECONDS = 15
"""Longest wait for one answer."""

_READERS = {
    "Deployment": "read_namespaced_deployment",
    "StatefulSet": "read_namespaced_stateful_set",
    "DaemonSet": "read_namespaced_daemon_set",
}


def context_namespace(kubeconfig: str | None, context: str | None) -> str | None:
    """Namespace of the kubeconfig's context; None without one."""
    try:
        contexts, active = _config.list_kube_config_contexts(config_file=kubeconfig)
    except _UNUSABLE:
        return None
    chosen = next((c for c in contexts if c["name"] == context), None) if context else active
    namespace = (chosen or {}).get("context", {}).get("namespace")
    return namespace if isinstance(namespace, str) else None


def read_running(
    wanted: Wanted, namespace: str, kubeconfig: str | None, context: str | None
) -> Found:
    """A running workload.

    Raises `Unavailable` if it cannot be had, with what to do.
    """
    api = client.AppsV1Api(connected(kubeconfig, context))
    read = getattr(api, _READERS[wanted.kind.name])
    try:
        # The raw answer: the client's own classes do not know the newest kinds of volumes.
        answer = read(
            wanted.name, namespace, _preload_content=False, _request_timeout=TIMEOUT_SECONDS
        )
        content: Any = json.loads(answer.data)
        if not isinstance(content, dict):
            raise ValueError("the answer is not an object")
        return read_workload(wanted.kind, content)
    except ApiException as error:
        raise Unavailable(_refused(wanted, namespace, error)) from None
    except (HTTPError, OSError) as error:
        host = api.api_client.configuration.host
        raise Unavailable(
            f"cannot reach the API server at {host}: {_reason(error)}. Check kubectl's connection "
            "(kubectl version), or use manifest files (-f FILE)."
        ) from None
    except (BadInput, ValueError) as error:
        message = error.message if isinstance(error, BadInput) else str(error)
        raise Unavailable(f"{wanted} in namespace {namespace}: {message}") from None


def connected(kubeconfig: str | None, context: str | None) -> client.ApiClient:
    """A client of the cluster that a kubeconfig names; raises `Unavailable`, with what to do."""
    try:
        found: client.ApiClient = _config.new_client_from_config(
            config_file=kubeconfig, context=context
        )
        return found
    except _UNUSABLE as error:
        if kubeconfig is None and context is None:
            try:
                _config.load_incluster_config()
                return client.ApiClient()
            except ConfigException:
                pass
        where = f"{kubeconfig}: " if kubeconfig else ""
        raise Unavailable(
            f"no cluster to read from: {where}{_reason(error)}. Name a kubeconfig (--kubeconfig, "
            "KUBECONFIG) and a context (--context), or use manifest files (-f FILE)."
        ) from None


def _refused(wanted: Wanted, namespace: str, error: ApiException) -> str:
    if error.status == 404:
        return (
            f"{wanted} not found in namespace {namespace}. Check name and namespace (-n); for a "
            "workload that does not run yet, name its images (--image) or its manifest (-f FILE)."
        )
    if error.status in (401, 403):
        return (
            f"you may not read {wanted} in namespace {namespace} (HTTP {error.status}). Ask for "
            "the verb 'get' on it, or use its manifest (-f FILE)."
        )
    return f"the API server did not return {wanted}: HTTP {error.status} {error.reason}"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= 300 else text[:297] + "..."
