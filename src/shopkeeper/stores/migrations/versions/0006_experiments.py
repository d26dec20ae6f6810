"""Experiments, who was exposed to which variant, and what was told of them by name.

Revision: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("layer", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", name=op.f("pk_experiments")),
    )
    op.create_index(op.f("ix_experiments_status"), "experiments", ["status"], unique=False)
    op.create_table(
        "experiment_units",
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("phase", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user_row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("variant", sa.Integer(), nullable=False),
        sa.Column("exposed_at", sa.BigInteger(), nullable=False),
        sa.Column("exposed_seq", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_experiment_units_user_row_users")),
        sa.PrimaryKeyConstraint("experiment_id", "phase", "user_row", name=op.f("pk_experiment_units")),
    )
    op.create_index(op.f("ix_experiment_units_user_row"), "experiment_units", ["user_row"], unique=False)
    op.create_table(
        "experiment_events",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("experiment_id", sa.String(length=32), nullable=False),
        sa.Column("user_row", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_experiment_events_user_row_users")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_experiment_events")),
    )
    op.create_index(
        op.f("ix_experiment_events_experiment_id_metric"),
        "experiment_events",
        ["experiment_id", "metric"],
        unique=False,
    )
    op.create_index(op.f("ix_experiment_events_user_row"), "experiment_events", ["user_row"], unique=False)
