import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.stores.day_facts import ALL, DayFact, DayFactStore, plain_fact
from shopkeeper.stores.sql import Database


@pytest.fixture
def facts(db: Database) -> DayFactStore:
    return DayFactStore(db)


def told(facts: DayFactStore, fact: str, store: int = ALL, item: int = ALL) -> dict[int, float]:
    days, values = facts.column(fact, store, item)
    return dict(zip(days.tolist(), values.tolist(), strict=True))


def test_later_numbers_count_and_are_there_after_another_start(db: Database, facts: DayFactStore) -> None:
    first = [DayFact(ALL, ALL, day, "temperature", day / 2) for day in (5, 3, 4)]
    assert facts.put_many(first).result() == 3
    again = [DayFact(ALL, ALL, 4, "temperature", 9.0), DayFact(ALL, ALL, 4, "temperature", 10.0)]
    assert facts.put_many(again).result() == 1
    facts.put_many([DayFact(2, ALL, 4, "temperature", 1.0), DayFact(ALL, 7, 4, "out_of_stock", 1.0)]).result()
    for one in (facts, DayFactStore(db)):
        assert told(one, "temperature") == {3: 1.5, 4: 10.0, 5: 2.5}
        assert told(one, "temperature", 2) == {4: 1.0}
        assert told(one, "rain") == {}
        assert one.names() == ["temperature"]
        assert list(one.items("out_of_stock")) == [(ALL, 7)]


def test_old_numbers_are_forgotten(facts: DayFactStore) -> None:
    facts.put_many([DayFact(ALL, 1, day, "in_stock", 0.0) for day in range(5)]).result()
    assert facts.forget("in_stock", 3).result() == 3
    assert told(facts, "in_stock", ALL, 1) == {3: 0.0, 4: 0.0}
    assert facts.forget("in_stock", 9).result() == 2
    assert facts.items("in_stock") == {}


def test_nothing_is_stored_of_what_is_wrong(facts: DayFactStore) -> None:
    for wrong in (DayFact(ALL, ALL, 1, "Fuel Price", 1.0), DayFact(ALL, ALL, 1, "fuel", float("nan"))):
        with pytest.raises(Invalid):
            facts.put_many([DayFact(ALL, ALL, 1, "rain", 1.0), wrong])
    assert facts.names() == []


def test_headers_become_names() -> None:
    names = ["Fuel Price", "FuelPrice", "fuel-price", " fuel_price "]
    assert [plain_fact(name) for name in names] == ["fuel_price"] * 4
