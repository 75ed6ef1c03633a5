# SPDX-License-Identifier: Apache-2.0
"""The operator as in a Pod, its service account in a folder of our own: for tests only."""

import os
from pathlib import Path

from cabgate_kube import credentials
from cabgate_operator.main import main

if __name__ == "__main__":
    credentials.FOLDER = Path(os.environ.pop("CHAOS_SERVICE_ACCOUNT"))
    main()
