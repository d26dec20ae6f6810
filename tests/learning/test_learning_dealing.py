"""Rows are held out by what stands in them."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.learning.dealing import lots, stratified


def table(n: int = 2000) -> pl.DataFrame:
    draw = np.random.default_rng(3)
    return pl.DataFrame(
        {
            "a": draw.normal(size=n),
            "b": draw.integers(0, 50, n),
            "name": [f"猫 {value}" for value in draw.integers(0, 300, n)],
            "label": draw.random(n) < 0.3,
        }
    )


def held(frame: pl.DataFrame, seed: int = 42) -> set[tuple]:
    label = frame["label"].cast(pl.Float32).to_numpy()
    return set(frame.filter(pl.Series(stratified(label, 0.2, lots(frame, seed)))).rows())


@given(st.integers(0, 2**31 - 1))
def test_a_fifth_of_each_label_whatever_the_seed(seed):
    frame = table(300)
    label = frame["label"].cast(pl.Float32).to_numpy()
    chosen = stratified(label, 0.2, lots(frame, seed))
    for value in (0.0, 1.0):
        of_label = label == value
        assert chosen[of_label].sum() == round(of_label.sum() * 0.2)


def test_the_order_and_the_types_of_a_source_change_nothing():
    frame = table()
    assert held(frame.sample(fraction=1.0, shuffle=True, seed=1)) == held(frame)
    as_database = frame.with_columns(pl.col("b").cast(pl.Float64), pl.col("label").cast(pl.Int64)).select(
        "label", "name", "b", "a"
    )
    assert len(lots(as_database, 42)) == frame.height
    assert (lots(as_database, 42) == lots(frame, 42)).all()


def test_rows_that_were_added_move_next_to_none_of_the_old_ones():
    frame = table()
    older = frame[:1600]
    moved = held(older) - held(frame)
    assert len(moved) < 0.1 * len(held(older))


def test_equal_rows_stay_together_and_seeds_differ():
    frame = pl.concat([table(500), table(500)])
    drawn = lots(frame, 42)
    assert (drawn[:500] == drawn[500:]).all()
    assert held(table(), 1) != held(table(), 2)


def test_lots_are_spread_evenly():
    drawn = lots(table(20_000), 7).astype(np.float64) / 2.0**64
    assert abs(drawn.mean() - 0.5) < 0.01
    assert np.histogram(drawn, 10, (0, 1))[0].min() > 1800
