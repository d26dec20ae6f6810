"""Slots that policies drew, what was learned of them, and leases on work that one process does.

Revision: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "explored",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slate_id", sa.String(length=32), nullable=False),
        sa.Column("user_row", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.String(length=128), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("scenario", sa.String(length=64), nullable=False),
        sa.Column("scenario_version", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("snapshot", sa.Integer(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("drawn", sa.LargeBinary(), nullable=False),
        sa.Column("pools", sa.LargeBinary(), nullable=False),
        sa.Column("chances", sa.LargeBinary(), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("context", sa.LargeBinary(), nullable=True),
        sa.Column("rewards", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_explored_user_row_users")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_explored")),
        sa.UniqueConstraint("slate_id", name=op.f("uq_explored_slate_id")),
    )
    op.create_index(op.f("ix_explored_scenario_key_seq"), "explored", ["scenario", "key", "seq"], unique=False)
    op.create_index(op.f("ix_explored_user_row"), "explored", ["user_row"], unique=False)
    op.create_table(
        "explorers",
        sa.Column("scenario", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("rounds", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scenario", "key", name=op.f("pk_explorers")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
