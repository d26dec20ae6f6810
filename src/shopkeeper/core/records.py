"""The records that cross rooms: wire, log, cache and client carry the same ones. Shapes: docs/architecture.md."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct, field


class Record(Struct, kw_only=True, forbid_unknown_fields=False):
    """Base of every record: keyword-only, decoded strictly, unknown fields ignored."""


# -- events, users, items ------------------------------------------------------------------------------------


class Event(Record, kw_only=True, omit_defaults=True):
    """A user does `event_type` to a target at a time. Both ids null: a sale without a known customer.

    `item_id` is accepted for a target of kind product. `quantity` in pieces, negative for a return; `unit_price` and
    `value` in the shop's currency; `time` null means now.
    """

    event_type: str
    user_id: str | None = None
    anonymous_id: str | None = None
    target_id: str | None = None
    target_kind: str = "product"
    item_id: str | None = None
    event_id: str | None = None
    store_id: str | None = None
    time: datetime | None = None
    quantity: float | None = None
    unit_price: float | None = None
    value: float | None = None
    promotion: str | None = None
    context: dict[str, Any] = field(default_factory=dict)


class StoredEvent(Event, kw_only=True):
    """An event with its place in the log."""

    seq: int


class Rejection(Record, kw_only=True):
    index: int
    reason: str


class Accepted(Record, kw_only=True):
    accepted: int
    duplicates: int
    rejected: list[Rejection] = field(default_factory=list)


class User(Record, kw_only=True):
    user_id: str
    attributes: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Identity(Record, kw_only=True):
    """Who a user is besides its id: visitors bound to it, users merged into it (through others too), sorted."""

    user_id: str
    anonymous_ids: list[str] = field(default_factory=list)
    merged_from: list[str] = field(default_factory=list)


class Identified(Identity, kw_only=True):
    """What a change has come to. `moved_events`: how many events it gave to the user; 0 when it was known already."""

    moved_events: int = 0


class Consent(Record, kw_only=True):
    """What a user agrees to. `updated_at` null: never asked, the shop's default counts."""

    personalization: bool
    profiling: bool
    marketing: bool
    updated_at: datetime | None = None


class UserProfile(Record, kw_only=True):
    """`features`: the record's attributes and computed numbers; `preferences`: `{stated, learned}`; `behavior_history`:
    the last 50 events, newest first; `embedding`: `{space, version}` of the published vectors, of the
    graph's also `as_of` (real time) and `pending` (an event waits to be taken in); null without any.
    """

    user_id: str
    features: dict[str, Any] = field(default_factory=dict)
    preferences: dict[str, Any] = field(default_factory=dict)
    behavior_history: list[dict[str, Any]] = field(default_factory=list)
    last_updated: datetime | None = None
    embedding: dict[str, Any] | None = None


class Item(Record, kw_only=True):
    """`price` is the current list price in the shop's currency; an inactive item is never suggested."""

    item_id: str
    name: str
    kind: str = "product"
    category: str | None = None
    price: float | None = None
    active: bool = True
    attributes: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Store(Record, kw_only=True):
    store_id: str
    name: str = ""
    location: str = ""
    size: float | None = None
    type: str = ""
    opening_date: str | None = None
    status: str = "open"


class StockLevel(Record, kw_only=True):
    """Pieces on hand and on order; `simulated` marks levels that no one counted."""

    store_id: str
    item_id: str
    on_hand: float
    on_order: float = 0.0
    lead_time_days: float = 7.0
    as_of: datetime | None = None
    simulated: bool = False


# -- rules, segments, explanations ---------------------------------------------------------------------------


class Rule(Record, kw_only=True):
    """`weight` is added to the score of whom it matches; `action`, where there is one, is suggested for them."""

    name: str
    condition: str
    description: str = ""
    weight: float = 1.0
    action: str = ""
    version: int = 1
    updated_at: datetime | None = None
    updated_by: str = ""


class Segment(Record, kw_only=True):
    name: str
    condition: str
    description: str = ""
    version: int = 1
    size: int = 0
    updated_at: datetime | None = None


class RuleTrace(Record, kw_only=True):
    """One rule on one user: did it match, and why in the rule's own terms."""

    name: str
    matched: bool
    weight: float
    value: float
    why: str
    what_would_change: str | None = None


class Audit(Record, kw_only=True):
    """The same game played by another library; `largest_difference` from `shap_values` of the explanation."""

    library: str
    explainer: str
    shap_values: dict[str, float]
    base_value: float
    largest_difference: float


class Explanation(Record, kw_only=True):
    """base_value + sum(shap_values) = final_score, exactly. Scores are logits; `probability` is their sigmoid.

    `level` and `game` say who the players are and what is shared out, see docs/explanations.md. `rules_matched` of
    `rules_total` rules match; `rule_details` holds them and the nearest that do not, of very many rules not all.
    """

    user_id: str
    final_score: float
    shap_values: dict[str, float]
    top_positive: list[tuple[str, float]]
    top_negative: list[tuple[str, float]]
    gate: float
    f_rule: float
    f_nn: float
    rule_details: list[RuleTrace]
    base_value: float
    probability: float
    versions: dict[str, str | None]
    level: str = "groups"
    game: str = "rules"
    sentences: list[str] = field(default_factory=list)
    rules_total: int = 0
    rules_matched: int = 0
    audit: Audit | None = None


# -- recommendation ------------------------------------------------------------------------------------------


class RecFilters(Record, kw_only=True):
    categories: list[str] | None = None
    kinds: list[str] | None = None
    price_min: float | None = None
    price_max: float | None = None
    exclude_items: list[str] = field(default_factory=list)


class RecRequest(Record, kw_only=True):
    user_id: str
    context: dict[str, Any] = field(default_factory=dict)
    n_recommendations: int = 10
    scenario: str = "content"
    filters: RecFilters | None = None
    use_cache: bool = True
    diversity_weight: float | None = None
    deadline_ms: int | None = None
    model: str | None = None
    debug: bool = False


class RecItem(Record, kw_only=True):
    """`score` is the ranker's; `confidence` its calibrated probability, null when no ranker answered."""

    item_id: str
    score: float
    confidence: float | None
    explanation: str
    metadata: dict[str, Any] = field(default_factory=dict)


class RecResponse(Record, kw_only=True):
    request_id: str
    user_id: str
    recommendations: list[RecItem]
    latency_ms: float
    model_version: str
    scenario: str
    cache_hit: bool
    timestamp: datetime
    degraded: bool = False
    explanation: str | None = None
    stages: dict[str, float] = field(default_factory=dict)
    debug_info: dict[str, Any] | None = None


class Feedback(Record, kw_only=True):
    user_id: str
    item_id: str
    feedback_type: str
    feedback_value: float = 1.0
    context: dict[str, Any] = field(default_factory=dict)
    timestamp: datetime | None = None
    request_id: str | None = None


# -- forecast ------------------------------------------------------------------------------------------------

QUANTILES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


class HistoryPoint(Record, kw_only=True):
    """`ds` a local day (ISO date), `y` pieces sold on it."""

    ds: str
    y: float


class ForecastPoint(Record, kw_only=True):
    """`quantiles` maps "0.025" ... "0.975" to pieces; they never cross."""

    ds: str
    mean: float
    quantiles: dict[str, float]


class Forecast(Record, kw_only=True):
    """`assumed`: what of the future was not known and was taken as usual; `saw_it`: the version was trained on days
    that it forecasts here, as can be when the first of them lies in the past."""

    item_id: str | None
    model: str
    version: int
    history: list[HistoryPoint]
    forecast: list[ForecastPoint]
    beats_naive: bool
    scope: str = "product"
    store_id: str | None = None
    fallback: str | None = None
    category: str | None = None
    period: Literal["day", "week"] = "day"
    saw_it: bool = False
    assumed: list[str] = field(default_factory=list)


CALENDAR_KINDS = ("promotion", "holiday", "closed")


class CalendarEntry(Record, kw_only=True):
    """A promotion, holiday or closed time from one local day to another (ISO dates, both included). Null: all items,
    all stores. `discount`: share of the price that a promotion takes off."""

    id: str = ""
    kind: Literal["promotion", "holiday", "closed"]
    name: str
    from_: str = field(name="from")
    to: str
    item_ids: list[str] | None = None
    store_ids: list[str] | None = None
    discount: float | None = None


class SalesExplanation(Record, kw_only=True):
    """Why a forecast is what it is, in pieces over its whole horizon: base_value + sum(values) = total, exactly.

    `names` are the five groups in their order; a group that the model does not see has the value 0.
    """

    base_value: float
    values: dict[str, float]
    names: list[str]
    total: float
    horizon: int
    units: str = "units sold"
    text: str = ""
    item_id: str | None = None
    store_id: str | None = None
    model: str | None = None
    version: int | None = None


class Trend(Record, kw_only=True):
    """A straight line through pieces a day: `slope` pieces more each day, `r2`, and `p_value` of a slope of zero.

    `type` is up or down where p < 0.05, else flat. `volatility` is standard deviation / mean: low below 0.3, high from
    0.7 on. `p_value` is null for fewer than three days.
    """

    slope: float
    type: Literal["up", "down", "flat"]
    r2: float
    p_value: float | None
    volatility: float
    level: Literal["low", "medium", "high"]


class DayChange(Record, kw_only=True):
    """Against the day before, the first against the last day sold; `percent` null where that day had none."""

    ahead: int
    change: float
    percent: float | None


class Factor(Record, kw_only=True):
    name: str
    units: float


class Analysis(Record, kw_only=True):
    """Figures about a forecast and what came before it. `trend` is the forecast's, `past_trend` of the history."""

    trend: Trend
    past_trend: Trend | None
    statistics: dict[str, float | None]
    day_over_day: list[DayChange]
    factors: list[Factor]
    text: str


# -- lifecycle -----------------------------------------------------------------------------------------------

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: frozenset[str] = frozenset({"done", "failed", "cancelled"})


class Progress(Record, kw_only=True):
    step: int = 0
    of: int = 0
    percent: float = 0.0
    epoch: int | None = None
    message: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


class Job(Record, kw_only=True):
    job_id: str
    job_url: str
    kind: str
    status: JobStatus
    params: dict[str, Any] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    requested_by: str = ""
    result: dict[str, Any] | None = None
    error: str | None = None


class JobEvent(Record, kw_only=True):
    """One numbered message of a job: progress, epoch, log, status or done."""

    seq: int
    type: str
    job_id: str
    timestamp: datetime
    data: dict[str, Any]


class Gate(Record, kw_only=True):
    verdict: Literal["PROMOTE", "HOLD", "REJECT"]
    reasons: list[str]


class FileEntry(Record, kw_only=True):
    name: str
    sha256: str
    bytes: int


class Version(Record, kw_only=True):
    """`label` is its name beside the number: given at its training, else the time stamp of its making."""

    model: str
    scope: str
    version: int
    algorithm: str
    status: str
    aliases: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    gate: Gate | None = None
    params: dict[str, Any] = field(default_factory=dict)
    feature_names: list[str] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    code_version: str = ""
    created_at: datetime | None = None
    created_by: str = ""
    job_id: str | None = None
    label: str = ""


class ModelInfo(Record, kw_only=True):
    name: str
    scope: str
    algorithm: str
    task: str
    aliases: dict[str, int] = field(default_factory=dict)
    versions: int = 0


class AlgorithmInfo(Record, kw_only=True):
    """`continues`: a training can go on from a version of the same model (`start_from`)."""

    name: str
    task: str
    description: str
    tags: list[str]
    available: bool
    params_schema: dict[str, Any]
    knows_new_users: bool
    knows_new_items: bool
    needs: str | None = None
    continues: bool = False


def encode(record: Any) -> bytes:
    """JSON bytes of any record, list or plain value. NaN and infinities are not representable and become null."""
    return msgspec.json.encode(record)
