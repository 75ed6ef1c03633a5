# SPDX-License-Identifier: Apache-2.0
"""A steady load of admissions: rollouts that have to be admitted, from several threads."""

import threading
import time

from support.clients import client_of


class Load:
    """Creates an approved workload again and again, as a dry run; a context manager. Failures are
    kept with what was said. Some fifteen in a second, unless told otherwise: what runs beside it
    needs the CPU."""

    def __init__(self, kubeconfig, obj, *, threads=2, pause=0.1):
        self._kubeconfig = kubeconfig
        self._obj = obj
        self._pause = pause
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self.count = 0
        """Admissions that were tried."""
        self.failures = []
        """What was said to those that were not admitted, and when."""
        self.slowest = 0.0
        """Seconds of the slowest."""

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self):
        namespace = self._obj["metadata"]["namespace"]
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        with client_of(self._kubeconfig) as client:
            while not self._ended.is_set():
                begun = time.monotonic()
                answer = client.post(path, params={"dryRun": "All"}, json=self._obj)
                took = time.monotonic() - begun
                with self._lock:
                    self.count += 1
                    self.slowest = max(self.slowest, took)
                    if answer.status_code != 201:
                        self.failures.append((time.strftime("%H:%M:%S"), answer.text))
                self._ended.wait(self._pause)
