"""Records in memory: what is committed late is seen, what is long known is not read again."""

from __future__ import annotations

from profile_world import World
from sqlalchemy import text

from shopkeeper.profiles.people import People


def test_what_is_long_known_is_not_read_again(world: World) -> None:
    seconds = [0.0]
    people = People(world.db, seconds=lambda: seconds[0])
    for n in range(5):
        world.user(f"u{n}", age=n)
    read, take = [], people._take
    people._take = lambda rows: read.append(len(rows)) or take(rows)
    for at in (0.0, 10.0, 61.0, 62.0, 200.0):
        seconds[0] = at
        people.refresh()
    assert read == [5, 5, 5, 0, 0]
    world.clock.advance(1)
    world.user("u1", age=77)
    people.refresh()
    assert people.at(1).attributes == {"age": 77}
    assert read[-1] == 1


def test_a_record_that_is_committed_after_newer_ones_is_seen(world: World) -> None:
    seconds = [0.0]
    people = People(world.db, seconds=lambda: seconds[0])
    for n in range(2):
        world.user(f"u{n}", age=n)
    late = text("UPDATE users SET attributes = '{\"age\": 9}', updated_at = updated_at - 5000000 WHERE row = 0")
    people.refresh()
    seconds[0] = 59.0
    people.refresh()
    world.db.writer.submit(lambda connection: connection.execute(late)).result()
    people.refresh()
    assert people.at(0).attributes == {"age": 9}
