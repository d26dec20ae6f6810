"""Serving: the loaded versions and the pointers that requests follow.

    load beside -> verify the manifest -> compare the golden rows -> switch one pointer -> keep the previous one warm

A request reads one pointer and keeps what it found, so a swap can neither fail it nor mix two versions. What cannot be
loaded never becomes a pointer: the old version goes on, and the failure is told.

A model of the whole shop is loaded at the start. One of a product, a store or a category is when it is first asked for,
and only so many of them are in memory: the one that was asked for longest ago goes.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from shopkeeper.core.errors import Invalid, NotFound, ShopkeeperError, Unavailable
from shopkeeper.core.records import Record, Version
from shopkeeper.lifecycle.addresses import CHAMPION, version_number
from shopkeeper.lifecycle.loading import Loaded, load_version
from shopkeeper.lifecycle.outputs import Kind
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.telemetry import metrics

log = logging.getLogger(__name__)
Key: TypeAlias = tuple[str, str]
_KEPT = 4
_ALL = "all"
SCOPED_KEPT = 64


class Reloaded(Record, kw_only=True):
    """One model's swap. `error` says why the old version goes on, `code` is its name; `feature_count` is of what
    serves now."""

    name: str
    scope: str
    old: int | None
    new: int | None
    feature_count: int = 0
    error: str | None = None
    code: str | None = None


class Scored(Record, kw_only=True):
    """One output a row, each of kind `output`, and the version that gave them.

    `members`: the versions that an ensemble's answer was made of; `version` is then its first.
    """

    predictions: list[Any]
    version: int
    output: Kind = "number"
    members: list[int] | None = None

    @property
    def tag(self) -> str:
        """`v3`, or `v3+v5` for an ensemble."""
        return "+".join(f"v{number}" for number in self.members or [self.version])


@dataclass(frozen=True)
class Slot:
    """What is loaded of one model; replaced as a whole, never changed. `kept`: other versions, newest use last."""

    champion: Loaded | None = None
    kept: tuple[Loaded, ...] = ()
    problem: str | None = field(default=None, compare=False)

    def find(self, number: int) -> Loaded | None:
        """A loaded version by its number."""
        held = (self.champion, *self.kept) if self.champion is not None else self.kept
        return next((loaded for loaded in held if loaded.version.version == number), None)

    def keeping(self, loaded: Loaded, pinned: frozenset[int]) -> Slot:
        """The same with one more version kept warm; of those that are not pinned the least recently used is let go."""
        held = (*(k for k in self.kept if k.version.version != loaded.version.version), loaded)
        loose = [k for k in held if k.version.version not in pinned][-_KEPT:]
        return replace(self, kept=tuple(k for k in held if k.version.version in pinned or k in loose))


class Serving:
    """Reading is lock-free and safe from any thread; loads of one model wait for each other.

    `scoped_kept`: models of a part of the shop that are in memory at most, beside those that are pinned.
    """

    def __init__(self, registry: Registry, *, scoped_kept: int = SCOPED_KEPT) -> None:
        self._registry = registry
        self._scoped_kept = scoped_kept
        self._used: dict[Key, int] = {}  # of scoped models, when they were last asked for
        self._uses = itertools.count()
        self._slots: dict[Key, Slot] = {}
        self._pins: dict[Key, frozenset[int]] = {}
        self._named: dict[str, dict[str, str]] | None = None  # family of each name that has a champion, by scope
        self._locks: dict[Key, threading.RLock] = {}
        self._lock = threading.Lock()
        registry.attach(self)

    # -- answering

    def peek(self, model: str, ref: str = CHAMPION, scope: str = "all") -> Loaded | None:
        """What is in memory already, without touching disk or database; None when it is not, or only by alias."""
        slot = self._slots.get((model, scope), Slot())
        if scope != _ALL and slot.champion is not None:
            self._used[(model, scope)] = next(self._uses)
        if ref == CHAMPION:
            return slot.champion
        number = version_number(ref)
        return slot.find(number) if number is not None else None

    def get(self, model: str, ref: str = CHAMPION, scope: str = "all") -> Loaded:
        """A version that may answer; one that is not in memory is loaded first. `with` it to be counted in flight.

        Raises NotFound (model, version), Unavailable (`not_loaded`: no champion; `artifact_broken`).
        """
        if (loaded := self.peek(model, ref, scope)) is not None:
            return loaded
        if ref == CHAMPION:
            return self._champion(model, scope)
        version = self._registry.version(model, ref, scope)
        return self._slots.get((model, scope), Slot()).find(version.version) or self._keep(version)

    def score(self, model: str, rows: list[dict[str, Any]], ref: str = CHAMPION, scope: str = "all") -> Scored:
        """One output a row. Raises Invalid (rows, or a model that takes none), Unavailable (wrong outputs)."""
        started = time.perf_counter()
        status = "error"
        try:
            with self.get(model, ref, scope) as loaded:
                if not loaded.scores_rows:
                    raise Invalid(f"model {model!r} does not score rows", code="not_a_row_scorer")
                outputs = loaded.score(rows)
            status = "ok"
            return Scored(predictions=outputs, version=loaded.version.version, output=loaded.output)
        except NotFound:
            model = "unknown"  # a name that does not exist must not become a label
            raise
        finally:
            metrics.model_predict_requests_total.labels(model, status).inc()
            metrics.model_predict_duration_seconds.labels(model).observe(time.perf_counter() - started)

    def loaded(self) -> list[Loaded]:
        """The champions that serve now."""
        return [slot.champion for slot in list(self._slots.values()) if slot.champion is not None]

    def problems(self) -> dict[str, str]:
        """Models that do not serve what the registry says, and why."""
        return {_spoken(key): slot.problem for key, slot in list(self._slots.items()) if slot.problem is not None}

    def names(self, family: str, scope: str = "all") -> tuple[str, ...]:
        """The models of a family that have a champion in a scope, sorted; the database is asked once."""
        with self._lock:  # else what was read before a move could be kept after it
            named = self._named
            if named is None:
                named = {}
                for info in self._registry.models():
                    if CHAMPION in info.aliases:
                        named.setdefault(info.scope, {})[info.name] = info.task
                self._named = named
        return tuple(sorted(name for name, task in named.get(scope, {}).items() if task == family))

    # -- following the registry

    def prepare(self, version: Version) -> None:
        """Load a version beside. Raises NotFound or Unavailable; nothing that serves changes."""
        self._keep(version)

    def pin(self, model: str, scope: str, versions: frozenset[int]) -> None:
        """Versions that stay in memory once they are loaded, however many others are asked for."""
        self._pins[(model, scope)] = versions

    def drop(self, version: Version) -> None:
        """Let go of a version that is not the champion. A request that holds it ends with it."""
        key = (version.model, version.scope)
        with self._loading(key):
            if (slot := self._slots.get(key)) is not None:
                others = tuple(k for k in slot.kept if k.version.version != version.version)
                self._slots[key] = replace(slot, kept=others)

    def changed(self, model: str, scope: str) -> None:
        """The champion moved: follow it. Where there is none any more, let go of all that is loaded."""
        with self._lock:
            self._named = None
        if self._has_champion(model, scope):
            self._follow((model, scope))
            return
        with self._loading((model, scope)):
            slot = self._slots.pop((model, scope), None)
            self._used.pop((model, scope), None)
            if slot is not None and slot.champion is not None:
                number = str(slot.champion.version.version)
                metrics.model_version_info.labels(_spoken((model, scope)), number).set(0)

    def _has_champion(self, model: str, scope: str) -> bool:
        try:
            return CHAMPION in self._registry.model(model, scope).aliases
        except NotFound:
            return False

    def sync(self) -> list[Reloaded]:
        """Follow the champions of the whole shop and those of its parts that are in memory; what failed is in the
        answer and goes on as it was."""
        with self._lock:
            self._named = None
        keys = [(info.name, info.scope) for info in self._registry.models() if CHAMPION in info.aliases]
        return [self._follow(key) for key in keys if key[1] == _ALL or key in self._slots]

    def reload(self, model: str | None = None) -> list[Reloaded]:
        """Load the champions again from disk and swap, of one model (all its scopes) or all that are in memory.

        Raises NotFound.
        """
        infos = [info for info in self._registry.models() if model in (None, info.name)]
        if model is not None and not infos:
            self._registry.model(model)
        keys = [(info.name, info.scope) for info in infos if CHAMPION in info.aliases]
        wanted = [key for key in keys if model is not None or key[1] == _ALL or key in self._slots]
        return [self._follow(key, again=True) for key in wanted]

    def _champion(self, model: str, scope: str) -> Loaded:
        if CHAMPION in self._registry.model(model, scope).aliases:
            self._follow((model, scope))
        slot = self._slots.get((model, scope), Slot())
        if slot.champion is None:
            why = slot.problem or "it has no champion yet: train it or promote a version"
            raise Unavailable(f"model {model!r} does not serve: {why}", code="not_loaded")
        return slot.champion

    def _follow(self, key: Key, *, again: bool = False) -> Reloaded:
        with self._loading(key):
            slot = self._slots.get(key, Slot())
            old = slot.champion.version.version if slot.champion is not None else None
            try:
                loaded = self._wanted(key, slot, again)
            except ShopkeeperError as error:
                return self._failed(key, slot, old, error)
            if loaded is not slot.champion:
                self._switch(key, slot, loaded)
            elif slot.problem is not None:
                self._put(key, replace(slot, problem=None))
            return _reloaded(key, old, loaded)

    def _wanted(self, key: Key, slot: Slot, again: bool) -> Loaded:
        wanted = self._registry.version(key[0], CHAMPION, key[1])
        there = None if again else slot.find(wanted.version)
        return there or self._load(wanted)

    def _failed(self, key: Key, slot: Slot, old: int | None, error: ShopkeeperError) -> Reloaded:
        """The old version goes on. At a start there is none: then the newest earlier champion that loads."""
        log.error("model %s keeps version %s: %s", _spoken(key), old, error.message)
        slot = replace(slot, problem=error.message)
        self._put(key, slot)
        serves = slot.champion
        if serves is None and (serves := self._earlier(key)) is not None:
            self._switch(key, slot, serves, problem=error.message)
        return _reloaded(key, old, serves, error)

    def _earlier(self, key: Key) -> Loaded | None:
        tried: set[int] = set()
        for change in self._registry.history(key[0], key[1])[1:]:
            if change.version is None or change.version in tried:
                continue
            tried.add(change.version)
            try:
                return self._load(self._registry.version(key[0], change.version, key[1]))
            except ShopkeeperError as error:
                log.error("model %s v%s cannot stand in: %s", _spoken(key), change.version, error.message)
        return None

    def _switch(self, key: Key, slot: Slot, loaded: Loaded, problem: str | None = None) -> None:
        """The one assignment that requests see."""
        old = slot.champion
        rest = tuple(k for k in slot.kept if k.version.version != loaded.version.version)
        fresh = Slot(champion=loaded, kept=rest, problem=problem)
        self._put(key, fresh if old is None else fresh.keeping(old, self._pins.get(key, frozenset())))
        if old is not None:
            metrics.model_version_info.labels(_spoken(key), str(old.version.version)).set(0)
        metrics.model_version_info.labels(_spoken(key), str(loaded.version.version)).set(1)
        log.info("model %s serves version %s", _spoken(key), loaded.version.version)

    def _keep(self, version: Version) -> Loaded:
        """A version kept warm beside the champion, loaded when it is not in memory."""
        key = (version.model, version.scope)
        with self._loading(key):
            slot = self._slots.get(key, Slot())
            loaded = slot.find(version.version) or self._load(version)
            if loaded is not slot.champion:
                self._put(key, slot.keeping(loaded, self._pins.get(key, frozenset())))
            return loaded

    def _put(self, key: Key, slot: Slot) -> None:
        """Let go of the scoped models that were asked for longest ago, when this one is one too many."""
        self._slots[key] = slot
        if key[1] == _ALL:
            return
        self._used[key] = next(self._uses)
        with self._lock:
            loose = [each for each in self._used.copy() if not self._pins.get(each)]
            for old in sorted(loose, key=self._used.__getitem__)[: max(len(loose) - self._scoped_kept, 0)]:
                self._let_go(old)

    def _let_go(self, key: Key) -> None:
        self._used.pop(key, None)
        slot = self._slots.pop(key, None)
        if slot is not None and slot.champion is not None:
            with suppress(KeyError):
                metrics.model_version_info.remove(_spoken(key), str(slot.champion.version.version))

    def _load(self, version: Version) -> Loaded:
        try:
            loaded = load_version(version, self._registry.folder(version))
        except ShopkeeperError:
            metrics.model_reload_total.labels("failed").inc()
            raise
        metrics.model_reload_total.labels("success").inc()
        return loaded

    def _loading(self, key: Key) -> threading.RLock:
        with self._lock:
            return self._locks.setdefault(key, threading.RLock())


def _reloaded(key: Key, old: int | None, now: Loaded | None, error: ShopkeeperError | None = None) -> Reloaded:
    return Reloaded(
        name=key[0],
        scope=key[1],
        old=old,
        new=now.version.version if now is not None else None,
        feature_count=len(now.version.feature_names) if now is not None else 0,
        error=error.message if error is not None else None,
        code=error.code if error is not None else None,
    )


def _spoken(key: Key) -> str:
    return key[0] if key[1] == "all" else f"{key[0]}[{key[1]}]"
