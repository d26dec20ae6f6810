"""Models, their versions, who answers."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from shopkeeper.stores.schema.base import BigKey, metadata

models = Table(
    "models",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("scope", String(160), primary_key=True),
    Column("family", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("scope", String(160), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("algorithm", String(64), nullable=False),
    Column("status", String(16), nullable=False),  # ready | broken | removed
    Column("manifest", JSON, nullable=False),  # files, feature_names, params, data, code_version
    Column("metrics", JSON, nullable=False),
    Column("gate", JSON),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("job_id", String(32)),
)

# Append-only: the newest row of (model, scope, alias) is where the alias points; version null means taken away.
aliases = Table(
    "aliases",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("model", String(64), nullable=False),
    Column("scope", String(160), nullable=False),
    Column("alias", String(64), nullable=False),
    Column("version", Integer),
    Column("time", BigInteger, nullable=False),
    Column("changed_by", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("forced", Boolean, nullable=False),
    Index(None, "model", "scope", "alias", "position"),
)

# Append-only: the newest row of (model, scope, kind) is the plan in force; plan null means it was taken away.
traffic = Table(
    "traffic",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("model", String(64), nullable=False),
    Column("scope", String(160), nullable=False),
    Column("kind", String(16), nullable=False),  # split | shadow
    Column("plan", JSON),
    Column("time", BigInteger, nullable=False),
    Column("changed_by", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "model", "scope", "kind", "position"),
)
