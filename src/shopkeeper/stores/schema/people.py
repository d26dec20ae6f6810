"""What is known of people beside their events: who is who, what they consented to and like, who touched their data."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table

from shopkeeper.stores.schema.base import BigKey, metadata

identities = Table(
    "identities",
    metadata,
    Column("anonymous_id", String(128), primary_key=True),
    Column("anonymous_row", Integer, ForeignKey("users.row")),  # null: never seen before it was bound
    Column("user_row", Integer, ForeignKey("users.row"), nullable=False),
    Column("bound_at", BigInteger, nullable=False),
    Index(None, "user_row"),
)

merges = Table(
    "merges",
    metadata,
    Column("from_row", Integer, ForeignKey("users.row"), primary_key=True),
    Column("into_row", Integer, ForeignKey("users.row"), nullable=False),
    Column("merged_at", BigInteger, nullable=False),
    Column("merged_by", String(128), nullable=False),
    Index(None, "into_row"),
)

consents = Table(
    "consents",
    metadata,
    Column("user_row", Integer, ForeignKey("users.row"), primary_key=True),
    Column("personalization", Boolean, nullable=False),
    Column("profiling", Boolean, nullable=False),
    Column("marketing", Boolean, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
)

preferences = Table(
    "preferences",
    metadata,
    Column("user_row", Integer, ForeignKey("users.row"), primary_key=True),
    Column("stated", JSON, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("what", String(64), nullable=False),
    Column("user_row", Integer, ForeignKey("users.row")),  # whose data was touched
    Column("before", JSON),
    Column("after", JSON),
    Column("request_id", String(128)),
    Index(None, "user_row"),
    Index(None, "time"),
)
