# SPDX-License-Identifier: Apache-2.0
"""The webhook on a clock that is ahead: the demo's own entry point, not the product's."""

import os
from datetime import datetime, timedelta

from cabgate_kube.clock import utc_now
from cabgate_webhook import main as webhook

DAYS_VARIABLE = "DEMO_DAYS_AHEAD"


def ahead() -> datetime:
    """The time, as many days ahead as the environment says."""
    return utc_now() + timedelta(days=int(os.environ[DAYS_VARIABLE]))


if __name__ == "__main__":
    webhook.main(clock=ahead)
