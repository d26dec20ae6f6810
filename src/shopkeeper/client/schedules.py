"""Schedules: what the shop does by itself, and when."""

from __future__ import annotations

from shopkeeper.client.jobs import JobDoors


class ScheduleDoors(JobDoors):
    """One method a door."""
