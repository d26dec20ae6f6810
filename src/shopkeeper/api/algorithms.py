"""Algorithms: what can be trained, with the parameters and their bounds."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query, Response

from shopkeeper import plugins
from shopkeeper.api.door import Doors, Id, reply
from shopkeeper.core.records import AlgorithmInfo

doors = Doors("Models")


@doors.add("GET", "/api/v1/algorithms", scope="r", answer=list[AlgorithmInfo])
async def list_algorithms(task: Annotated[str | None, Query(max_length=64)] = None) -> Response:
    """All algorithms that are registered, a shop's own included"""
    return reply(await asyncio.to_thread(described, task))


@doors.add("GET", "/api/v1/algorithms/{name}", scope="r", answer=AlgorithmInfo, errors=(404,))
async def get_algorithm(name: Id) -> Response:
    """One algorithm"""
    return reply(await asyncio.to_thread(plugins.describe, name))


def described(task: str | None) -> list[AlgorithmInfo]:
    """Those of a task, or all. The first call imports their libraries."""
    found = [plugins.describe(name) for name in plugins.names("algorithm")]
    return [one for one in found if task is None or one.task == task]
