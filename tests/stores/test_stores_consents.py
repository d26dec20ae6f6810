from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Event, User
from shopkeeper.stores import schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import Database
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies

ANNA = Actor("anna", "request-1")


@pytest.fixture
def consents(db: Database, vocabularies: Vocabularies, clock: StoppedClock) -> ConsentStore:
    return ConsentStore(db, vocabularies, clock)


@pytest.fixture
def rows(db: Database, vocabularies: Vocabularies, clock: StoppedClock, log: EventLog) -> dict[str, int]:
    """One registered user, one known from an event only."""
    UserStore(db, vocabularies, clock).put(User(user_id="listed")).result()
    log.append([Event(event_type="view", user_id="met", item_id="lamp")]).result()
    return {name: int(vocabularies.users.rows([name])[0]) for name in ("listed", "met")}


def audit(db: Database) -> list[Any]:
    with db.read() as connection:
        return list(connection.execute(select(schema.audit).order_by(schema.audit.c.position)))


def test_who_was_never_asked_has_the_default(
    db: Database, vocabularies: Vocabularies, clock: StoppedClock, consents: ConsentStore, rows: dict[str, int]
) -> None:
    asked = ConsentStore(db, vocabularies, clock, default=False)
    for row in rows.values():
        assert consents.of(row).profiling
        assert consents.of(row).updated_at is None
        assert not asked.allows(row, "profiling")
    assert consents.refused("profiling") == frozenset()
    assert asked.refused("profiling") == set(rows.values())
    asked.change("met", {"profiling": True}).result()
    assert asked.refused("profiling") == {rows["listed"]}


def test_a_change_says_one_thing_and_leaves_the_rest(consents: ConsentStore, rows: dict[str, int]) -> None:
    told: list[list[int]] = []
    consents.subscribe(told.append)
    consents.change("met", {"marketing": False}, ANNA).result()
    said = consents.change("met", {"profiling": False}, ANNA).result()
    assert (said.personalization, said.profiling, said.marketing) == (True, False, False)
    assert consents.of(rows["met"]) == said
    assert consents.refused("profiling") == consents.refused("marketing") == {rows["met"]}
    assert consents.refused("personalization") == frozenset()
    assert told == [[rows["met"]], [rows["met"]]]


def test_it_is_still_there_at_the_next_start(
    db: Database, vocabularies: Vocabularies, clock: StoppedClock, consents: ConsentStore, rows: dict[str, int]
) -> None:
    said = consents.change("listed", {"personalization": False}).result()
    assert ConsentStore(db, vocabularies, clock).of(rows["listed"]) == said


def test_changes_at_the_same_time_do_not_lose_each_other(consents: ConsentStore, rows: dict[str, int]) -> None:
    waiting = [consents.change("met", {purpose: False}) for purpose in ("personalization", "profiling", "marketing")]
    for one in waiting:
        one.result()
    said = consents.of(rows["met"])
    assert (said.personalization, said.profiling, said.marketing) == (False, False, False)


def test_an_unknown_user_is_refused_or_made(
    db: Database, consents: ConsentStore, vocabularies: Vocabularies, rows: dict[str, int]
) -> None:
    with pytest.raises(NotFound, match="no user 'nobody'"):
        consents.change("nobody", {"profiling": False}).result()
    assert vocabularies.users.row("nobody") is None
    assert audit(db) == []
    consents.change("early", {"profiling": False}, make=True).result()
    assert consents.refused("profiling") == {vocabularies.users.row("early")}


def test_every_change_is_in_the_audit(db: Database, consents: ConsentStore, rows: dict[str, int]) -> None:
    consents.change("met", {"marketing": False}, ANNA).result()
    (row,) = audit(db)
    assert (row.who, row.what, row.user_row, row.request_id) == ("anna", "consent", rows["met"], "request-1")
    assert (row.before["marketing"], row.after["marketing"]) == (True, False)


def test_of_two_rows_of_one_person_the_refusals_stay(
    db: Database, consents: ConsentStore, rows: dict[str, int]
) -> None:
    consents.change("listed", {"profiling": False}).result()
    consents.change("met", {"marketing": False}).result()
    both = db.writer.run(lambda connection: consents.merge_in(connection, rows["listed"], rows["met"]))
    consents.show({rows["met"]: both, rows["listed"]: None})
    said = consents.of(rows["met"])
    assert (said.personalization, said.profiling, said.marketing) == (True, False, False)
    assert consents.refused("profiling") == {rows["met"]}
    assert db.writer.run(lambda connection: consents.merge_in(connection, rows["listed"], rows["met"])) is None
