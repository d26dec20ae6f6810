"""What all tables share: the names of their indexes, and keys that are given out."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite gives out row ids only to INTEGER primary keys; other servers want 64 bits.
BigKey = BigInteger().with_variant(Integer, "sqlite")
