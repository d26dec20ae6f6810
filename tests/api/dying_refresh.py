"""A shop in a process of its own that is killed while a refresh embeds: `dying_refresh.py HOME`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from shopkeeper.bootstrap import open_shop
from shopkeeper.operations.refreshing import RefreshOrder, requested_by
from shopkeeper.settings import Settings


async def main(home: str) -> None:
    shop = open_shop(Settings(home=Path(home)))
    await shop.start()
    order = RefreshOrder(mode="full_retrain", retrain_epochs=1, fusion_epochs=1)
    job = await asyncio.to_thread(shop.operations.refresh.submit, order, by="dying")
    async for _ in shop.jobs.follow(job.job_id, idle_s=0.01):
        stage = await asyncio.to_thread(shop.jobs.requested, requested_by(job.job_id, "embed"))
        if stage is not None:
            os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main(*sys.argv[1:]))
