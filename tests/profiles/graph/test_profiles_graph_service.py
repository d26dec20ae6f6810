"""The live graph in a whole shop: events, people, items, consent, erasure, merging, new versions, restarts, faults."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_shop import ITEMS, USERS, at, furnish, on_a_loop, publish, running, same, sent, settled, until

from shopkeeper.core.errors import Busy, Conflict, Invalid, NotFound
from shopkeeper.core.records import Event, Item, User
from shopkeeper.stores.audit import Actor


def _act(user: str, item: str, kind: str = "order") -> Event:
    return Event(event_type=kind, user_id=user, target_id=item)


@on_a_loop
async def test_a_published_version_is_embedded_and_serves(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        assert shop.graph.facts() is None
        assert shop.graph.space.version is None
        assert shop.graph.space.user_vector(0) is None
        assert len(shop.graph.space.items()[0]) == 0
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        await settled(shop)
        facts = shop.graph.facts()
        assert facts is not None
        assert (facts.name, facts.version, facts.count) == ("hgt", "hgt/1", {"user": USERS, "product": ITEMS})
        assert facts.seq == shop.log.last_seq
        same(shop)
        jobs, _, _ = shop.jobs.list(kind="embed")
        assert [(job.status, job.requested_by) for job in jobs] == [("done", "release")]
        assert jobs[0].result is not None
        assert jobs[0].result["serves"]
        assert jobs[0].result["edge_counts"]["user / call / user"] == 1


@on_a_loop
async def test_whatever_happens_vectors_are_those_of_the_log(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        row = shop.vocab.users.row
        before = shop.graph.space.user_vector(row("u1"))
        await sent(shop, _act("u1", "i3"), _act("u1", "i4", "view"), _act("u2", "i3"))
        assert before is not None
        assert np.abs(shop.graph.space.user_vector(row("u1")) - before).max() > 1e-4
        same(shop)
        await sent(shop, _act("new", "i5"), _act("u3", "i99"), Event(event_type="tasted", user_id="u4", target_id="i1"))
        assert shop.graph.space.user_vector(row("new")) is not None
        same(shop)
        await asyncio.wrap_future(shop.users.put(User(user_id="u5", attributes={"age": 99})))
        await asyncio.wrap_future(shop.items.put(Item(item_id="i2", name="other", kind="product", category="c9")))
        await asyncio.sleep(0)
        await settled(shop)
        same(shop)
        await asyncio.wrap_future(shop.identities.merge("u6", "u7"))
        await asyncio.wrap_future(shop.identities.bind("visitor", "u8"))
        await settled(shop)
        same(shop)
        state = shop.graph.loop_state()
        assert state.running
        assert state.processed_events == 6
        assert state.last_batch_at is not None


@on_a_loop
async def test_who_does_not_agree_has_no_edges_and_no_vector_until_they_do(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        row = shop.vocab.users.row("u1")
        assert row is not None
        edges = shop.graph.statistics().total_edges
        await asyncio.wrap_future(shop.consents.change("u1", {"profiling": False}))
        await settled(shop)
        assert shop.graph.space.user_vector(row) is None
        assert shop.graph.embedding(row) is None
        await sent(shop, _act("u1", "i3"))
        told = shop.graph.statistics()
        assert told.total_edges + told.dropped["refused"] == edges + 1
        same(shop)
        await asyncio.wrap_future(shop.consents.change("u1", {"profiling": True}))
        await settled(shop)
        assert shop.graph.statistics().total_edges == edges + 1
        assert shop.graph.space.user_vector(row) is not None
        same(shop)


@on_a_loop
async def test_of_an_erased_person_nothing_stays_in_memory_or_on_the_disk(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        row = shop.vocab.users.row("u1")
        assert row is not None
        vector = shop.graph.space.user_vector(row)
        assert vector is not None
        folder = next((tmp_path / "spaces" / "hgt").iterdir())
        job = await asyncio.to_thread(shop.erasure.submit, "u1", "u1", "erase", Actor())
        job = await asyncio.to_thread(shop.jobs.wait, job.job_id, 60)
        assert job.status == "done"
        await settled(shop)
        assert shop.graph.space.user_vector(row) is None
        same(shop)
        await until(lambda: not folder.exists())
        await settled(shop)
    (kept,) = (tmp_path / "spaces" / "hgt").iterdir()
    users = [np.load(path) for path in kept.glob("*_h2.npy")]
    assert all(not np.isclose(states, vector[: states.shape[1]]).all(axis=1).any() for states in users)


@on_a_loop
async def test_a_start_goes_on_where_the_last_process_was(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        await sent(shop, _act("u1", "i3"))
        reference = shop.graph.facts().reference  # type: ignore[union-attr]
    again = at(tmp_path)
    again.users.put(User(user_id="u4", attributes={"age": 77})).result()
    again.log.append([_act("u2", "i4")]).result()  # while nobody follows
    async with running(again):
        facts = again.graph.facts()
        assert facts is not None  # at once: nothing is embedded
        assert facts.reference == reference
        await settled(again)
        same(again)
        assert len(again.jobs.list(kind="embed")[0]) == 1


@on_a_loop
async def test_broken_files_are_left_out_and_all_is_embedded_again(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
    (kept,) = (tmp_path / "spaces" / "hgt").iterdir()
    with open(kept / "0_h1.npy", "r+b") as file:
        file.seek(200)
        file.write(b"\xff\xff")
    again = at(tmp_path)
    async with running(again):
        assert again.graph.facts() is None
        await until(lambda: again.graph.facts() is not None)
        await settled(again)
        same(again)


@on_a_loop
async def test_a_newer_version_takes_over_and_the_old_serves_until_then(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        seen = set()
        await asyncio.to_thread(publish, shop, 1)
        while shop.graph.space.version != "hgt/2":
            seen.add(shop.graph.space.version)
            assert shop.graph.space.user_vector(0) is not None
            await sent_now(shop)
        assert seen == {"hgt/1"}
        await settled(shop)
        same(shop)
        folder = tmp_path / "spaces" / "hgt"
        await until(lambda: len(list(folder.iterdir())) == 1)


async def sent_now(shop: object) -> None:
    """An event while the other version is on its way."""
    await asyncio.wrap_future(shop.log.append([_act("u3", "i1", "view")]))  # type: ignore[attr-defined]
    await asyncio.sleep(0.02)


@on_a_loop
async def test_an_embedding_that_is_killed_leaves_the_old_space(tmp_path: Path) -> None:
    shop = at(tmp_path, graph_idle_s=60)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        shop.graph.touch([])  # wakes it
        await until(lambda: shop.graph.facts() is not None)
        built = shop.graph.facts().built_at  # type: ignore[union-attr]
        before = set(_children())
        job = await asyncio.to_thread(shop.graph.refresh, requested_by="anna")
        with pytest.raises(Busy):
            await asyncio.to_thread(shop.graph.refresh)
        await until(lambda: set(_children()) > before)
        for child in set(_children()) - before:  # as it begins
            os.kill(child, signal.SIGKILL)
        done = await asyncio.to_thread(shop.jobs.wait, job.job_id, 60)
        assert done.status == "failed"
        assert shop.graph.facts().built_at == built  # type: ignore[union-attr]
        await sent(shop, _act("u1", "i3"))
        same(shop)


def _children() -> list[int]:
    """Processes that this process has begun."""
    listed = Path(f"/proc/{os.getpid()}/task")
    found: list[int] = []
    for task in listed.iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


@on_a_loop
async def test_a_paused_loop_takes_events_in_and_computes_when_it_goes_on(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        await settled(shop)
        assert shop.graph.stop_loop()
        assert not shop.graph.stop_loop()
        row = shop.vocab.users.row("u1")
        assert row is not None
        before = shop.graph.space.user_vector(row)
        await asyncio.wrap_future(shop.log.append([_act("u1", "i3")]))
        await shop.following.wait_for(shop.log.last_seq)
        told = shop.graph.embedding(row)
        assert told is not None
        assert told.pending
        np.testing.assert_array_equal(shop.graph.space.user_vector(row), before)
        assert shop.graph.loop_state().pending > 0
        assert not shop.graph.loop_state().running
        assert shop.graph.start_loop()
        assert not shop.graph.start_loop()
        await settled(shop)
        same(shop)


@on_a_loop
async def test_a_paused_loop_hears_who_does_not_agree_any_more(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        await settled(shop)
        row = shop.vocab.users.row("u1")
        assert row is not None
        vector = shop.graph.space.user_vector(row)
        assert vector is not None
        shop.graph.stop_loop()
        before = set((tmp_path / "spaces" / "hgt").iterdir())
        await asyncio.wrap_future(shop.consents.change("u1", {"profiling": False}))
        assert shop.graph.space.user_vector(row) is None  # at once
        await until(lambda: shop.graph.neighbors("user", "u1") == [])
        await until(lambda: not before & set((tmp_path / "spaces" / "hgt").iterdir()))
        kept = next(one for one in (tmp_path / "spaces" / "hgt").iterdir() if not one.name.startswith("."))
        users = [np.load(path) for path in kept.glob("*_h2.npy")]
        assert all(not np.isclose(states, vector[: states.shape[1]]).all(axis=1).any() for states in users)
        shop.graph.start_loop()
        await settled(shop)
        same(shop)


@on_a_loop
async def test_what_a_failed_embedding_has_computed_of_people_does_not_stay(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        left: list[Path] = []

        def full(folder: Path) -> None:
            left.append(folder)
            raise OSError(28, "No space left on device")

        shop.graph._embedder._shelf.take = full  # type: ignore[method-assign]
        job = await asyncio.to_thread(shop.graph.refresh)
        done = await asyncio.to_thread(shop.jobs.wait, job.job_id, 60)
        assert done.status == "failed"
        assert left
        assert not left[0].exists()
        assert shop.graph.facts() is not None


@on_a_loop
async def test_records_of_many_are_taken_up_a_few_at_a_time(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        await settled(shop)
        asked: list[int] = []
        known = shop.graph._changed._known
        people = known.people

        def counted(rows: Sequence[int]) -> dict[int, dict[str, Any]]:
            asked.append(len(rows))
            return people(rows)

        known.people = counted  # type: ignore[method-assign]
        many = [User(user_id=f"u{n}", attributes={"age": n % 90}) for n in range(700)]
        await asyncio.wrap_future(shop.users.put_many(many))
        await settled(shop)
        assert max(asked) <= 256
        same(shop)


@on_a_loop
async def test_what_would_be_after_events_is_what_comes(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        await settled(shop)
        row = shop.vocab.users.row("u1")
        assert row is not None
        await asyncio.wrap_future(shop.log.append([_act("u1", "i3"), _act("u1", "i9", "view")]))
        await settled(shop)
        batch = shop.log.read(shop.log.last_seq - 2)
        supposed = shop.graph.vector_after(row, batch)
        await sent(shop, _act("u1", "i3"), _act("u1", "i9", "view"))
        assert supposed is not None
        np.testing.assert_allclose(supposed, shop.graph.space.user_vector(row), rtol=1e-3, atol=1e-4)
        assert shop.graph.vector_after(10**6, batch) is None


@on_a_loop
async def test_neighbours_and_statistics_say_what_is_there(tmp_path: Path) -> None:
    shop = at(tmp_path)
    async with running(shop):
        with pytest.raises(NotFound, match="no graph"):
            shop.graph.statistics()
        await asyncio.to_thread(furnish, shop, 0)
        await asyncio.wrap_future(shop.log.append([_act("u1", "i3"), _act("u1", "i3"), _act("u1", "i4", "view")]))
        await shop.following.wait_for(shop.log.last_seq)
        told = shop.graph.statistics()
        assert told.edge_counts["user / order / product"] == 2
        assert told.node_counts["user"] == USERS
        found = shop.graph.neighbors("user", "u1")
        assert {(one.node, one.relation, one.weight) for one in found} == {
            ("i4", "user / view / product", 1),
            ("i3", "user / order / product", 2),
            ("u2", "user / call / user", 1),
        }
        (one,) = shop.graph.neighbors("product", "i3", relation="product / in / category")
        assert (one.node, one.time) == ("c3", None)
        assert len(shop.graph.neighbors("category", "c3", limit=2)) == 2
        assert shop.graph.neighbors("user", "u5") == []
        with pytest.raises(NotFound, match="nobody"):
            shop.graph.neighbors("user", "nobody")
        with pytest.raises(NotFound):
            shop.graph.neighbors("product", "u1")
        with pytest.raises(Invalid, match="shoe"):
            shop.graph.neighbors("shoe", "u1")
        with pytest.raises(Invalid, match="user / order / product"):
            shop.graph.neighbors("user", "u1", relation="user / rented / product")
        with pytest.raises(Conflict, match="train"):
            await asyncio.to_thread(shop.graph.refresh)


@on_a_loop
async def test_drift_has_all_vectors_computed_anew(tmp_path: Path) -> None:
    shop = at(tmp_path, graph_drift=0.0, graph_drift_events=1, graph_epsilon=10.0)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        built = shop.graph.facts().built_at  # type: ignore[union-attr]
        await asyncio.wrap_future(shop.log.append([_act("u1", f"i{n}") for n in range(9)]))
        await until(lambda: shop.graph.facts().built_at > built)  # type: ignore[union-attr]
        assert {job.requested_by for job in shop.jobs.list(kind="embed")[0]} == {"release", "drift"}


@on_a_loop
async def test_a_draft_of_some_edges_is_brought_up_to_all_of_them(tmp_path: Path) -> None:
    shop = at(tmp_path)
    furnish(shop)
    async with running(shop):
        await asyncio.to_thread(publish, shop)
        await until(lambda: shop.graph.facts() is not None)
        job = await asyncio.to_thread(shop.graph.refresh, ratio=0.3, seed=4, timed=False)
        job = await asyncio.to_thread(shop.jobs.wait, job.job_id, 60)
        assert job.status == "done"
        assert job.result is not None
        assert 0 < job.result["edge_counts"]["user / order / product"] < 80
        await settled(shop)
        same(shop)
