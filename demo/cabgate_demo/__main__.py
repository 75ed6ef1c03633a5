# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_demo`: run the demo, and make a picture of it if asked."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from cabgate_demo import files, rings
from cabgate_demo.picture import save_output
from cabgate_demo.stage import WIDTH, OutcomeError, Stage
from cabgate_demo.story import tell
from cabgate_devcluster import DevCluster, DevClusterError, Installation, people
from cabgate_devcluster.installed.installation import ROOT
from cabgate_devcluster.processes.process import Process


def main() -> int:
    """Run the demo; 0 if every outcome was as it should be, else 1."""
    parser = argparse.ArgumentParser(prog="python -m cabgate_demo", description=__doc__)
    parser.add_argument(
        "--svg",
        type=Path,
        help="write a picture of part of the output to this file, and all of it as .txt beside it",
    )
    picture: Path | None = parser.parse_args().svg
    console = Console(width=WIDTH, highlight=False, record=picture is not None, emoji=False)
    started = time.monotonic()
    try:
        _play(console)
    except (OutcomeError, DevClusterError) as error:
        print(f"\nthe demo failed: {error}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            print(note, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    seconds = time.monotonic() - started
    print(f"\nEvery outcome was as it should be. {seconds:.0f} s, nothing is left behind.")
    if picture is not None:
        save_output(console, picture)
        print(f"wrote {picture} and {picture.with_suffix('.txt')}")
    return 0


def _play(console: Console) -> None:
    print("Starting etcd, kube-apiserver, kube-controller-manager, and cabgate with its relay.")
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
        stage = Stage(cluster, console, Path(folder))
        for user in people.ROLES:
            stage.enter(user, cluster.user(user))
        stage.enter("lead", cluster.user("lead"))
        stage.enter("gitops", cluster.service_account("shop", "gitops"))
        relay = _follow(cluster, Path(folder))
        tell(stage, installation)
        relay.stop()


def _follow(cluster: DevCluster, folder: Path) -> Process:
    """Keep the ledger in a file of a folder, with the rights that the relay has elsewhere."""
    cluster.kubectl("apply", "-f", str(ROOT / "examples" / "relay" / "roles.yaml"))
    account = cluster.service_account("cabgate-system", "cabgate-relay")
    argv = [str(Path(sys.executable).with_name("cabgate-relay")), "--cluster=demo"]
    env = {"KUBECONFIG": str(account), "CABGATE_STORE": f"sqlite:///{folder / files.STORE}"}
    return cluster.spawn("relay", [*argv, "--health-port=0"], env=env)


if __name__ == "__main__":
    sys.exit(main())
