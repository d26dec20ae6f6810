"""Scenarios, features and the slates that were made of them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from shopkeeper.stores.schema.base import BigKey, metadata

# Scenarios as data, newest position of a name counts; `body` null: taken away.
scenarios = Table(
    "scenarios",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", JSON(none_as_null=True)),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String(128), nullable=False),
    UniqueConstraint("name", "version"),
)

# Which features, in which version of each, with which defaults; the newest activation counts.
feature_versions = Table(
    "feature_versions",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("description", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
)

feature_activations = Table(
    "feature_activations",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("version", Integer, ForeignKey("feature_versions.version"), nullable=False),
    Column("activated_at", BigInteger, nullable=False),
    Column("activated_by", String(128), nullable=False),
)

# Slates that were computed, kept for a day or so; `served` counts the answers that they made.
slates = Table(
    "slates",
    metadata,
    Column("slate_id", String(32), primary_key=True),
    Column("user_row", Integer, ForeignKey("users.row")),
    Column("user_id", String(128)),  # of one whom nobody knew
    Column("scenario", String(64), nullable=False),
    Column("scenario_version", Integer, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("served", Integer, nullable=False),
    Column("degraded", Boolean, nullable=False),
    Column("items", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Index(None, "made_at"),
    Index(None, "user_row"),
)

# What a ranker saw of the items of a slate: `vectors` float32 (rows, names) in C order, `item_rows` int32 (rows,).
served_vectors = Table(
    "served_vectors",
    metadata,
    Column("slate_id", String(32), primary_key=True),
    Column("user_row", Integer, ForeignKey("users.row")),
    Column("made_at", BigInteger, nullable=False),
    Column("model", String(64), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("names", JSON, nullable=False),
    Column("item_rows", LargeBinary, nullable=False),
    Column("vectors", LargeBinary, nullable=False),
    Index(None, "made_at"),
    Index(None, "user_row"),
)
