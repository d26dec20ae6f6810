from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.stores import schema
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.vocabulary import Vocabularies, Vocabulary


def test_rows_of_many_ids() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.rows(["b", "x", "a", "b"]).tolist() == [1, -1, 0, 1]
    assert vocabulary.rows([]).tolist() == []
    assert vocabulary.ids([1, 0]) == ["b", "a"]
    assert vocabulary.row("x") is None
    for row in (-1, 2):
        with pytest.raises(IndexError):
            vocabulary.id(row)


@given(st.lists(st.tuples(st.lists(st.sampled_from("abcdefgh"), max_size=4), st.booleans()), max_size=10))
def test_only_what_was_committed_is_ever_seen(writes: list[tuple[list[str], bool]]) -> None:
    vocabulary = Vocabulary()
    committed: list[str] = []
    for keys, fails in writes:
        mark = vocabulary.mark()
        for key in keys:
            if vocabulary.staged_row(key) is None:
                vocabulary.stage(key)
        assert vocabulary.ids(range(len(vocabulary))) == committed
        if fails:
            vocabulary.undo(mark)
        else:
            vocabulary.publish()
            committed += [key for key in dict.fromkeys(keys) if key not in committed]
    assert vocabulary.ids(range(len(vocabulary))) == committed
    assert [vocabulary.row(key) for key in committed] == list(range(len(committed)))


class TestVocabularies:
    def test_a_failed_write_gives_out_no_rows(
        self, db: Database, vocabularies: Vocabularies, clock: StoppedClock
    ) -> None:
        give = RowGiver(vocabularies, clock)

        def fail(connection: Connection) -> None:
            give.users(connection, ["lost"])
            give.stores(connection, ["lost"])
            raise Invalid("no")

        with pytest.raises(Invalid):
            db.writer.run(fail)
        assert db.writer.run(lambda connection: give.users(connection, ["kept"])) == {"kept": 0}
        assert db.writer.run(lambda connection: give.users(connection, ["new", "kept"])) == {"new": 1, "kept": 0}
        assert vocabularies.stores.row("lost") is None

    def test_all_rows_survive_a_restart(
        self, engine_url: str, db: Database, vocabularies: Vocabularies, clock: StoppedClock
    ) -> None:
        give = RowGiver(vocabularies, clock)
        db.writer.run(lambda connection: give.users(connection, ["u", "v"]))
        db.writer.run(lambda connection: give.visitors(connection, ["u"]))
        db.writer.run(lambda connection: give.items(connection, {"u": "product"}))
        db.close()
        again = open_database(engine_url)
        loaded = Vocabularies.load(again)
        assert (loaded.users.row("u"), loaded.users.row("v"), loaded.users.anonymous_row("u")) == (0, 1, 2)
        assert [loaded.users.is_anonymous(row) for row in range(3)] == [False, False, True]
        assert loaded.items.row("u") == 0
        again.close()

    def test_a_home_that_lost_rows_is_not_served(
        self, db: Database, vocabularies: Vocabularies, clock: StoppedClock
    ) -> None:
        give = RowGiver(vocabularies, clock)
        db.writer.run(lambda connection: give.stores(connection, ["a", "b"]))
        db.writer.run(lambda connection: connection.execute(delete(schema.shops).where(schema.shops.c.row == 0)) and 0)
        with pytest.raises(Unavailable, match="stores lacks rows"):
            Vocabularies.load(db)
