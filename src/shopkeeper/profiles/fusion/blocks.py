"""Training rows as of past moments: who was a customer then, what was known of them, what they did in 30 days.

now - 30 days    holdout: never trained on
now - 60 days    validation: when to stop, and the calibration
now - 90, 120 .. training, up to six blocks

The labels of a block end where the next block begins. The log is replayed in order of time, so that at a cutoff the
state is the one that a live shop had at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, rfc3339
from shopkeeper.core.errors import Conflict
from shopkeeper.core.protocols import Report
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.fusion.inputs import Facts, facts, matches
from shopkeeper.profiles.fusion.past import ShopPast
from shopkeeper.profiles.rfm import RfmScale, moments
from shopkeeper.profiles.sources import Many
from shopkeeper.profiles.table import ProfileTable

HORIZON_DAYS = 30
ALIVE_DAYS = 365
"""Who did nothing for longer is not scored by what others do: no training row."""
MOST_BLOCKS = 6
LEAST_BLOCK = 20
"""Customers of a block at least; a block of fewer says nothing."""
MOST_HELD = 20_000


@dataclass(frozen=True)
class Block:
    """Customers at one cutoff (us): `rows` of the shop (n,), what was known, and what followed within 30 days:
    `ordered` 0 or 1 (n,), `spend` in currency (n,). `matches`: how many of them each rule matches, by its name."""

    cutoff: int
    rows: NDArray[np.int64]
    facts: Facts
    ordered: NDArray[np.float64]
    spend: NDArray[np.float64]
    matches: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Cutoffs:
    """Moments in us; `training` ascending."""

    training: tuple[int, ...]
    validation: int
    holdout: int


def cutoffs(first: int, now: int) -> Cutoffs:
    """Of a log that begins at `first`. Raises Conflict when it is too short for one training block."""
    month = HORIZON_DAYS * DAY
    training = [now - k * month for k in range(3, 3 + MOST_BLOCKS) if now - k * month >= first + month]
    if not training:
        raise Conflict(
            f"a fusion model needs data of at least {4 * HORIZON_DAYS} days before now: the log begins at "
            f"{rfc3339(first)}; train it later",
            code="needs_data",
        )
    return Cutoffs(tuple(reversed(training)), now - 2 * month, now - month)


def blocks(
    past: ShopPast,
    at: Cutoffs,
    *,
    sample_size: int,
    seed: int,
    report: Report,
) -> tuple[list[Block], Block, Block]:
    """(training, validation, holdout). Training rows are at most `sample_size` in all, drawn evenly from the blocks.

    Users who refused profiling are not among them. Raises Conflict when there are too few rows.
    """
    random = np.random.default_rng(seed)
    cuts = (*at.training, at.validation, at.holdout)
    share, rest = divmod(sample_size, len(at.training))
    early = len(at.training) - rest
    made: list[Block] = []
    for number, (cutoff, state) in enumerate(_replayed(past, cuts)):
        report(number, len(cuts), message="looking at past months")
        scale, customers = _as_of(past, state, cutoff)
        most = share + (number >= early) if number < len(at.training) else MOST_HELD
        chosen = customers if len(customers) <= most else np.sort(random.choice(customers, most, replace=False))
        made.append(_block(past, state, scale, cutoff, chosen))
    training = [block for block in made[:-2] if len(block) >= min(LEAST_BLOCK, share)]
    validation, holdout = made[-2:]
    _check(training, validation, holdout)
    return training, validation, holdout


def table_at(past: ShopPast, state: FeatureState, cutoff: int) -> tuple[ProfileTable, NDArray[np.bool_]]:
    """(the profile of everybody at a moment with the RFM scale of that moment, who counts as a customer). Who refused
    profiling does not count, and is not on the scale."""
    n = state.n_users
    table = ProfileTable(past.schema, Many.everybody(state, cutoff, n), [past.person(row) for row in range(n)])
    count = past.people.members(n, table.number("total_events") > 0)
    count[[row for row in past.refused if row < n]] = False
    orders = np.where(count, table.number("orders"), 0.0)
    table.scale = RfmScale.of(moments(table.number("days_since_order"), cutoff), orders, table.number("net_spend"))
    return table, count


def _as_of(past: ShopPast, state: FeatureState, cutoff: int) -> tuple[RfmScale | None, NDArray[np.int64]]:
    table, count = table_at(past, state, cutoff)
    count &= table.number(f"total_events in {ALIVE_DAYS} days") > 0
    return table.scale, np.flatnonzero(count)


def _block(past: ShopPast, state: FeatureState, scale: RfmScale | None, cutoff: int, rows: NDArray[np.int64]) -> Block:
    people = [past.person(row) for row in rows.tolist()]
    table = ProfileTable(past.schema, Many.some(state, rows, cutoff), people, scale)
    known = facts(table, past.rules, state, rows)
    ordered, spend = outcome(past, cutoff, rows)
    return Block(cutoff, rows, known, ordered, spend, matches(past.rules, table.columns()))


def outcome(past: ShopPast, cutoff: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(ordered 0 or 1 (n,), spend in currency (n,)) after `cutoff`, up to and including 30 days later."""
    events = past.events
    later = (events.time > cutoff) & (events.time <= cutoff + HORIZON_DAYS * DAY) & (events.user >= 0)
    bought = np.flatnonzero(later & past.are("order"))
    user = events.user[bought]
    size = int(max(user.max(initial=-1), rows.max(initial=-1))) + 1
    value = np.where(np.isnan(events.value), events.quantity * events.unit_price, events.value)[bought]
    ordered = (np.bincount(user, minlength=size) > 0).astype(np.float64)
    spend = np.bincount(user, np.maximum(np.nan_to_num(value), 0.0), size).astype(np.float64)
    return ordered[rows], spend[rows]


def _replayed(past: ShopPast, cuts: tuple[int, ...]) -> Iterator[tuple[int, FeatureState]]:
    """Each moment with the state that holds what lies up to and including it."""
    state, done = past.state, 0
    for moment in cuts:
        end = int(np.searchsorted(past.events.time, moment, side="right"))
        state.apply(past.events.take(slice(done, end)))
        done = end
        yield moment, state


def _check(training: list[Block], validation: Block, holdout: Block) -> None:
    for name, found in (("training", training), ("validation", [validation]), ("holdout", [holdout])):
        rows = sum(len(block) for block in found)
        ordered = int(sum(block.ordered.sum() for block in found))
        if rows < LEAST_BLOCK or not 0 < ordered < rows:
            raise Conflict(
                f"a fusion model needs data: its {name} rows are {rows} customers of whom {ordered} ordered within "
                f"{HORIZON_DAYS} days, expected at least {LEAST_BLOCK} customers, some who did and some who did not; "
                f"train it {'with a larger sample_size, or ' if name == 'training' else ''}when the shop has sold more",
                code="needs_data",
            )
