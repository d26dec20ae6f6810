"""What is learned from answers: by policies, online learners and agents."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from shopkeeper.stores.schema.base import BigKey, metadata

# Slots of a slate that were drawn by a policy, s of them, each from a pool of at most m items: `slots`, `drawn` int32
# (s,), `pools` int32 (s, m) item rows filled up with -1, `chances` and `rewards` float64 (s,), `context` float64 (d,).
# `rewards` null: it is not learned yet. `noted_at` is real time, `last_seq` the newest event of then.
explored = Table(
    "explored",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("slate_id", String(32), nullable=False, unique=True),
    Column("user_row", Integer, ForeignKey("users.row")),
    Column("user_id", String(128)),  # of one whom nobody knew
    Column("made_at", BigInteger, nullable=False),
    Column("noted_at", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("scenario", String(64), nullable=False),
    Column("scenario_version", Integer, nullable=False),
    Column("key", String(16), nullable=False),
    Column("policy", String(64), nullable=False),
    Column("snapshot", Integer, nullable=False),
    Column("slots", LargeBinary, nullable=False),
    Column("drawn", LargeBinary, nullable=False),
    Column("pools", LargeBinary, nullable=False),
    Column("chances", LargeBinary, nullable=False),
    Column("asked", JSON, nullable=False),
    Column("context", LargeBinary),
    Column("rewards", LargeBinary),
    Index(None, "scenario", "key", "seq"),
    Index(None, "user_row"),
)

# What was learned for a scenario: the newest snapshot and the place in `explored` up to which it has learned. `asked`:
# parameters of the policy and names of the context; `key` stands for these and the policy.
explorers = Table(
    "explorers",
    metadata,
    Column("scenario", String(64), primary_key=True),
    Column("key", String(16), primary_key=True),
    Column("policy", String(64), nullable=False),
    Column("asked", JSON, nullable=False),
    Column("number", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("rounds", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

# Online learners: `state` is weights and what waits to be learned (null: not begun), `saves` counts what was written.
online_learners = Table(
    "online_learners",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("settings", JSON, nullable=False),
    Column("state", LargeBinary),
    Column("saves", Integer, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String(128), nullable=False),
)

# Slates that an online learner is done with: it has learned of them, or they are held out to measure on.
online_learned = Table(
    "online_learned",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("slate_id", String(32), primary_key=True),
    Column("held", Boolean, nullable=False),
)

# Agents that learn from rewards: `file` in HOME/agents holds what was learned, `facts` what to tell of it without
# reading it. `agent_steps` are those that the file does not hold yet, in the order in which they came.
agents = Table(
    "agents",
    metadata,
    Column("agent_id", String(32), primary_key=True),
    Column("config", JSON, nullable=False),
    Column("file", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

agent_steps = Table(
    "agent_steps",
    metadata,
    Column("agent_id", String(32), ForeignKey("agents.agent_id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("step", JSON, nullable=False),
)

# Slates of visits in which an agent was asked, in the order in which they were noted. `number` counts the slates of a
# visit; `state`: what was seen of the visit before; `action` was shown, drawn with `propensity`, `choice` is the
# agent's own. `key` stands for the agent and its actions, `shown` are item rows. Reward null: not learned yet.
agent_visits = Table(
    "agent_visits",
    metadata,
    Column("seq", BigKey, primary_key=True),
    Column("slate_id", String(32), nullable=False, unique=True),
    Column("visit_id", String(32), nullable=False),
    Column("number", Integer, nullable=False),
    Column("user_row", Integer, ForeignKey("users.row")),
    Column("user_id", String(128)),  # of one whom nobody knew
    Column("made_at", BigInteger, nullable=False),
    Column("noted_at", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("scenario", String(64), nullable=False),
    Column("scenario_version", Integer, nullable=False),
    Column("agent_id", String(32), nullable=False),
    Column("key", String(16), nullable=False),
    Column("state", JSON, nullable=False),
    Column("action", Integer, nullable=False),
    Column("choice", Integer, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("shown", LargeBinary, nullable=False),
    Column("reward", Float),
    Index(None, "agent_id", "reward"),
    Index(None, "visit_id"),
    Index(None, "user_row"),
)

# May an agent steer a scenario with the actions that `key` stands for? The newest judgement of each.
agent_verdicts = Table(
    "agent_verdicts",
    metadata,
    Column("agent_id", String(32), ForeignKey("agents.agent_id"), primary_key=True),
    Column("scenario", String(64), primary_key=True),
    Column("key", String(16), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("judged", JSON, nullable=False),
    Column("judged_at", BigInteger, nullable=False),
)
