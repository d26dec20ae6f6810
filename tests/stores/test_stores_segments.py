import pytest

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Stale
from shopkeeper.core.records import Segment
from shopkeeper.stores.etags import etag
from shopkeeper.stores.segments import SEGMENTS, SegmentStore
from shopkeeper.stores.sql import Database


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(1_000_000)


@pytest.fixture
def store(db: Database, clock: StoppedClock) -> SegmentStore:
    return SegmentStore(db, clock)


def segment(name: str = "vip", condition: str = "spend > 1", **more: object) -> Segment:
    return Segment(name=name, condition=condition, **more)


def test_create_get_all(store: SegmentStore) -> None:
    made = store.create(segment(description="d")).result()
    assert (made.version, made.description) == (1, "d")
    assert store.get("vip") == made
    assert store.all() == [made]
    assert store.changes == 1


def test_a_taken_name_is_a_conflict(store: SegmentStore) -> None:
    store.create(segment()).result()
    with pytest.raises(Conflict, match="exists already"):
        store.create(segment()).result()


def test_update_with_if_match(store: SegmentStore) -> None:
    first = store.create(segment(description="d")).result()
    second = store.update("vip", condition="spend > 2", if_match=etag(first.updated_at)).result()
    assert (second.version, second.condition, second.description) == (2, "spend > 2", "d")
    with pytest.raises(Stale):
        store.update("vip", condition="spend > 3", if_match=etag(first.updated_at)).result()


def test_the_etag_of_a_segment_made_anew_is_another(store: SegmentStore, clock: StoppedClock) -> None:
    first = store.create(segment()).result()
    store.delete("vip").result()
    clock.advance(1)
    second = store.create(segment()).result()
    assert etag(first.updated_at) != etag(second.updated_at)
    with pytest.raises(Stale):
        store.delete("vip", if_match=etag(first.updated_at)).result()


def test_unknown_and_bad_names(store: SegmentStore) -> None:
    for ask in (lambda: store.get("x"), lambda: store.delete("x").result(), lambda: store.update("x").result()):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(Invalid):
        store.create(segment("a/b"))


def test_add_missing(store: SegmentStore) -> None:
    store.create(segment("a", "spend > 5")).result()
    assert store.add_missing([segment("a"), segment("b")]).result() == 1
    assert store.get("a").condition == "spend > 5"


def test_there_are_so_many_segments_and_no_more(store: SegmentStore) -> None:
    store.add_missing([segment(f"s{n}") for n in range(SEGMENTS)]).result()
    with pytest.raises(Conflict, match="1000 segments"):
        store.create(segment("one more")).result()
    store.delete("s0").result()
    assert store.create(segment("one more")).result().version == 1
