"""Rules and segments, who belonged to which, and whom that is told."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from shopkeeper.stores.schema.base import BigKey, metadata

rules = Table(
    "rules",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("description", Text, nullable=False),
    Column("weight", Float, nullable=False),
    Column("condition", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("action", Text, nullable=False, server_default=""),  # what to suggest to whom it matches
)

segments = Table(
    "segments",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# Who belonged to a segment from when to when; `left_at` null: still. At most one open span a user and segment.
segment_spans = Table(
    "segment_spans",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("segment", String(64), nullable=False),
    Column("user_row", Integer, ForeignKey("users.row"), nullable=False),
    Column("entered_at", BigInteger, nullable=False),
    Column("left_at", BigInteger),
    Index(None, "segment", "entered_at"),
    Index(None, "user_row", "segment"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", String(32), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("segment", String(64)),  # null: all segments
    Column("secret", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
)

# The outbox: written in the transaction of what it tells, sent afterwards.
deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", String(32), primary_key=True),
    Column("webhook_id", String(32), nullable=False),
    Column("event", String(32), nullable=False),
    Column("user_row", Integer, ForeignKey("users.row")),  # whom it is about
    Column("payload", JSON, nullable=False),
    Column("status", String(16), nullable=False),  # pending | delivered | failed
    Column("attempts", Integer, nullable=False),
    Column("next_try", BigInteger),
    Column("answer", Integer),  # the last HTTP status
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Index(None, "status", "next_try"),
    Index(None, "webhook_id", "created_at"),
    Index(None, "user_row"),
)
