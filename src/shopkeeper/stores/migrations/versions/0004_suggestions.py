"""What suggestions keep: scenarios, feature versions, slates, and what rankers saw of them.

Revision: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "scenarios",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_scenarios")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_scenarios_name_version")),
    )
    op.create_table(
        "feature_versions",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_feature_versions")),
    )
    op.create_table(
        "feature_activations",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("activated_at", sa.BigInteger(), nullable=False),
        sa.Column("activated_by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["feature_versions.version"], name=op.f("fk_feature_activations_version")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_feature_activations")),
    )
    op.create_table(
        "slates",
        sa.Column("slate_id", sa.String(length=32), nullable=False),
        sa.Column("user_row", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.String(length=128), nullable=True),
        sa.Column("scenario", sa.String(length=64), nullable=False),
        sa.Column("scenario_version", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("served", sa.Integer(), nullable=False),
        sa.Column("degraded", sa.Boolean(), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_slates_user_row")),
        sa.PrimaryKeyConstraint("slate_id", name=op.f("pk_slates")),
    )
    op.create_index(op.f("ix_slates_made_at"), "slates", ["made_at"], unique=False)
    op.create_index(op.f("ix_slates_user_row"), "slates", ["user_row"], unique=False)
    op.create_table(
        "served_vectors",
        sa.Column("slate_id", sa.String(length=32), nullable=False),
        sa.Column("user_row", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("item_rows", sa.LargeBinary(), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_served_vectors_user_row")),
        sa.PrimaryKeyConstraint("slate_id", name=op.f("pk_served_vectors")),
    )
    op.create_index(op.f("ix_served_vectors_made_at"), "served_vectors", ["made_at"], unique=False)
    op.create_index(op.f("ix_served_vectors_user_row"), "served_vectors", ["user_row"], unique=False)
