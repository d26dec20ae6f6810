import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.core.batch import EventBatch

ROW = st.tuples(
    st.integers(1, 1000),
    *[st.one_of(st.none(), st.integers(0, 50)) for _ in range(5)],
    st.integers(0, 10**15),
    *[st.one_of(st.none(), st.floats(-1e6, 1e6)) for _ in range(3)],
    st.one_of(st.none(), st.booleans()),
)


@given(st.lists(ROW, max_size=20), st.lists(ROW, max_size=20))
def test_joining_batches_equals_one_batch_of_all_rows(first, second):
    joined = EventBatch.join([EventBatch.from_rows(first), EventBatch.from_rows(second)])
    whole = EventBatch.from_rows(first + second)
    for name in EventBatch.__slots__:
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))


def test_missing_values_become_none_markers():
    batch = EventBatch.from_rows([(1, None, None, None, 3, None, 5, None, None, None, None)])
    assert batch.user[0] == batch.item[0] == batch.other[0] == batch.store[0] == -1
    assert np.isnan(batch.quantity[0])
    assert not batch.promotion[0]


@given(st.lists(ROW, max_size=30))
def test_by_time_keeps_log_order_among_equals(rows):
    batch = EventBatch.from_rows([(seq, *row[1:]) for seq, row in enumerate(rows, start=1)])
    ordered = batch.by_time()
    pairs = list(zip(ordered.time.tolist(), ordered.seq.tolist(), strict=True))
    assert pairs == sorted(pairs)


def test_an_empty_batch_has_all_columns():
    batch = EventBatch.empty()
    assert len(batch) == 0
    assert batch.time.dtype == np.int64
