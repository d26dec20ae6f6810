"""Slates of visits in which an agent was asked, and whether agents may steer scenarios.

Revision: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "agent_visits",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("slate_id", sa.String(length=32), nullable=False),
        sa.Column("visit_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("user_row", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.String(length=128), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("scenario", sa.String(length=64), nullable=False),
        sa.Column("scenario_version", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("action", sa.Integer(), nullable=False),
        sa.Column("choice", sa.Integer(), nullable=False),
        sa.Column("propensity", sa.Float(), nullable=False),
        sa.Column("shown", sa.LargeBinary(), nullable=False),
        sa.Column("reward", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["user_row"], ["users.row"], name=op.f("fk_agent_visits_user_row_users")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_agent_visits")),
        sa.UniqueConstraint("slate_id", name=op.f("uq_agent_visits_slate_id")),
    )
    op.create_index(op.f("ix_agent_visits_agent_id_reward"), "agent_visits", ["agent_id", "reward"], unique=False)
    op.create_index(op.f("ix_agent_visits_visit_id"), "agent_visits", ["visit_id"], unique=False)
    op.create_index(op.f("ix_agent_visits_user_row"), "agent_visits", ["user_row"], unique=False)
    op.create_table(
        "agent_verdicts",
        sa.Column("agent_id", sa.String(length=32), nullable=False),
        sa.Column("scenario", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("judged", sa.JSON(), nullable=False),
        sa.Column("judged_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.agent_id"], name=op.f("fk_agent_verdicts_agent_id_agents")),
        sa.PrimaryKeyConstraint("agent_id", "scenario", name=op.f("pk_agent_verdicts")),
    )
