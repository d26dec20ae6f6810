"""Users, items, stores, stock levels and the shop's own facts."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import event

from shopkeeper.core.clock import StoppedClock, moment
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Stale
from shopkeeper.core.records import Event, Item, StockLevel, Store, User
from shopkeeper.stores.etags import etag
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.items import Catalog, ItemStore
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.shops import ShopStore
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.stock import StockStore
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies


@pytest.fixture
def users(db: Database, vocabularies: Vocabularies, clock: StoppedClock) -> UserStore:
    return UserStore(db, vocabularies, clock)


@pytest.fixture
def items(db: Database, vocabularies: Vocabularies, clock: StoppedClock, catalog: Catalog) -> ItemStore:
    return ItemStore(db, vocabularies, clock, catalog)


@pytest.fixture
def shops(db: Database, vocabularies: Vocabularies, clock: StoppedClock) -> ShopStore:
    return ShopStore(db, vocabularies, clock)


@pytest.fixture
def stock(db: Database, vocabularies: Vocabularies, clock: StoppedClock) -> StockStore:
    return StockStore(db, vocabularies, clock)


class TestUsers:
    def test_put_get_replace_delete(self, users: UserStore) -> None:
        stored, created = users.put(User(user_id="u", attributes={"country": "FR"})).result(30)
        assert created
        assert users.get("u") == stored
        replaced, created = users.put(User(user_id="u", attributes={"age": 3})).result(30)
        assert not created
        assert users.get("u").attributes == {"age": 3}
        assert replaced.created_at == stored.created_at
        users.delete("u").result(30)
        with pytest.raises(NotFound):
            users.get("u")
        with pytest.raises(NotFound):
            users.delete("u").result(30)

    def test_an_old_etag_is_stale_even_when_the_clock_stands(self, users: UserStore) -> None:
        first, _ = users.put(User(user_id="u")).result(30)
        users.put(User(user_id="u"), if_match=etag(first.updated_at)).result(30)
        with pytest.raises(Stale):
            users.put(User(user_id="u"), if_match=etag(first.updated_at)).result(30)
        with pytest.raises(Stale):
            users.delete("u", if_match=etag(first.updated_at)).result(30)
        with pytest.raises(Stale):
            users.put(User(user_id="new"), if_match="*").result(30)
        users.put(User(user_id="u"), if_match="*").result(30)

    def test_a_user_known_from_events_has_a_row_but_no_record(
        self, users: UserStore, log: EventLog, vocabularies: Vocabularies
    ) -> None:
        log.append([Event(event_type="click", user_id="seen", item_id="i")]).result(30)
        row = vocabularies.users.row("seen")
        with pytest.raises(NotFound):
            users.get("seen")
        assert users.list()[2] == 0
        assert users.put(User(user_id="seen")).result(30)[1]
        assert vocabularies.users.row("seen") == row

    def test_pages_cover_the_list_once(self, users: UserStore) -> None:
        users.put_many([User(user_id=f"u{n:02}") for n in range(25)]).result(30)
        seen, cursor = [], None
        while True:
            page, cursor, total = users.list(limit=10, cursor=cursor)
            assert total == 25
            seen += [user.user_id for user in page]
            if cursor is None:
                break
        assert seen == [f"u{n:02}" for n in range(25)]

    def test_search_takes_signs_literally(self, users: UserStore) -> None:
        users.put_many([User(user_id=name) for name in ("a%b", "axb", "a_b", "a\\b")]).result(30)
        for text in ("%", "_", "\\"):
            assert [user.user_id for user in users.list(q=text)[0]] == [f"a{text}b"]

    def test_a_cursor_from_elsewhere_is_invalid(self, users: UserStore) -> None:
        for cursor in ("*", "_w", "é"):
            with pytest.raises(Invalid, match="cursor"):
                users.list(cursor=cursor)

    def test_many_at_once_rejects_the_bad_one_alone(self, users: UserStore) -> None:
        done = users.put_many([User(user_id="a"), User(user_id="b/c"), User(user_id="a")]).result(30)
        assert (done.created, done.updated, [r.index for r in done.rejected]) == (1, 1, [1])

    def test_attributes_by_row_and_who_is_told_of_changes(self, users: UserStore) -> None:
        told: list[list[int]] = []
        users.subscribe(told.append)
        users.put_many([User(user_id="a", attributes={"x": 1}), User(user_id="b")]).result(30)
        users.delete("b").result(30)
        assert users.attributes() == {0: {"x": 1}}
        assert users.attributes([0, 1]) == {0: {"x": 1}}
        assert told == [[0, 1], [1]]

    def test_what_cannot_be_kept_is_refused(self, users: UserStore) -> None:
        for attributes in ({"x": object()}, {"x": "y" * 70_000}):
            with pytest.raises(Invalid, match="attributes"):
                users.put(User(user_id="u", attributes=attributes))


class TestItems:
    def test_put_get_replace(self, items: ItemStore, catalog: Catalog) -> None:
        lamp = Item(item_id="i", name="Lamp", category="light", price=2.5, attributes={"watt": 5})
        stored, created = items.put(lamp).result(30)
        assert created
        assert items.get("i") == stored
        assert not items.put(Item(item_id="i", name="Big lamp")).result(30)[1]
        assert (items.get("i").price, items.get("i").category) == (None, None)
        assert catalog.names == ["Big lamp"]

    def test_a_deleted_item_stays_and_is_not_sold(self, items: ItemStore, catalog: Catalog) -> None:
        items.put_many([Item(item_id=name, name=name) for name in "ab"]).result(30)
        items.delete("a").result(30)
        assert not items.get("a").active
        assert catalog.sellable().tolist() == [False, True]
        with pytest.raises(NotFound):
            items.delete("x").result(30)

    def test_if_match(self, items: ItemStore) -> None:
        first, _ = items.put(Item(item_id="i", name="n")).result(30)
        items.delete("i", if_match=etag(first.updated_at)).result(30)
        for change in (items.delete("i", if_match=etag(first.updated_at)), items.put(first, if_match='"0"')):
            with pytest.raises(Stale):
                change.result(30)
        with pytest.raises(Stale):
            items.put(Item(item_id="new", name="n"), if_match='"0"').result(30)
        with pytest.raises(NotFound):
            items.get("new")

    def test_list_filters(self, items: ItemStore) -> None:
        items.put_many(
            [
                Item(item_id="a", name="Red Lamp", category="light"),
                Item(item_id="b", name="Chair", category="seat", active=False),
                Item(item_id="lamp9", name="App", kind="app"),
            ]
        ).result(30)

        def ids(**ask: object) -> list[str]:
            return [item.item_id for item in items.list(**ask)[0]]

        assert ids() == ["a", "b", "lamp9"]
        assert ids(q="lamp") == ["a", "lamp9"]
        assert ids(kind="app") == ["lamp9"]
        assert ids(category="seat") == ["b"]
        assert ids(active=True) == ["a", "lamp9"]
        page, cursor, total = items.list(limit=2)
        assert ([item.item_id for item in page], total) == (["a", "b"], 3)
        assert ids(cursor=cursor) == ["lamp9"]

    @pytest.mark.parametrize(
        "bad",
        [
            Item(item_id="i", name=""),
            Item(item_id="i", name="n", price=-1.0),
            Item(item_id="i", name="n", price=math.nan),
            Item(item_id="i", name="n", kind="Bad Kind"),
            Item(item_id="i", name="n", category="c" * 201),
            Item(item_id="i/", name="n"),
        ],
    )
    def test_bad_items_are_refused_and_in_a_list_rejected_alone(self, items: ItemStore, bad: Item) -> None:
        with pytest.raises(Invalid):
            items.put(bad)
        done = items.put_many([Item(item_id="good", name="n"), bad]).result(30)
        assert (done.created, [r.index for r in done.rejected]) == (1, [1])


class TestCatalog:
    def test_columns_follow_items_and_events(self, items: ItemStore, catalog: Catalog, log: EventLog) -> None:
        items.put(Item(item_id="a", name="A", category="c", price=2.0)).result(30)
        price = catalog.price
        log.append(
            [Event(event_type="open", target_kind="app", target_id="mail"), Event(event_type="view", item_id="b")]
        ).result(30)
        items.put(Item(item_id="a", name="A", price=3.0)).result(30)
        assert catalog.ids == ["a", "mail", "b"]
        assert catalog.names == ["A", "mail", "b"]
        assert catalog.kind == ["product", "app", "product"]
        assert catalog.category == [None, None, None]
        assert catalog.sellable().tolist() == [True, False, True]
        np.testing.assert_array_equal(catalog.price, np.array([3.0, np.nan, np.nan], dtype=np.float32))
        assert price.tolist() == [2.0]

    def test_it_is_loaded_as_it_was(self, items: ItemStore, catalog: Catalog, engine_url: str, db: Database) -> None:
        items.put_many([Item(item_id=f"i{n}", name=f"N{n}", price=n, active=n % 2 == 0) for n in range(600)]).result(30)
        db.close()
        again = open_database(engine_url)
        loaded = Catalog(again, Vocabularies.load(again))
        assert (loaded.ids, loaded.names) == (catalog.ids, catalog.names)
        np.testing.assert_array_equal(loaded.price, catalog.price)
        np.testing.assert_array_equal(loaded.sellable(), catalog.sellable())
        again.close()

    def test_whoever_reads_in_the_middle_of_a_change_sees_columns_that_fit(
        self, db: Database, vocabularies: Vocabularies, clock: StoppedClock
    ) -> None:
        looks = []

        class Watched(Catalog):
            """Read after every single assignment, as another thread might."""

            def __setattr__(self, name: str, value: object) -> None:
                super().__setattr__(name, value)
                if "_sellable" in vars(self):  # made to the end
                    size = len(self.sellable())
                    columns = (self.ids, self.names, self.category, self.kind, self.price, self.active)
                    looks.append(all(len(column) >= size for column in columns) and all(self.ids[:size]))

        watched = Watched(db, vocabularies)
        items = ItemStore(db, vocabularies, clock, watched)
        items.put_many([Item(item_id=f"i{n}", name=f"N{n}") for n in range(3)]).result(30)
        items.put_many([Item(item_id=f"i{n}", name=f"M{n}") for n in range(2, 5)]).result(30)
        assert watched.names == ["N0", "N1", "M2", "M3", "M4"]
        assert len(looks) > 3
        assert all(looks)

    def test_an_empty_one_sells_nothing(self, catalog: Catalog) -> None:
        assert len(catalog) == 0
        assert catalog.sellable().tolist() == []


class TestShops:
    def test_create_change_list_delete(self, shops: ShopStore) -> None:
        shops.create(Store(store_id="s", name="South", size=80.0)).result(30)
        with pytest.raises(Conflict, match="exists"):
            shops.create(Store(store_id="s")).result(30)
        assert shops.put(Store(store_id="s", name="Main")).result(30) == (Store(store_id="s", name="Main"), False)
        assert shops.put(Store(store_id="a")).result(30)[1]
        assert [store.store_id for store in shops.list()] == ["a", "s"]
        shops.delete("s").result(30)
        with pytest.raises(NotFound):
            shops.get("s")
        with pytest.raises(NotFound):
            shops.delete("s").result(30)
        assert shops.create(Store(store_id="s", name="Again")).result(30) == shops.get("s")

    def test_a_store_with_sales_stays(self, shops: ShopStore, log: EventLog) -> None:
        log.append([Event(event_type="order", item_id="i", store_id="online")]).result(30)
        assert shops.get("online").name == "online"
        with pytest.raises(Conflict, match="has events"):
            shops.delete("online").result(30)

    def test_bad_facts_are_refused(self, shops: ShopStore) -> None:
        for bad in (Store(store_id="a/b"), Store(store_id="s", size=math.inf), Store(store_id="s", name="\n")):
            with pytest.raises(Invalid):
                shops.create(bad)


class TestStock:
    @pytest.fixture(autouse=True)
    def known(self, shops: ShopStore, items: ItemStore) -> None:
        shops.create(Store(store_id="s")).result(30)
        shops.create(Store(store_id="t")).result(30)
        items.put_many([Item(item_id=name, name=name) for name in "abc"]).result(30)

    def test_put_and_get(self, stock: StockStore, clock: StoppedClock) -> None:
        level = StockLevel(store_id="s", item_id="a", on_hand=5.0, on_order=2.0, lead_time_days=3.0, simulated=True)
        assert stock.put_many([level]).result(30).updated == 1
        found = stock.get("s", "a")
        assert (found.on_hand, found.on_order, found.lead_time_days, found.simulated) == (5.0, 2.0, 3.0, True)
        assert found.as_of == moment(clock.now())
        with pytest.raises(NotFound):
            stock.get("s", "b")
        with pytest.raises(NotFound):
            stock.get("nowhere", "a")

    def test_an_older_level_never_wins(self, stock: StockStore, clock: StoppedClock) -> None:
        now = moment(clock.now())
        levels = [
            StockLevel(store_id="s", item_id="a", on_hand=1.0, as_of=now),
            StockLevel(store_id="s", item_id="a", on_hand=2.0, as_of=now - timedelta(seconds=1)),
            StockLevel(store_id="s", item_id="a", on_hand=3.0, as_of=now),
        ]
        done = stock.put_many(levels).result(30)
        assert (done.updated, [r.index for r in done.rejected]) == (2, [1])
        assert stock.get("s", "a").on_hand == 3.0

    def test_bad_levels_are_rejected_alone(self, stock: StockStore, clock: StoppedClock) -> None:
        later = moment(clock.now()) + timedelta(hours=1)
        done = stock.put_many(
            [
                StockLevel(store_id="x", item_id="a", on_hand=1.0),
                StockLevel(store_id="s", item_id="a", on_hand=1.0),
                StockLevel(store_id="s", item_id="x", on_hand=1.0),
                StockLevel(store_id="s", item_id="a", on_hand=math.nan),
                StockLevel(store_id="s", item_id="a", on_hand=1.0, lead_time_days=366.0),
                StockLevel(store_id="s", item_id="a", on_hand=1.0, as_of=later),
                StockLevel(store_id="s", item_id="b", on_hand=1.0),
            ]
        ).result(30)
        assert (done.updated, [r.index for r in done.rejected]) == (2, [0, 2, 3, 4, 5])

    def test_the_sum_is_in_memory_when_a_change_is_acknowledged(
        self, stock: StockStore, items: ItemStore, db: Database
    ) -> None:
        stock.put_many([StockLevel(store_id="s", item_id="a", on_hand=1.5)]).result(30)
        items.put(Item(item_id="new", name="New")).result(30)
        asked: list[str] = []
        listener = (db.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
        event.listen(*listener)
        found = stock.on_hand()
        event.remove(*listener)
        np.testing.assert_array_equal(found, np.array([1.5, np.nan, np.nan, np.nan], dtype=np.float32))
        assert asked == []

    def test_list_and_sum_over_stores(self, stock: StockStore) -> None:
        assert np.isnan(stock.on_hand()).all()
        stock.put_many(
            [StockLevel(store_id=s, item_id=i, on_hand=1.5) for s, i in (("s", "a"), ("t", "a"), ("t", "b"))]
        ).result(30)
        np.testing.assert_array_equal(stock.on_hand(), np.array([3.0, 1.5, np.nan], dtype=np.float32))
        assert stock.list(store_id="t")[2] == 2
        assert [level.store_id for level in stock.list(item_id="a")[0]] == ["s", "t"]
        assert stock.list(item_id="nothing")[0] == []
        seen, cursor = [], None
        while True:
            page, cursor, _ = stock.list(limit=1, cursor=cursor)
            seen += [(level.store_id, level.item_id) for level in page]
            if cursor is None:
                break
        assert seen == [("s", "a"), ("t", "a"), ("t", "b")]
        with pytest.raises(Invalid):
            stock.list(cursor="YWJj")


class TestMeta:
    def test_set_replaces_and_get_has_a_default(self, db: Database) -> None:
        meta = Meta(db)
        assert meta.get("clock.position") is None
        assert meta.get("clock.position", "0") == "0"
        meta.set("clock.position", "1").result(30)
        meta.set("clock.position", "2").result(30)
        assert meta.get("clock.position") == "2"
        assert meta.all() == {"clock.position": "2"}
