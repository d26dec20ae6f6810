"""Attributes of items as rules read them, and users' preferences as they change."""

from __future__ import annotations

from typing import Any

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.records import Item
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.item_attributes import MOST_NAMES, ItemAttributes
from shopkeeper.stores.items import ItemStore
from shopkeeper.stores.preferences import PreferenceStore
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies


def put(items: ItemStore, name: str, **attributes: Any) -> None:
    items.put(Item(item_id=name, name=name, attributes=attributes)).result()


def test_what_records_say_is_met_as_it_comes(db: Database) -> None:
    vocab = Vocabularies.load(db)
    catalog = Catalog(db, vocab)
    items = ItemStore(db, vocab, StoppedClock(1), catalog)
    put(items, "a", brand="Acme", weight=2, vegan=True, tags=["x"], size={"h": 1}, gone=None)
    attributes = ItemAttributes(catalog)
    assert attributes.types() == {}
    attributes.load()
    assert attributes.types() == {"brand": "text", "weight": "number", "vegan": "bool"}
    version = attributes.version
    put(items, "b", weight=0.5)
    assert attributes.version == version, "no new name"
    assert attributes.column("weight", 3) == [2, 0.5, None]
    put(items, "b", weight="heavy", colour="red")
    assert attributes.types()["colour"] == "text"
    assert attributes.types()["weight"] == "number"
    assert attributes.version > version
    assert attributes.column("colour", 2) == [None, "red"]
    put(items, "b", **{f"n{k}": k for k in range(MOST_NAMES + 50)})
    assert len(attributes.types()) == MOST_NAMES


def test_preferences_tell_whose_changed_when_they_are_durable(db: Database) -> None:
    vocab = Vocabularies.load(db)
    preferences = PreferenceStore(db, vocab, StoppedClock(1))
    told: list[tuple[list[int], dict[str, Any]]] = []
    preferences.subscribe(lambda rows: told.append((list(rows), preferences.of(rows[0]).fields)))
    preferences.change("ada", {"categories": ["a"]}).result()
    preferences.change("bob", {"color": "red"}).result()
    assert preferences.all() == [(0, {"categories": ["a"]}), (1, {"color": "red"})]
    preferences.reset("ada").result()
    assert told == [([0], {"categories": ["a"]}), ([1], {"color": "red"}), ([0], {})]
    assert preferences.all() == [(1, {"color": "red"})]
