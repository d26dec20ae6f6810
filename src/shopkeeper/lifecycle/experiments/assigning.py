"""Who gets which variant: from the user's id, in microseconds, the same whenever and wherever it is asked.

A layer has 10,000 buckets. An experiment holds some of them, so that within a layer a user is in one experiment only,
and none moves when another begins or ends; layers draw independently (Tang et al. 2010). Within an experiment the
variant is drawn by weighted rendezvous hashing, as in splits.py: a changed weight moves only those whom it must.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from math import log
from typing import Any, Final, NamedTuple

from shopkeeper.stores.experiments import Kept, Unit

BUCKETS: Final = 10_000
_BYTES: Final = 6  # of a digest of 64, for each of ten variants
_SCALE: Final = float(2 ** (8 * _BYTES))


class Draw:
    """One running experiment, ready to be asked. `moved`: rows of users whose variant came with a visitor or a merged
    user. `seen`: one byte a row of users, the variant that was logged and 1, 0: none."""

    __slots__ = (
        "configs", "deny", "experiment_id", "forced", "key", "layer", "moved", "name", "names", "only", "phase", "seen",
        "spans", "subject", "weights",
    )  # fmt: skip

    def __init__(self, kept: Kept, units: Iterable[Unit] = ()) -> None:
        plan, course = kept.plan, kept.course
        self.experiment_id, self.name, self.subject = kept.experiment_id, plan.name, kept.subject
        self.layer, self.phase, self.spans = plan.layer, course.phase, tuple(course.spans)
        self.names = tuple(one.name for one in plan.variants)
        self.configs = tuple(one.config for one in plan.variants)
        self.weights = tuple(course.weights)
        self.key = _key(kept.experiment_id)
        self.deny = frozenset(plan.deny)
        forced = plan.allow if isinstance(plan.allow, dict) else {}
        self.forced = {id: self.names.index(name) for id, name in forced.items() if name in self.names}
        self.only = frozenset(plan.allow) if isinstance(plan.allow, list) and plan.allow else None
        self.moved: dict[int, int] = {}
        self.seen = bytearray()
        for one in units:
            if one.phase == self.phase:
                self.mark(one.user_row, one.variant)
            if one.moved:
                self.moved[one.user_row] = one.variant

    def variant(self, user_id: str) -> int:
        """Drawn from the id, by the weights."""
        digest = blake2b(user_id.encode(), key=self.key, digest_size=64).digest()
        best, chosen = -1.0, 0
        for at, weight in enumerate(self.weights):
            if weight > 0:
                number = int.from_bytes(digest[at * _BYTES : (at + 1) * _BYTES])
                drawn = weight / -log((number + 0.5) / _SCALE)
                if drawn > best:
                    best, chosen = drawn, at
        return chosen

    def mark(self, row: int, variant: int) -> bool:
        """Whether it is the first time that the user was answered so."""
        seen = self.seen
        if row >= len(seen):
            seen.extend(bytes(row + 1 + len(seen) // 4 - len(seen)))
        new = not seen[row]
        seen[row] = variant + 1
        return new

    def unmark(self, row: int) -> None:
        if row < len(self.seen):
            self.seen[row] = 0
        self.moved.pop(row, None)


class Chosen(NamedTuple):
    """`row` of the user. `counted` false: a variant that a list says, which no draw has chosen."""

    draw: Draw
    variant: int
    row: int
    counted: bool = True

    @property
    def name(self) -> str:
        return self.draw.names[self.variant]

    @property
    def config(self) -> dict[str, Any]:
        return self.draw.configs[self.variant]


class _Layer:
    """The experiments of one layer on one thing, by the buckets that they hold."""

    __slots__ = ("draws", "key", "starts", "stops", "whole")

    def __init__(self, name: str, draws: Sequence[Draw]) -> None:
        self.key = _key(f"layer:{name}")
        spans = sorted((start, stop, draw) for draw in draws for start, stop in draw.spans)
        self.starts = [start for start, _, _ in spans]
        self.stops = [stop for _, stop, _ in spans]
        self.draws = [draw for _, _, draw in spans]
        self.whole = len(spans) == 1 and spans[0][:2] == (0, BUCKETS)

    def of(self, user_id: str) -> Draw | None:
        if self.whole:
            return self.draws[0]
        bucket = bucket_of(self.key, user_id)
        at = bisect_right(self.starts, bucket) - 1
        return self.draws[at] if at >= 0 and bucket < self.stops[at] else None


class _Table:
    """All that runs on one thing. `listed`: users whom a list names, with the experiment and the variant."""

    __slots__ = ("layers", "listed")

    def __init__(self, draws: Sequence[Draw]) -> None:
        names = dict.fromkeys(draw.layer for draw in draws)
        self.layers = [_Layer(name, [draw for draw in draws if draw.layer == name]) for name in names]
        self.listed: dict[str, list[tuple[Draw, int]]] = {}
        for draw in draws:
            for id, variant in draw.forced.items():
                self.listed.setdefault(id, []).append((draw, variant))


class Assignments:
    """What runs now. Read without locks on any thread; `show` and `drop` replace what readers see as a whole."""

    def __init__(self) -> None:
        self._draws: dict[str, Draw] = {}
        self._tables: Mapping[str, _Table] = {}

    def on(self, subject: str) -> bool:
        """Whether anything runs on it."""
        return subject in self._tables

    def of(self, subject: str, user_id: str, row: int) -> tuple[Chosen, ...]:
        """What the user of a row is in, at most one experiment a layer."""
        table = self._tables.get(subject)
        if table is None:
            return ()
        found: list[Chosen] = []
        listed = table.listed.get(user_id, ()) if table.listed else ()
        for draw, variant in listed:
            if user_id not in draw.deny:
                found.append(Chosen(draw, variant, row, counted=False))
        for layer in table.layers:
            drawn = layer.of(user_id)
            if drawn is None or user_id in drawn.deny or user_id in drawn.forced:
                continue
            if drawn.only is not None and user_id not in drawn.only:
                continue
            moved = drawn.moved.get(row)
            found.append(Chosen(drawn, drawn.variant(user_id) if moved is None else moved, row))
        if listed and len({one.draw.layer for one in found}) < len(found):
            found = _first_of_each_layer(found)
        return tuple(found)

    def draw(self, experiment_id: str) -> Draw | None:
        return self._draws.get(experiment_id)

    def all(self) -> list[Draw]:
        return list(self._draws.values())

    def show(self, draws: Iterable[Draw]) -> None:
        """These run from now on, beside the others."""
        added = list(draws)
        self._draws = {**self._draws, **{draw.experiment_id: draw for draw in added}}
        self._arrange({draw.subject for draw in added})

    def drop(self, experiment_id: str) -> None:
        gone = self._draws.get(experiment_id)
        if gone is not None:
            self._draws = {id: draw for id, draw in self._draws.items() if id != experiment_id}
            self._arrange({gone.subject})

    def _arrange(self, subjects: set[str]) -> None:
        """The tables of some things anew."""
        by: dict[str, list[Draw]] = {}
        for draw in self._draws.values():
            if draw.subject in subjects:
                by.setdefault(draw.subject, []).append(draw)
        rest = {name: table for name, table in self._tables.items() if name not in subjects}
        self._tables = {**rest, **{name: _Table(draws) for name, draws in by.items()}}

    def merged(self, source: int, target: int) -> None:
        """Two users are one: the variant of the first goes with the second, who was not exposed. As `move_units`."""
        for draw in self._draws.values():
            if source < len(draw.seen) and draw.seen[source]:
                variant = draw.seen[source] - 1
                draw.unmark(source)
                if target >= len(draw.seen) or not draw.seen[target]:
                    draw.mark(target, variant)
                    draw.moved[target] = variant

    def forget(self, row: int) -> None:
        """Nothing is kept of an erased user."""
        for draw in self._draws.values():
            draw.unmark(row)


def bucket_of(key: bytes, user_id: str) -> int:
    """The user's bucket in a layer."""
    return int.from_bytes(blake2b(user_id.encode(), key=key, digest_size=8).digest()) * BUCKETS >> 64


def free_spans(taken: Iterable[tuple[int, int]], wanted: int) -> list[tuple[int, int]] | None:
    """`wanted` buckets that nobody holds, lowest first; None: so many are not free."""
    found, at = [], 0
    for start, stop in [*sorted(taken), (BUCKETS, BUCKETS)]:
        if wanted > 0 and start > at:
            found.append((at, min(start, at + wanted)))
            wanted -= found[-1][1] - at
        at = max(at, stop)
    return found if wanted <= 0 else None


def size(spans: Iterable[tuple[int, int]]) -> int:
    """Buckets in spans."""
    return sum(stop - start for start, stop in spans)


def _key(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=32).digest()


def _first_of_each_layer(found: Sequence[Chosen]) -> list[Chosen]:
    """What a list says goes before what is drawn."""
    kept: dict[str, Chosen] = {}
    for one in found:
        kept.setdefault(one.draw.layer, one)
    return list(kept.values())
