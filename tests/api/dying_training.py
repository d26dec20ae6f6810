"""A shop in a process of its own that is killed in the first epochs of a fusion training: `dying_training.py HOME`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from shopkeeper.bootstrap import open_shop
from shopkeeper.settings import Settings


async def main(home: str) -> None:
    shop = open_shop(Settings(home=Path(home)))
    await shop.start()
    params = {"sample_size": 10_000, "epochs": 40, "batch_size": 8}
    job = shop.releases.train("fusion", "fusion", params=params, requested_by="dying")
    async for event in shop.jobs.follow(job.job_id):
        if event is not None and event.type == "epoch":
            os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main(*sys.argv[1:]))
