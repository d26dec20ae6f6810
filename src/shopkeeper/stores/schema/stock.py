"""Forecasts that were kept, and what is known of days."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from shopkeeper.stores.schema.base import metadata

# Forecasts that were asked for and kept: the file holds all of the answer, `numbers` enough to write it again: float32
# (horizon, 10) in C order, the mean and the nine quantiles of each step. `removed_at`: its file is being taken away.
predictions = Table(
    "predictions",
    metadata,
    Column("prediction_id", String(32), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("scope", String(280), nullable=False),
    Column("version", Integer, nullable=False),
    Column("algorithm", String(64), nullable=False),
    Column("item_id", String(128)),
    Column("store_id", String(128)),
    Column("category", Text),
    Column("first_day", Integer, nullable=False),  # days since 1970
    Column("horizon", Integer, nullable=False),
    Column("period", String(8), nullable=False),  # day | week
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("file", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("numbers", LargeBinary, nullable=False),
    Column("removed_at", BigInteger),
    Index(None, "item_id", "created_at"),
    Index(None, "model", "scope", "version"),
)

# Promotions, holidays and closed days, past and planned; days since 1970, both ends included. Null: everywhere.
calendar = Table(
    "calendar",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),  # promotion | holiday | closed
    Column("name", Text, nullable=False),
    Column("from_day", Integer, nullable=False),
    Column("to_day", Integer, nullable=False),
    Column("item_ids", JSON(none_as_null=True)),
    Column("store_ids", JSON(none_as_null=True)),
    Column("discount", Float),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String(128), nullable=False),
    Index(None, "from_day"),
)

# Numbers of a day: temperature, fuel_price ...; of a store or all (-1), of an item or all (-1).
day_facts = Table(
    "day_facts",
    metadata,
    Column("store_row", Integer, primary_key=True, autoincrement=False),
    Column("item_row", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("fact", String(32), primary_key=True),
    Column("value", Float, nullable=False),
    Index(None, "day"),
)
