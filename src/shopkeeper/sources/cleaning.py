"""The cleaning rules of the bundled shop, in the open: an ordered list, each counted, none silent.

A row is judged by the first rule that meets it. `docs/data.md` shows the counts, a test keeps the page honest.
Columns in: row, invoice, item_id, description, quantity, local (naive shop time), unit_price, user_id, country.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

NON_PRODUCTS = ("POST", "DOT", "C2", "M", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS")
VOID_WITHIN = timedelta(hours=24)

SERVICES = r"(?i)gift voucher|carriage|packing charge|high resolution image"

Rule = tuple[str, str, Callable[["pl.DataFrame"], "pl.Series"]]


@dataclass(frozen=True)
class Step:
    """What one rule did: `rows` rows were dropped (or turned into a return, where `effect` says so)."""

    rule: str
    rows: int
    effect: str
    explanation: str


@dataclass(frozen=True)
class CleaningReport:
    """read = the dropped rows of all steps + orders + returns."""

    read: int
    steps: tuple[Step, ...]
    orders: int
    returns: int

    @property
    def dropped(self) -> int:
        return sum(step.rows for step in self.steps if step.effect == "dropped")

    def table(self) -> str:
        """The Markdown table of docs/data.md."""
        lines = ["| rule | rows | effect | what it meets |", "|---|---:|---|---|"]
        lines.append(f"| read | {self.read:,} | | every line of the file |")
        lines += [f"| {s.rule} | {s.rows:,} | {s.effect} | {s.explanation} |" for s in self.steps]
        lines.append(f"| kept | {self.orders:,} | `order` | sales, identical lines of one invoice included |")
        return "\n".join(lines)


def clean(lines: pl.DataFrame) -> tuple[pl.DataFrame, CleaningReport]:
    """The lines that are sales or returns, with `event_type` added, in file order; and what was done to the rest."""
    import polars as pl

    steps = []
    left = lines
    for name, explanation, meets in _RULES:
        hit = meets(left)
        steps.append(Step(name, int(hit.sum()), "dropped", explanation))
        left = left.filter(~hit)
    cancelled = _is_cancellation(left)
    returns = int(cancelled.sum())
    steps.append(Step("cancellation", returns, "`return`", "a remaining line of an invoice that begins with C"))
    kept = left.with_columns(
        pl.when(cancelled).then(pl.lit("return")).otherwise(pl.lit("order")).alias("event_type"),
    )
    return kept, CleaningReport(lines.height, tuple(steps), kept.height - returns, returns)


def _is_cancellation(lines: pl.DataFrame) -> pl.Series:
    return lines["invoice"].str.starts_with("C")


def _adjustment(lines: pl.DataFrame) -> pl.Series:
    return lines["user_id"].is_null() & (lines["unit_price"] == 0)


def _non_product(lines: pl.DataFrame) -> pl.Series:
    return lines["item_id"].is_in(NON_PRODUCTS) | lines["description"].str.contains(SERVICES).fill_null(False)


def _no_price(lines: pl.DataFrame) -> pl.Series:
    return lines["unit_price"] <= 0


def _voided(lines: pl.DataFrame) -> pl.Series:
    """True for an order line and the cancellation that took it back; each line is used once, the latest order first."""
    import polars as pl

    key = ["user_id", "item_id", "pieces"]
    known = lines.with_columns(pl.col("quantity").abs().alias("pieces"), pl.int_range(pl.len()).alias("at"))
    known = known.filter(pl.col("user_id").is_not_null())
    cancelled = known.filter(pl.col("invoice").str.starts_with("C"))
    both = known.join(cancelled.select(key).unique(), on=key, how="semi").sort("local", "at")
    open_orders: dict[tuple[str, str, int], list[tuple[int, object]]] = {}
    voided: list[int] = []
    for user, item, pieces, at, local, quantity in both.select(*key, "at", "local", "quantity").iter_rows():
        waiting = open_orders.setdefault((user, item, pieces), [])
        if quantity > 0:
            waiting.append((at, local))
        elif waiting and local - waiting[-1][1] <= VOID_WITHIN:
            voided += [waiting.pop()[0], at]
    return pl.int_range(lines.height, eager=True).is_in(voided)


_RULES: tuple[Rule, ...] = (
    ("adjustment", "no customer and no price: stock counts, damages, found goods", _adjustment),
    (
        "non-product",
        "codes POST, DOT, C2, M, D, S, B, BANK CHARGES, AMAZONFEE, CRUK, PADS; vouchers, carriage, packing, images",
        _non_product,
    ),
    ("no price", "unit price zero or less: given away", _no_price),
    (
        "voided order",
        "an order and its cancellation: same customer, item and pieces, within 24 hours",
        _voided,
    ),
)
