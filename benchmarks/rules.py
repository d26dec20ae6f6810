"""Rules on the customers of the bundled shop: one by one and in columns, beside other engines and hand-written code."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from benchmarks import record, rules_peers
from shopkeeper.core.batch import EventBatch
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import Condition, compiled, fields_of
from shopkeeper.profiles.defaults import RULES, SEGMENTS
from shopkeeper.profiles.fields import schema_of
from shopkeeper.profiles.people import Person
from shopkeeper.profiles.rfm import RfmScale, moments
from shopkeeper.profiles.sources import Many, One
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.columns import Columns
from shopkeeper.rules.schema import Schema
from shopkeeper.rules.vectors import TextColumn
from shopkeeper.sources.retail import ZONE, RetailData, RetailShop

ROUNDS = 5
MANY = 1_000_000
_LEAST_S = 0.25
_ABROAD = "net_spend >= 2000 and orders in 90 days >= 2 and not country in ['France', 'Germany']"
_PLAIN = ("champions", "loyal_customers", "new_customers", "big_spenders", "at_risk", "lost")
"""Default segments that need neither a model nor the catalogue."""
TEXTS = {rule.name: rule.condition for rule in RULES}
TEXTS |= {each.name: each.condition for each in SEGMENTS if each.name in _PLAIN}
TEXTS["abroad"] = _ABROAD  # the first example of docs/rules.md

Row: TypeAlias = dict[str, Any]
Answers: TypeAlias = NDArray[np.bool_]
"""(rules, customers)."""

# The same rules in plain Python, in the order of TEXTS. A missing number is NaN, which no comparison takes.
BY_HAND: tuple[Callable[[Row], bool], ...] = (
    lambda r: r["net_spend"] >= 2000 and r["orders"] >= 3,
    lambda r: r["orders"] >= 5 and r["tenure_days"] >= 180 and r["orders in 90 days"] >= 1,
    lambda r: r["order_lines"] > 0 and r["pieces"] / r["order_lines"] >= 25 and r["spend in 180 days"] >= 500,
    lambda r: r["orders"] >= 2 and r["days_since_order"] > max(90, 2 * r["days_between_orders"]),
    lambda r: r["recency_score"] >= 4 and r["frequency_score"] >= 4 and r["monetary_score"] >= 4,
    lambda r: (
        r["recency_score"] >= 3
        and r["frequency_score"] >= 4
        and not (r["recency_score"] >= 4 and r["monetary_score"] >= 4)
    ),
    lambda r: r["lifecycle"] == "new",
    lambda r: r["monetary_score"] == 5,
    lambda r: r["recency_score"] <= 2 and r["frequency_score"] >= 3,
    lambda r: r["recency_score"] == 1 and r["frequency_score"] <= 2,
    lambda r: (
        r["net_spend"] >= 2000
        and r["orders in 90 days"] >= 2
        and r["country"] is not None
        and r["country"] not in ("France", "Germany")
    ),
)


def main() -> None:
    state, people, now = shop()
    schema = schema_of(person.attributes for person in people)
    conditions = [compiled(text, schema) for text in TEXTS.values()]
    names = sorted(fields_of(conditions))
    table = _table(schema, state, people, now)
    rows = [table.row(frozenset(names), place) for place in range(len(people))]
    columns = Columns(len(people), {name: table[name] for name in names})
    many = Columns(MANY, {name: _repeated(columns.values[name], MANY) for name in names})
    record.write(
        "rules",
        "Rules on customers",
        f"{len(people):,} customers of UCI Online Retail at the end of the kept history; {len(TEXTS)} conditions: the "
        "four default rules, six of the default segments and the first example of docs/rules.md. All ways give the "
        "same answers for everybody, which is checked. Evaluations: rules x customers. Median of "
        f"{ROUNDS} rounds, the ways taking turns; one process. By hand: the same rules as Python lambdas, pandas and "
        "polars expressions on values that are there already (pandas on one thread, polars on all). The other engines "
        "run in an environment of "
        "their own, on the same rows ready in the form that each wants (cel-python on the first 300).",
        [
            _with_peers(_ways("One customer at a time", len(people), _one_by_one(conditions, rows)), conditions, rows),
            _ways(f"All {len(people):,} customers in columns", len(people), _in_columns(conditions, columns)),
            _ways(f"The same customers repeated to {MANY:,}", MANY, _in_columns(conditions, many)),
            _whole_way(state, people, now, schema, conditions),
        ],
        ["The last table begins at the events: windows, ratios and scores are computed too, then all rules are run."],
    )


# -- the customers


class _Types:
    """The event types of the bundled shop."""

    names = ("order", "return", "view")

    def id(self, row: int) -> str:
        return self.names[row]

    def row(self, id_: str, /) -> int | None:
        return self.names.index(id_) if id_ in self.names else None


def shop() -> tuple[FeatureState, list[Person], int]:
    """Every event of the kept history applied, the customers by row, and the moment at which the history ends (us)."""
    data = RetailShop().load(0)
    state = FeatureState(ZoneInfo(ZONE), _Types(), features=[])
    state.apply(_events(data))
    people = [
        Person(row, user["user_id"], {"country": user["country"]}, listed=True, removed=False)
        for row, user in enumerate(data.users.iter_rows(named=True))
    ]
    return state, people, data.opens_at


def _events(data: RetailData) -> EventBatch:
    kept, n = data.kept, data.kept.height
    users = pl.Enum(data.users["user_id"])
    items = pl.Enum(data.items["item_id"])
    return EventBatch(
        seq=np.arange(1, n + 1, dtype=np.int64),
        user=kept["user_id"].cast(users).to_physical().cast(pl.Int32).fill_null(-1).to_numpy(),
        item=kept["item_id"].cast(items).to_physical().cast(pl.Int32).to_numpy(),
        other=np.full(n, -1, dtype=np.int32),
        type=(kept["event_type"] == "return").cast(pl.Int32).to_numpy(),
        store=np.zeros(n, dtype=np.int32),
        time=kept["time"].to_numpy(),
        quantity=kept["quantity"].to_numpy(),
        unit_price=kept["unit_price"].to_numpy(),
        value=kept["value"].to_numpy(),
        promotion=np.zeros(n, dtype=np.bool_),
    )


def _table(schema: Schema, state: FeatureState, people: list[Person], now: int) -> ProfileTable:
    """Everybody's fields, with the bounds of the scores taken from everybody."""
    table = ProfileTable(schema, Many.everybody(state, now, len(people)), people)
    last = moments(table.number("days_since_order"), now)
    table.scale = RfmScale.of(last, table.number("orders"), table.number("net_spend"))
    return table


def _repeated(column: Any, n: int) -> Any:
    if isinstance(column, TextColumn):
        return TextColumn(np.resize(column.codes, n), column.words)
    return np.resize(column, n)


# -- the ways


def _one_by_one(conditions: list[Condition], rows: list[Row]) -> dict[str, Callable[[], Answers]]:
    ones = [condition.one for condition in conditions]
    return {
        "Shopkeeper, compiled from text": lambda: np.array([[one(row) for row in rows] for one in ones]),
        "Python lambdas, by hand": lambda: np.array([[rule(row) for row in rows] for rule in BY_HAND]),
    }


def _in_columns(conditions: list[Condition], columns: Columns) -> dict[str, Callable[[], Answers]]:
    in_pandas = pd.DataFrame({name: _plain(column) for name, column in columns.values.items()})
    in_polars = pl.from_pandas(in_pandas, nan_to_null=True)
    return {
        "Shopkeeper, compiled from text": lambda: np.array([condition.many(columns) for condition in conditions]),
        "pandas expressions, by hand": lambda: np.array([rule.to_numpy() for rule in _pandas(in_pandas)]),
        "polars expressions, by hand": lambda: in_polars.select(_polars()).to_numpy().T,
    }


def _plain(column: Any) -> Any:
    return pd.Categorical.from_codes(column.codes, list(column.words)) if isinstance(column, TextColumn) else column


def _pandas(t: pd.DataFrame) -> list[pd.Series[bool]]:
    recency, frequency, monetary = t["recency_score"], t["frequency_score"], t["monetary_score"]
    return [
        (t["net_spend"] >= 2000) & (t["orders"] >= 3),
        (t["orders"] >= 5) & (t["tenure_days"] >= 180) & (t["orders in 90 days"] >= 1),
        (t["pieces"] / t["order_lines"] >= 25) & (t["spend in 180 days"] >= 500),
        (t["orders"] >= 2) & (t["days_since_order"] > (2 * t["days_between_orders"]).clip(lower=90)),
        (recency >= 4) & (frequency >= 4) & (monetary >= 4),
        (recency >= 3) & (frequency >= 4) & ~((recency >= 4) & (monetary >= 4)),
        t["lifecycle"] == "new",
        monetary == 5,
        (recency <= 2) & (frequency >= 3),
        (recency == 1) & (frequency <= 2),
        (t["net_spend"] >= 2000)
        & (t["orders in 90 days"] >= 2)
        & t["country"].notna()
        & ~t["country"].isin(["France", "Germany"]),
    ]


def _polars() -> list[pl.Expr]:
    c = pl.col
    recency, frequency, monetary = c("recency_score"), c("frequency_score"), c("monetary_score")
    rules = [
        (c("net_spend") >= 2000) & (c("orders") >= 3),
        (c("orders") >= 5) & (c("tenure_days") >= 180) & (c("orders in 90 days") >= 1),
        (c("pieces") / c("order_lines") >= 25) & (c("spend in 180 days") >= 500),
        (c("orders") >= 2) & (c("days_since_order") > pl.max_horizontal(90, 2 * c("days_between_orders"))),
        (recency >= 4) & (frequency >= 4) & (monetary >= 4),
        (recency >= 3) & (frequency >= 4) & ~((recency >= 4) & (monetary >= 4)),
        c("lifecycle") == "new",
        monetary == 5,
        (recency <= 2) & (frequency >= 3),
        (recency == 1) & (frequency <= 2),
        (c("net_spend") >= 2000) & (c("orders in 90 days") >= 2) & ~c("country").is_in(["France", "Germany"]),
    ]
    return [rule.fill_null(False).alias(name) for rule, name in zip(rules, TEXTS, strict=True)]


def _whole_way(
    state: FeatureState, people: list[Person], now: int, schema: Schema, conditions: list[Condition]
) -> dict[str, Any]:
    needed = fields_of(conditions)
    scale = _table(schema, state, people, now).scale
    some = people[:: max(1, len(people) // 200)]

    def one_at_a_time() -> Answers:
        rows = [ProfileTable(schema, One(state, p.row, now), [p], scale).row(needed) for p in some]
        return np.array([[condition.one(row) for row in rows] for condition in conditions])

    def everybody() -> Answers:
        columns = _table(schema, state, people, now).columns()
        return np.array([condition.many(columns) for condition in conditions])

    assert (one_at_a_time() == everybody()[:, [p.row for p in some]]).all()
    taken = _timed({"one": one_at_a_time, "all": everybody})
    return {
        "title": f"From the events to the answers of all {len(conditions)} rules",
        "columns": ["way", "customers", "customers/s", "microseconds a customer"],
        "rows": [
            ["one customer, from the live state", len(some), len(some) / taken["one"], taken["one"] / len(some) * 1e6],
            ["everybody at once", len(people), len(people) / taken["all"], taken["all"] / len(people) * 1e6],
        ],
    }


def _with_peers(table: dict[str, Any], conditions: list[Condition], rows: list[Row]) -> dict[str, Any]:
    """The rows of the other engines, behind those of the table."""
    expected = np.array([[condition.one(row) for row in rows] for condition in conditions])
    mine = table["rows"][0][2]
    for name, seconds in rules_peers.measured(rows, expected, ROUNDS):
        table["rows"].append([name, 1 / seconds, seconds * 1e9, seconds * 1e9 / mine])
    return table


# -- measuring


def _ways(title: str, customers: int, ways: dict[str, Callable[[], Answers]]) -> dict[str, Any]:
    answers = {name: way() for name, way in ways.items()}
    first, *others = answers.values()
    assert all((first == other).all() for other in others), f"{title}: the ways do not agree"
    taken = _timed(ways)
    work = customers * len(TEXTS)
    mine = next(iter(taken.values()))
    rows = [[name, work / seconds, seconds / work * 1e9, seconds / mine] for name, seconds in taken.items()]
    return {
        "title": title,
        "columns": ["way", "rule evaluations/s", "nanoseconds each", "time beside Shopkeeper"],
        "rows": rows,
    }


def _timed(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds a call over ROUNDS rounds; a round calls each way until `_LEAST_S` has gone by."""
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            calls, started = 0, time.perf_counter()
            while (gone := time.perf_counter() - started) < _LEAST_S or not calls:
                way()
                calls += 1
            rounds[name].append(gone / calls)
    return {name: statistics.median(seconds) for name, seconds in rounds.items()}


if __name__ == "__main__":
    main()
