# SPDX-License-Identifier: Apache-2.0
"""The webhook with a clock that is shifted by the seconds of its first argument: for tests only."""

import sys
from datetime import datetime, timedelta

from cabgate_kube.clock import utc_now
from cabgate_webhook.main import main

if __name__ == "__main__":
    shift = timedelta(seconds=float(sys.argv[1]))

    def shifted() -> datetime:
        return utc_now() + shift

    main(sys.argv[2:], shifted)
