"""Rounds from the shop's own log: what its scenarios drew for the slots of slates, once it is known what it earned."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.explore.context import BIAS
from shopkeeper.recommend.explore.rows import PolicyRows
from shopkeeper.stores import exploring
from shopkeeper.stores.exploring import ExploredRow
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.vocabulary import Vocabularies, Vocabulary

_TELL_EVERY = 1000
Wanted: TypeAlias = Callable[[ExploredRow], bool]


def shop_rounds(
    sql_url: str,
    report: Report,
    *,
    scenario: str | None = None,
    since: int = 0,
    until: int = 2**62,
    wanted: Wanted | None = None,
) -> tuple[PolicyRows, dict[str, Any]]:
    """(rounds, facts) of slates made in [since, until], us of the shop's clock; one slate is one cluster. Of rounds
    whose policies read different contexts, those stay that read what was read most. `wanted`: only such slates.

    Raises Invalid (`no_rounds`) where nothing was explored whose time is over.
    """
    db = open_database(sql_url, read_only=True)
    try:
        with db.read() as connection:
            slates = []
            for row in exploring.learned_rows(connection, scenario, since=since, until=until):
                if wanted is not None and not wanted(row):
                    continue
                slates.append(row)
                if len(slates) % _TELL_EVERY == 0:
                    report(len(slates), 2 * len(slates), message="reading what was explored")
        names = Vocabularies.load(db).items
    finally:
        db.close()
    if not slates:
        where = "" if scenario is None else f" in the scenario {scenario!r}"
        raise Invalid(
            f"nothing was explored{where} whose time is over: give a scenario `explore`, and wait until its "
            "attribution window has passed",
            code="no_rounds",
        )
    kept = sorted(_alike(slates), key=lambda row: row.made_at)
    rows = _rounds(kept, names)
    facts = {
        "name": scenario or "all scenarios",
        "slates": len(kept),
        "slates_left_out": len(slates) - len(kept),
        "policies": dict(Counter(row.policy for row in kept)),
        "context": list(rows.context_names),
        "fingerprint": _fingerprint(rows),
    }
    return rows, facts


def _alike(slates: list[ExploredRow]) -> list[ExploredRow]:
    """Those that read the same context as most."""
    most = Counter(map(_read, slates)).most_common(1)[0][0]
    return [row for row in slates if _read(row) == most]


def _read(row: ExploredRow) -> tuple[str, ...]:
    return (BIAS, *row.asked.get("context", ())) if row.context is not None else ()


def _rounds(slates: list[ExploredRow], items: Vocabulary) -> PolicyRows:
    """Arms are the items that could be drawn somewhere, in the order of their rows."""
    counts = [len(row.places) for row in slates]
    offered = _stacked([row.offered for row in slates])
    known = np.unique(offered[offered >= 0])
    place = np.full(int(known[-1]) + 2, -1, dtype=np.int32)  # the last: no item
    place[known] = np.arange(len(known), dtype=np.int32)
    pool = place[offered]
    context = None
    if slates[0].vector is not None:
        context = np.repeat(np.stack([_vector(row) for row in slates]), counts, axis=0)
    return PolicyRows(
        arm_ids=tuple(items.ids(known.tolist())),
        arm=place[np.concatenate([row.items for row in slates])],
        reward=np.concatenate([_earned(row) for row in slates]),
        propensity=np.concatenate([row.propensities for row in slates]),
        slot=np.concatenate([row.places for row in slates]),
        cluster=np.repeat(np.arange(len(slates)), counts),
        time=np.repeat(np.array([row.made_at for row in slates], dtype=np.int64), counts),
        context=context,
        pool=pool,
        greedy=pool[:, 0].copy(),
        context_names=_read(slates[0]),
    ).check()


def _stacked(pools: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Pools of different widths as one, filled up with -1."""
    found = np.full((sum(len(pool) for pool in pools), max(pool.shape[1] for pool in pools)), -1, dtype=np.int32)
    at = 0
    for pool in pools:
        found[at : at + len(pool), : pool.shape[1]] = pool
        at += len(pool)
    return found


def _vector(row: ExploredRow) -> NDArray[np.float64]:
    assert row.vector is not None
    return row.vector


def _earned(row: ExploredRow) -> NDArray[np.float64]:
    assert row.earned is not None
    return row.earned


def _fingerprint(rows: PolicyRows) -> str:
    digest = hashlib.sha256()
    for column in (rows.arm, rows.reward, rows.propensity, rows.time):
        digest.update(column.tobytes())
    return digest.hexdigest()
