# SPDX-License-Identifier: Apache-2.0
"""Relays as tests start them, where they send to, and what their store has."""

import contextlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cabgate_devcluster import DevCluster
from cabgate_devcluster.installed.chart import NAMESPACE
from cabgate_devcluster.installed.installation import ROOT
from cabgate_relay.keeping import RESOURCES
from cabgate_store.errors import StoreError
from cabgate_store.opening import open_to_read
from support.siem import TOKEN, Siem
from support.stores import Place

CLUSTER = "prod"
"""What the cluster is called in stores and in what is sent."""

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:cabgate-relay"
ROLES = ROOT / "examples" / "relay" / "roles.yaml"

_RELAY = Path(sys.executable).with_name("cabgate-relay")
_numbers = itertools.count(1)


def start_relay(
    cluster: DevCluster, kubeconfig: Any, *options: Any, store: str = "", port: int = 0
) -> Any:
    """Start a replica; it may lead or wait. `port` is that of its health, 0 for none."""
    argv = [_RELAY, "--cluster", CLUSTER, "--health-port", str(port), *options]
    env = {"KUBECONFIG": str(kubeconfig)} | ({"CABGATE_STORE": store} if store else {})
    return cluster.spawn(f"relay-{next(_numbers)}", argv, env=env)


def free_lease(cluster: DevCluster) -> None:
    """Give back the Lease of a relay that was killed: the next need not wait until it ends."""
    patch = json.dumps({"spec": {"holderIdentity": ""}})
    lease = ("lease", "cabgate-relay", "-n", NAMESPACE)
    cluster.kubectl("patch", *lease, "--type", "merge", "-p", patch)


def to_siem(siem: Siem, folder: Path, name: str = "siem") -> dict[str, Any]:
    """The sink of a SIEM that has its CA in a folder, where its token is put."""
    (folder / "token").write_text(TOKEN)
    files = {"credentialFile": f"{folder}/token", "caFile": f"{folder}/ca.crt"}
    return {"name": name, "type": "https", "url": siem.url, **files}


def sinks_file(folder: Path, *sinks: dict[str, Any]) -> Path:
    """The file of some sinks."""
    path = folder / "sinks.yaml"
    path.write_text(json.dumps({"sinks": sinks}))
    return path


def stored(place: Place) -> list[dict[str, Any]] | None:
    """The records of a store, in which nothing was found wrong; None while it does not answer."""
    try:
        with contextlib.closing(open_to_read(place.read)) as store:
            assert store.anomalies(CLUSTER) == []
            return list(store.records(CLUSTER))
    except StoreError:
        return None


@contextlib.contextmanager
def ledger_alone() -> Iterator[DevCluster]:
    """A cluster that has of cabgate the kinds that a relay reads and its namespace, and no policy
    that would refuse what is done to them."""
    with DevCluster() as made:
        for plural in ("cabdecisions", *(each.plural for each in RESOURCES)):
            made.kubectl("apply", "-f", str(ROOT / "crds" / f"{plural}.cabgate.dev.yaml"))
        made.kubectl("wait", "--for=condition=Established", "crd", "--all")
        made.kubectl("create", "namespace", NAMESPACE)
        yield made
