"""What is kept of people beside their events: segment spans, identities, consent, preferences, webhooks, audit.

Revision: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("segment", sa.String(length=64), nullable=True),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "audit",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("what", sa.String(length=64), nullable=False),
        sa.Column("user_row", sa.Integer(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_audit_user_row")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_time"), "audit", ["time"], unique=False)
    op.create_index(op.f("ix_audit_user_row"), "audit", ["user_row"], unique=False)
    op.create_table(
        "consents",
        sa.Column("user_row", sa.Integer(), nullable=False),
        sa.Column("personalization", sa.Boolean(), nullable=False),
        sa.Column("profiling", sa.Boolean(), nullable=False),
        sa.Column("marketing", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_consents_user_row")),
        sa.PrimaryKeyConstraint("user_row", name=op.f("pk_consents")),
    )
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("webhook_id", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("user_row", sa.Integer(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_deliveries_user_row")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_status_next_try"), "deliveries", ["status", "next_try"], unique=False)
    op.create_index(op.f("ix_deliveries_user_row"), "deliveries", ["user_row"], unique=False)
    op.create_index(
        op.f("ix_deliveries_webhook_id_created_at"), "deliveries", ["webhook_id", "created_at"], unique=False
    )
    op.create_table(
        "identities",
        sa.Column("anonymous_id", sa.String(length=128), nullable=False),
        sa.Column("anonymous_row", sa.Integer(), nullable=True),
        sa.Column("user_row", sa.Integer(), nullable=False),
        sa.Column("bound_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["anonymous_row"], ["users.row"], name=op.f("fk_identities_anonymous_row")),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_identities_user_row")),
        sa.PrimaryKeyConstraint("anonymous_id", name=op.f("pk_identities")),
    )
    op.create_index(op.f("ix_identities_user_row"), "identities", ["user_row"], unique=False)
    op.create_table(
        "merges",
        sa.Column("from_row", sa.Integer(), nullable=False),
        sa.Column("into_row", sa.Integer(), nullable=False),
        sa.Column("merged_at", sa.BigInteger(), nullable=False),
        sa.Column("merged_by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["from_row"], ["users.row"], name=op.f("fk_merges_from_row")),
        sa.ForeignKeyConstraint(["into_row"], ["users.row"], name=op.f("fk_merges_into_row")),
        sa.PrimaryKeyConstraint("from_row", name=op.f("pk_merges")),
    )
    op.create_index(op.f("ix_merges_into_row"), "merges", ["into_row"], unique=False)
    op.create_table(
        "preferences",
        sa.Column("user_row", sa.Integer(), nullable=False),
        sa.Column("stated", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_preferences_user_row")),
        sa.PrimaryKeyConstraint("user_row", name=op.f("pk_preferences")),
    )
    op.create_table(
        "segment_spans",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("segment", sa.String(length=64), nullable=False),
        sa.Column("user_row", sa.Integer(), nullable=False),
        sa.Column("entered_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_segment_spans_user_row")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_segment_spans")),
    )
    op.create_index(
        op.f("ix_segment_spans_segment_entered_at"), "segment_spans", ["segment", "entered_at"], unique=False
    )
    op.create_index(op.f("ix_segment_spans_user_row_segment"), "segment_spans", ["user_row", "segment"], unique=False)
    op.add_column("rules", sa.Column("action", sa.Text(), server_default="", nullable=False))
