"""Every SQL table, once. Migrations bring a home to this; tests compare the two.

Times are microseconds since 1970 UTC. JSON columns hold what no query filters on. Rows (`row`) are the int32 ids that
arrays use; they are given out here and never reused.
"""

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
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite gives out row ids only to INTEGER primary keys; other servers want 64 bits.
_BigKey = BigInteger().with_variant(Integer, "sqlite")

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

event_types = Table(
    "event_types",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
)

events = Table(
    "events",
    metadata,
    Column("seq", _BigKey, primary_key=True),
    Column("event_id", String(128), nullable=False, unique=True),
    Column("user_row", Integer, ForeignKey("users.row")),
    Column("anonymous_id", String(128)),
    Column("type_row", Integer, ForeignKey("event_types.row"), nullable=False),
    Column("target_kind", String(64), nullable=False),
    Column("item_row", Integer, ForeignKey("items.row")),  # the target, when it is an item
    Column("other_row", Integer, ForeignKey("users.row")),  # the target, when it is a user
    Column("store_row", Integer, ForeignKey("stores.row")),
    Column("time", BigInteger, nullable=False),
    Column("quantity", Float),
    Column("unit_price", Float),
    Column("value", Float),
    Column("promotion", Text),
    Column("context", JSON),
    Column("received_at", BigInteger, nullable=False),
    Index(None, "user_row", "seq"),
    Index(None, "item_row", "seq"),
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

# The log of withheld events of the bundled shop: what the live stream still has to release, in order.
withheld = Table(
    "withheld",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("event", JSON, nullable=False),
)

rules = Table(
    "rules",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("description", Text, nullable=False),
    Column("weight", Float, nullable=False),
    Column("condition", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("action", Text, nullable=False, server_default=""),  # what to suggest to whom it matches
)

segments = Table(
    "segments",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# Who belonged to a segment from when to when; `left_at` null: still. At most one open span a user and segment.
segment_spans = Table(
    "segment_spans",
    metadata,
    Column("position", _BigKey, primary_key=True),
    Column("segment", String(64), nullable=False),
    Column("user_row", Integer, ForeignKey("users.row"), nullable=False),
    Column("entered_at", BigInteger, nullable=False),
    Column("left_at", BigInteger),
    Index(None, "segment", "entered_at"),
    Index(None, "user_row", "segment"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", String(32), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("segment", String(64)),  # null: all segments
    Column("secret", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
)

# The outbox: written in the transaction of what it tells, sent afterwards.
deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", String(32), primary_key=True),
    Column("webhook_id", String(32), nullable=False),
    Column("event", String(32), nullable=False),
    Column("user_row", Integer, ForeignKey("users.row")),  # whom it is about
    Column("payload", JSON, nullable=False),
    Column("status", String(16), nullable=False),  # pending | delivered | failed
    Column("attempts", Integer, nullable=False),
    Column("next_try", BigInteger),
    Column("answer", Integer),  # the last HTTP status
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Index(None, "status", "next_try"),
    Index(None, "webhook_id", "created_at"),
    Index(None, "user_row"),
)

identities = Table(
    "identities",
    metadata,
    Column("anonymous_id", String(128), primary_key=True),
    Column("anonymous_row", Integer, ForeignKey("users.row")),  # null: never seen before it was bound
    Column("user_row", Integer, ForeignKey("users.row"), nullable=False),
    Column("bound_at", BigInteger, nullable=False),
    Index(None, "user_row"),
)

merges = Table(
    "merges",
    metadata,
    Column("from_row", Integer, ForeignKey("users.row"), primary_key=True),
    Column("into_row", Integer, ForeignKey("users.row"), nullable=False),
    Column("merged_at", BigInteger, nullable=False),
    Column("merged_by", String(128), nullable=False),
    Index(None, "into_row"),
)

consents = Table(
    "consents",
    metadata,
    Column("user_row", Integer, ForeignKey("users.row"), primary_key=True),
    Column("personalization", Boolean, nullable=False),
    Column("profiling", Boolean, nullable=False),
    Column("marketing", Boolean, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
)

preferences = Table(
    "preferences",
    metadata,
    Column("user_row", Integer, ForeignKey("users.row"), primary_key=True),
    Column("stated", JSON, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("position", _BigKey, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("what", String(64), nullable=False),
    Column("user_row", Integer, ForeignKey("users.row")),  # whose data was touched
    Column("before", JSON),
    Column("after", JSON),
    Column("request_id", String(128)),
    Index(None, "user_row"),
    Index(None, "time"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("work_key", String(256)),  # same unfinished work twice is refused
    Column("status", String(16), nullable=False),
    Column("params", JSON, nullable=False),
    Column("progress", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("requested_by", String(128), nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("worker", String(128)),
    Column("lease_until", BigInteger),
    Column("attempt", Integer, nullable=False),
    Column("result", JSON),
    Column("error", Text),
    Index(None, "status", "created_at"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.job_id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("type", String(16), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("data", JSON, nullable=False),
)

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
    Column("position", _BigKey, primary_key=True),
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
    Column("position", _BigKey, primary_key=True),
    Column("model", String(64), nullable=False),
    Column("scope", String(160), nullable=False),
    Column("kind", String(16), nullable=False),  # split | shadow
    Column("plan", JSON),
    Column("time", BigInteger, nullable=False),
    Column("changed_by", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "model", "scope", "kind", "position"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("cron", String(128), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("params", JSON, nullable=False),
    Column("condition", JSON),  # what must hold besides the time
    Column("enabled", Boolean, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("retry_wait_s", Float, nullable=False),
    Column("state", JSON, nullable=False),  # what the last run left: time, job, attempt, what the condition compares
    Column("next_run", BigInteger),
    Column("worker", String(128)),
    Column("lease_until", BigInteger),
    Column("version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
)

imports = Table(
    "imports",
    metadata,
    Column("import_id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("columns", JSON, nullable=False),
    Column("mapping", JSON, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("status", String(16), nullable=False),  # new | running | done | failed
    Column("next_row", Integer, nullable=False),  # rows before this one are committed: resuming starts here
    Column("accepted", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("job_id", String(32)),
    Column("created_at", BigInteger, nullable=False),
)

# Scenarios as data, newest position of a name counts; `body` null: taken away.
scenarios = Table(
    "scenarios",
    metadata,
    Column("position", _BigKey, primary_key=True),
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
    Column("position", _BigKey, primary_key=True),
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

# Work that one process at a time does.
leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("worker", String(128), nullable=False),
    Column("lease_until", BigInteger, nullable=False),
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
    Column("seq", _BigKey, primary_key=True),
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

# Forecasts that were asked for and kept: the file holds all of the answer, `numbers` enough to write it again: float32
# (horizon, 10) in C order, the mean and the nine quantiles of each step. `removed_at`: its file is being taken away.
predictions = Table(
    "predictions",
    metadata,
    Column("prediction_id", String(32), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("scope", String(280), nullable=False),
    Column("version", Integer, nullable=False),
    Column("algorithm", String(64), nullable=False),
    Column("item_id", String(128)),
    Column("store_id", String(128)),
    Column("category", Text),
    Column("first_day", Integer, nullable=False),  # days since 1970
    Column("horizon", Integer, nullable=False),
    Column("period", String(8), nullable=False),  # day | week
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("file", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("numbers", LargeBinary, nullable=False),
    Column("removed_at", BigInteger),
    Index(None, "item_id", "created_at"),
    Index(None, "model", "scope", "version"),
)

# Promotions, holidays and closed days, past and planned; days since 1970, both ends included. Null: everywhere.
calendar = Table(
    "calendar",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),  # promotion | holiday | closed
    Column("name", Text, nullable=False),
    Column("from_day", Integer, nullable=False),
    Column("to_day", Integer, nullable=False),
    Column("item_ids", JSON(none_as_null=True)),
    Column("store_ids", JSON(none_as_null=True)),
    Column("discount", Float),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String(128), nullable=False),
    Index(None, "from_day"),
)

# Numbers of a day: temperature, fuel_price ...; of a store or all (-1), of an item or all (-1).
day_facts = Table(
    "day_facts",
    metadata,
    Column("store_row", Integer, primary_key=True, autoincrement=False),
    Column("item_row", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("fact", String(32), primary_key=True),
    Column("value", Float, nullable=False),
    Index(None, "day"),
)

# `subject` is what is tried, `scenario:NAME` or `model:NAME:SCOPE`; `plan` what was asked for, `state` how it stands.
experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("layer", String(64), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("status", String(16), nullable=False),  # draft | running | paused | done
    Column("version", Integer, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("state", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(128), nullable=False),
    Index(None, "status"),
)

# Who was answered by which variant, once a phase: a change of weights begins a new one. `exposed_seq` is the newest
# event of that moment. `moved`: the variant is not the one that the id draws, it came with a visitor or a merged user.
experiment_units = Table(
    "experiment_units",
    metadata,
    Column("experiment_id", String(32), primary_key=True),
    Column("phase", Integer, primary_key=True, autoincrement=False),
    Column("user_row", Integer, ForeignKey("users.row"), primary_key=True, autoincrement=False),
    Column("variant", Integer, nullable=False),
    Column("exposed_at", BigInteger, nullable=False),
    Column("exposed_seq", BigInteger, nullable=False),
    Column("moved", Boolean, nullable=False),
    Index(None, "user_row"),
)

# What an own page or till tells of a user for one experiment, beside the events of the log.
experiment_events = Table(
    "experiment_events",
    metadata,
    Column("position", _BigKey, primary_key=True),
    Column("experiment_id", String(32), nullable=False),
    Column("user_row", Integer, ForeignKey("users.row"), nullable=False),
    Column("metric", String(64), nullable=False),
    Column("value", Float, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index(None, "experiment_id", "metric"),
    Index(None, "user_row"),
)
