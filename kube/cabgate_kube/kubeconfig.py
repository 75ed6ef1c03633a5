# SPDX-License-Identifier: Apache-2.0
"""Kubeconfig files, as the `kubernetes` package reads them, exec plugins included."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from kubernetes import client, config
from kubernetes.config import kube_config
from kubernetes.config.config_exception import ConfigException
from yaml import YAMLError

_config: Any = config  # its functions carry no types
_kube_config: Any = kube_config
_LOCK = Lock()  # the package knows the files that it wrote by what is in them, in all threads

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


@dataclass(frozen=True)
class Configured:
    """What the current context of a kubeconfig says."""

    settings: Any
    """Of the `kubernetes` package; what it names of files of its own is gone."""
    ca: Path | None
    """The file of the CA, where it is named by one."""
    ca_pem: str | None
    """The CA, where it stands in the kubeconfig or a plugin gave it."""
    identity: tuple[Path | bytes, Path | bytes] | None
    """Client certificate and key, each as a file that is named, or as what stands there."""
    token: str | Path | None
    """The token, or the file of it, where no plugin gives one. The package reads such a file but
    once, and makes its whole configuration anew whenever it is asked for any token."""


def configured(path: str) -> Configured:
    """What the package makes of the current context of a kubeconfig, or of several separated as in
    KUBECONFIG. Nothing of it is left in a file: the package writes what stands in a kubeconfig into
    files, a key among it, and removes them at the end of a process that ends by itself.

    Raises one of `UNUSABLE`.
    """
    settings: Any = client.Configuration()
    with _LOCK, TemporaryDirectory() as folder:
        try:
            _config.load_kube_config(
                config_file=path,
                client_configuration=settings,
                persist_config=False,
                temp_file_path=folder,
            )
            ca, certificate, key = (
                _content(name, Path(folder))
                for name in (settings.ssl_ca_cert, settings.cert_file, settings.key_file)
            )
        finally:
            _kube_config._cleanup_temp_files()
    if certificate and not key:
        raise ValueError("the user of the current context has a client-certificate, no client-key")
    return Configured(
        settings,
        ca if isinstance(ca, Path) else None,
        ca.decode() if isinstance(ca, bytes) else None,
        (certificate, key) if certificate and key else None,
        _token(path),
    )


def _content(name: str | None, folder: Path) -> Path | bytes | None:
    """What stands in a file of the package's own; another file as it is named."""
    if not name:
        return None
    path = Path(name)
    return path.read_bytes() if path.parent == folder else path


def _token(path: str) -> str | Path | None:
    merged: Any = _kube_config.KubeConfigMerger(path).config
    context = merged["contexts"].get_with_name(merged["current-context"])["context"]
    entry = merged["users"].get_with_name(context["user"])
    user = entry["user"]
    if "exec" in user or "auth-provider" in user:
        return None
    token: str | None = user.safe_get("token")
    token_file = user.safe_get("tokenFile")
    if token or not token_file:
        return token
    # Like kubectl: beside the kubeconfig, where it is not absolute.
    return Path(str(entry.path)).parent / str(token_file)


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
