# SPDX-License-Identifier: Apache-2.0
"""The operator as in a Pod, its service account in a folder of our own: for tests only.

A new token is looked for every 5 s, where the client library does it every minute.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import kopf
from kubernetes.aio.config import incluster_config

from cabgate_operator.main import main

FOLDER = Path(os.environ.pop("CHAOS_SERVICE_ACCOUNT"))


class Loader(incluster_config.InClusterConfigLoader):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._token_refresh_period = timedelta(seconds=5)


def log_in(**_: Any) -> kopf.ConnectionInfo:
    """What kopf makes of the files; it knows no other place for them."""
    return kopf.ConnectionInfo(
        server="https://kubernetes.default.svc",
        ca_path=str(FOLDER / "ca.crt"),
        token=(FOLDER / "token").read_text().strip(),
    )


if __name__ == "__main__":
    incluster_config.SERVICE_TOKEN_FILENAME = str(FOLDER / "token")
    incluster_config.SERVICE_CERT_FILENAME = str(FOLDER / "ca.crt")
    incluster_config.InClusterConfigLoader = Loader
    kopf.login_with_service_account = log_in
    main()
