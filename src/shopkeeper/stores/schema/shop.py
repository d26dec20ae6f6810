"""What a shop is made of: users, items, stores, what is in stock."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from shopkeeper.stores.schema.base import metadata

meta = Table("meta", metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))

users = Table(
    "users",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),  # user | anonymous
    Column("user_id", String(128), nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("listed", Boolean, nullable=False),  # false: known from events only, or deleted
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("kind", "user_id"),
)

items = Table(
    "items",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("item_id", String(128), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("category", Text),
    Column("price", Float),
    Column("active", Boolean, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

shops = Table(
    "stores",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("store_id", String(128), nullable=False, unique=True),
    Column("facts", JSON, nullable=False),  # name, location, size, type, opening_date, status
)

stock_levels = Table(
    "stock_levels",
    metadata,
    Column("store_row", Integer, ForeignKey("stores.row"), primary_key=True),
    Column("item_row", Integer, ForeignKey("items.row"), primary_key=True),
    Column("on_hand", Float, nullable=False),
    Column("on_order", Float, nullable=False),
    Column("lead_time_days", Float, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("simulated", Boolean, nullable=False),
)
