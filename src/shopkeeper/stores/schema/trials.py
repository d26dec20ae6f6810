"""Experiments, who took part, what came of it."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table

from shopkeeper.stores.schema.base import BigKey, metadata

# `subject` is what is tried, `scenario:NAME` or `model:NAME:SCOPE`; `plan` what was asked for, `state` how it stands.
experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("layer", String(64), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("status", String(16), nullable=False),  # draft | running | paused | done
    Column("version", Integer, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("state", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
    Index(None, "status"),
)

# Who was answered by which variant, once a phase: a change of weights begins a new one. `exposed_seq` is the newest
# event of that moment. `moved`: the variant is not the one that the id draws, it came with a visitor or a merged user.
experiment_units = Table(
    "experiment_units",
    metadata,
    Column("experiment_id", String(32), primary_key=True),
    Column("phase", Integer, primary_key=True, autoincrement=False),
    Column("user_row", Integer, ForeignKey("users.row"), primary_key=True, autoincrement=False),
    Column("variant", Integer, nullable=False),
    Column("exposed_at", BigInteger, nullable=False),
    Column("exposed_seq", BigInteger, nullable=False),
    Column("moved", Boolean, nullable=False),
    Index(None, "user_row"),
)

# What an own page or till tells of a user for one experiment, beside the events of the log.
experiment_events = Table(
    "experiment_events",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("experiment_id", String(32), nullable=False),
    Column("user_row", Integer, ForeignKey("users.row"), nullable=False),
    Column("metric", String(64), nullable=False),
    Column("value", Float, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index(None, "experiment_id", "metric"),
    Index(None, "user_row"),
)
