# SPDX-License-Identifier: Apache-2.0
"""A stand-in for scheduler and kubelet: it says of every Pod that it runs and is ready. No image is
pulled and nothing is started; what it is for is that rollouts come to their end."""

import datetime
import threading

from cabgate_devcluster import DevClusterError

MERGE = "application/merge-patch+json"
PAUSE = 0.3
"""Seconds between two looks."""


class Kubelet:
    """A thread that marks Pods ready, for one `with` block."""

    def __init__(self, cluster):
        self._api = cluster.api
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self):
        while not self._ended.wait(PAUSE):
            try:
                for pod in self._api.items("pods"):
                    if pod["status"].get("phase") == "Pending":
                        self._mark_ready(pod)
            except DevClusterError:
                continue  # a Pod that was deleted meanwhile, or a server that restarts

    def _mark_ready(self, pod):
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kinds = ("Initialized", "ContainersReady", "Ready")
        conditions = [{"type": each, "status": "True", "lastTransitionTime": now} for each in kinds]
        metadata = pod["metadata"]
        path = self._api.path("pods", metadata["namespace"])
        self._api.call(
            "PATCH",
            f"{path}/{metadata['name']}/status",
            {"status": {"phase": "Running", "conditions": conditions, "startTime": now}},
            content_type=MERGE,
        )
