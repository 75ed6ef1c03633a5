# SPDX-License-Identifier: Apache-2.0
"""Kubeconfig files, as the `kubernetes` package reads them, exec plugins included."""

from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KubeConfigMerger
from yaml import YAMLError

_config: Any = config  # its functions carry no types

UNUSABLE = (
    ConfigException,
    OSError,
    ValueError,
    RecursionError,
    TypeError,
    LookupError,
    AttributeError,
    YAMLError,
)
"""What the package lets through of a kubeconfig that is missing, not YAML, or of another shape."""


def configured(path: str) -> tuple[Any, Path | None]:
    """What the package makes of the current context of a kubeconfig, or of several separated as in
    KUBECONFIG, and the file of the token if it names one, which the package reads but once.

    Raises one of `UNUSABLE`.
    """
    settings = client.Configuration()
    _config.load_kube_config(config_file=path, client_configuration=settings, persist_config=False)
    merged: Any = KubeConfigMerger(path).config  # type: ignore[no-untyped-call]
    context = merged["contexts"].get_with_name(merged["current-context"])["context"]
    entry = merged["users"].get_with_name(context["user"])
    token_file = None if "token" in entry["user"] else entry["user"].safe_get("tokenFile")
    # Like kubectl: beside the kubeconfig, where it is not absolute.
    return settings, Path(entry.path).parent / token_file if token_file else None


def namespace_of(kubeconfig: str | None, context: str | None) -> str | None:
    """Namespace of a context, by default the current one; None if it names none, or there is no
    such context."""
    try:
        contexts, active = _config.list_kube_config_contexts(config_file=kubeconfig)
    except UNUSABLE:
        return None
    chosen = next((c for c in contexts if c["name"] == context), None) if context else active
    namespace = (chosen or {}).get("context", {}).get("namespace")
    return namespace if namespace and isinstance(namespace, str) else None


def client_of(kubeconfig: str | None, context: str | None, settings: Any) -> client.ApiClient:
    """A client of the package for a context of a kubeconfig, with some settings; in a Pod, and if
    neither is named, for its service account. Raises one of `UNUSABLE`, about the kubeconfig."""
    try:
        found: client.ApiClient = _config.new_client_from_config(
            config_file=kubeconfig, context=context, client_configuration=settings
        )
        return found
    except UNUSABLE:
        if kubeconfig is None and context is None:
            try:
                _config.load_incluster_config(settings)
                return client.ApiClient(settings)
            except ConfigException:
                pass
        raise
