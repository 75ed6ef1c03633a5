# SPDX-License-Identifier: Apache-2.0
"""The relay with windows of another length: for tests only."""

import argparse
import asyncio
from datetime import timedelta
from pathlib import Path

from cabgate.api.base import build_models
from cabgate_kube.process.logs import set_up_logging
from cabgate_kube.process.running import run_until_stopped
from cabgate_relay.notifications.notifier import Pace
from cabgate_relay.replica import Replica
from cabgate_relay.settings import Settings


async def start() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--window", type=float, required=True)
    parser.add_argument("--health-port", type=int, default=0)
    parser.add_argument("--notifications", type=Path, required=True)
    options = parser.parse_args()
    set_up_logging("json")
    build_models()
    pace = Pace(timedelta(seconds=options.window), tick=0.2, first_pause=1.0)
    settings = Settings(
        cluster="prod", health_port=options.health_port, notifications=options.notifications
    )
    replica = Replica(settings, pace=pace)
    pages = replica.pages()
    await run_until_stopped(replica.run(), pages, host=settings.host, port=settings.health_port)


if __name__ == "__main__":
    asyncio.run(start())
