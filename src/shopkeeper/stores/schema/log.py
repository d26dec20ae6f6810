"""What has happened: the events, what is withheld of them, what is brought in from files."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from shopkeeper.stores.schema.base import BigKey, metadata

event_types = Table(
    "event_types",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigKey, primary_key=True),
    Column("event_id", String(128), nullable=False, unique=True),
    Column("user_row", Integer, ForeignKey("users.row")),
    Column("anonymous_id", String(128)),
    Column("type_row", Integer, ForeignKey("event_types.row"), nullable=False),
    Column("target_kind", String(64), nullable=False),
    Column("item_row", Integer, ForeignKey("items.row")),  # the target, when it is an item
    Column("other_row", Integer, ForeignKey("users.row")),  # the target, when it is a user
    Column("store_row", Integer, ForeignKey("stores.row")),
    Column("time", BigInteger, nullable=False),
    Column("quantity", Float),
    Column("unit_price", Float),
    Column("value", Float),
    Column("promotion", Text),
    Column("context", JSON),
    Column("received_at", BigInteger, nullable=False),
    Index(None, "user_row", "seq"),
    Index(None, "item_row", "seq"),
)

# The log of withheld events of the bundled shop: what the live stream still has to release, in order.
withheld = Table(
    "withheld",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("event", JSON, nullable=False),
)

imports = Table(
    "imports",
    metadata,
    Column("import_id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("columns", JSON, nullable=False),
    Column("mapping", JSON, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("status", String(16), nullable=False),  # new | running | done | failed
    Column("next_row", Integer, nullable=False),  # rows before this one are committed: resuming starts here
    Column("accepted", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("job_id", String(32)),
    Column("created_at", BigInteger, nullable=False),
)
