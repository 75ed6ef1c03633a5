# SPDX-License-Identifier: Apache-2.0
"""The demo's cluster and its people, with the story played to its end."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from cabgate_demo import files, rings
from cabgate_demo.stage import Stage
from cabgate_demo.story import tell
from cabgate_devcluster import DevCluster, Installation, people
from cabgate_devcluster.installed.installation import ROOT
from cabgate_devcluster.processes.process import Process


@contextmanager
def played(
    console: Console,
    picture: Path | None = None,
    stage_of: Callable[[DevCluster, Console, Path], Stage] = Stage,
) -> Iterator[DevCluster]:
    """The cluster once all scenes were played on a stage; `picture` is where that of the page is
    written. Raises `OutcomeError` at the first outcome that is not as it should be."""
    with DevCluster() as cluster, tempfile.TemporaryDirectory(dir=cluster.directory) as folder:
        installation = Installation(cluster)
        installation.install()
        for namespace, ring in (("dev", 1), ("shop", 2), (rings.PILOT, 2), (rings.LIVE, 3)):
            cluster.kubectl("create", "namespace", namespace)
            cluster.kubectl("label", "namespace", namespace, f"cabgate.dev/ring={ring}")
        people.bind(cluster, "dev", "shop", rings.PILOT, rings.LIVE)
        # Both could approve by their role, and may not: see the story.
        for name, subject in (("gitops", "--serviceaccount=shop:gitops"), ("lead", "--user=lead")):
            for role in ("edit", "cabgate-requester", "cabgate-cab-member"):
                binding = ("create", "rolebinding", f"{name}-{role}", "-n", "shop")
                cluster.kubectl(*binding, f"--clusterrole={role}", subject)
        for role in ("break-glass", "freeze-override"):
            given = ("create", "rolebinding", f"lead-{role}", "-n", "shop", "--user=lead")
            cluster.kubectl(*given, f"--clusterrole=cabgate-{role}")
        stage = stage_of(cluster, console, Path(folder))
        for user in people.ROLES:
            stage.enter(user, cluster.user(user))
        stage.enter("lead", cluster.user("lead"))
        stage.enter("gitops", cluster.service_account("shop", "gitops"))
        relay = _follow(cluster, Path(folder))
        tell(stage, installation, picture)
        relay.stop()
        yield cluster


def _follow(cluster: DevCluster, folder: Path) -> Process:
    """Keep the ledger in a file of a folder, with the rights that the relay has elsewhere."""
    cluster.kubectl("apply", "-f", str(ROOT / "examples" / "relay" / "roles.yaml"))
    account = cluster.service_account("cabgate-system", "cabgate-relay")
    argv = [str(Path(sys.executable).with_name("cabgate-relay")), "--cluster=demo"]
    env = {"KUBECONFIG": str(account), "CABGATE_STORE": f"sqlite:///{folder / files.STORE}"}
    return cluster.spawn("relay", [*argv, "--health-port=0"], env=env)
