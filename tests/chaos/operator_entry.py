# SPDX-License-Identifier: Apache-2.0
"""The operator as in a Pod, its service account in a folder of our own: for tests only."""

import os
from pathlib import Path

from cabgate_kube.credentials import ServiceAccount
from cabgate_operator.main import main

FOLDER = Path(os.environ.pop("CHAOS_SERVICE_ACCOUNT"))


def of_this_pod(_: object = None) -> ServiceAccount:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return ServiceAccount(f"https://{host}:{port}", FOLDER)


if __name__ == "__main__":
    ServiceAccount.of_this_pod = of_this_pod
    main()
