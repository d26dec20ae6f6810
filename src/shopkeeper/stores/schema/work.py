"""Jobs, when they are due, and work that one process at a time does."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from shopkeeper.stores.schema.base import metadata

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("work_key", String(256)),  # same unfinished work twice is refused
    Column("status", String(16), nullable=False),
    Column("params", JSON, nullable=False),
    Column("progress", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("requested_by", String(128), nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("worker", String(128)),
    Column("lease_until", BigInteger),
    Column("attempt", Integer, nullable=False),
    Column("result", JSON),
    Column("error", Text),
    Index(None, "status", "created_at"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.job_id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("type", String(16), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("data", JSON, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("cron", String(128), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("params", JSON, nullable=False),
    Column("condition", JSON),  # what must hold besides the time
    Column("enabled", Boolean, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("retry_wait_s", Float, nullable=False),
    Column("state", JSON, nullable=False),  # what the last run left: time, job, attempt, what the condition compares
    Column("next_run", BigInteger),
    Column("worker", String(128)),
    Column("lease_until", BigInteger),
    Column("version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
)

# Work that one process at a time does.
leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("worker", String(128), nullable=False),
    Column("lease_until", BigInteger, nullable=False),
)
