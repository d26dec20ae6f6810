"""The vectors of a space on the disk: what a start takes over, so that only what changed meanwhile is computed.

HOME/spaces/hgt/<name>/   manifest.json, <type>_h0.npy ..., <type>_reads.npy, _owed.npy, _hub.npy, _keys.npy

A folder is written elsewhere, sealed with the SHA-256 of each file, and moved into place by one rename. The newest one
that is whole counts. It holds numbers by row, no id of a user.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from shopkeeper.core.errors import ShopkeeperError, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import FileEntry
from shopkeeper.profiles.graph.adjacency import LiveGraph
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.schema import CATEGORY, USER
from shopkeeper.profiles.graph.states import Kept
from shopkeeper.stores.artifacts import read_manifest, seal, sync_folder, verify

log = logging.getLogger(__name__)
_PARTS = ("reads", "owed", "hub")


class SpaceMeta(msgspec.Struct, kw_only=True, frozen=True):
    """Which vectors these are: of a version of `model`, `seq` the last event of the log that was read, `reference` the
    moment (us, shop time) by which edges are young or old, `built_at` (us, real time) when all was last computed.
    `data` names what rows mean: other data have another. `layers` by node type; `categories` in the order of their
    nodes."""

    model: str
    version: int
    data: str
    seq: int
    reference: int
    built_at: int
    layers: dict[str, int]
    categories: list[str]


class Space(msgspec.Struct, frozen=True):
    """`keys` (k,) by node type: rows of users and items, places in `meta.categories`."""

    meta: SpaceMeta
    keys: Mapping[str, Ints]
    kept: Mapping[str, Kept]


def keys_of(graph: LiveGraph, kept: Mapping[str, Kept]) -> dict[str, Ints]:
    """What the nodes of a live graph are called on the disk."""
    found = {}
    for name, states in kept.items():
        own = name in (USER, CATEGORY)
        found[name] = states.nodes if own else graph.item_rows(name)[states.nodes].astype(np.int64)
    return found


def placed(graph: LiveGraph, space: Space) -> dict[str, Kept]:
    """The states as those of a live graph's nodes; what is no node there, or of another kind, is left out."""
    found = {}
    for name, kept in space.kept.items():
        keys = space.keys[name]
        if name == CATEGORY:
            names = [space.meta.categories[key] for key in keys.tolist()]
            places = np.array([graph.categories.get(one, -1) for one in names], dtype=np.int64)
        else:
            places = graph.places(name, keys)
        where = np.flatnonzero(places >= 0)
        found[name] = kept.some(where, places[where])
    return found


def write(folder: Path, space: Space) -> None:
    """Into an existing empty folder, durably."""
    for number, (name, kept) in enumerate(space.kept.items()):
        arrays = {f"h{layer}": h for layer, h in enumerate(kept.h)}
        arrays |= {part: getattr(kept, part) for part in _PARTS} | {"keys": space.keys[name]}
        for part, values in arrays.items():
            np.save(folder / f"{number}_{part}.npy", values, allow_pickle=False)
    if not space.kept:
        np.save(folder / "0_keys.npy", np.empty(0, dtype=np.int64), allow_pickle=False)
    seal(folder, {"space": msgspec.to_builtins(space.meta)})


def read(folder: Path) -> Space:
    """Raises Unavailable, NotFound for what is not exactly as it was written."""
    manifest = read_manifest(folder)
    try:
        meta = msgspec.convert(manifest["space"], SpaceMeta)
        verify(folder, msgspec.convert(manifest["files"], list[FileEntry]))
        keys, kept = {}, {}
        for number, (name, layers) in enumerate(meta.layers.items()):
            arrays = {part: _load(folder / f"{number}_{part}.npy") for part in (*_PARTS, "keys")}
            h = [_load(folder / f"{number}_h{layer}.npy") for layer in range(layers)]
            keys[name] = arrays["keys"]
            nodes = np.arange(len(arrays["keys"]), dtype=np.int64)
            kept[name] = Kept(nodes, h, arrays["reads"], arrays["owed"], arrays["hub"])
    except (KeyError, msgspec.ValidationError, OSError, ValueError) as error:
        raise Unavailable(f"the vectors in {folder.name} cannot be read ({error})", code="artifact_broken") from error
    return Space(meta, keys, kept)


class Shelf:
    """The folder of a space's snapshots. From any thread: one writes, others wait."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()

    def newest(self, data: str) -> Space | None:
        """The newest of this data that is whole; what is broken is told."""
        for folder in sorted(self._folders(), reverse=True):
            try:
                if (space := read(folder)).meta.data == data:
                    return space
            except ShopkeeperError as error:
                log.error("vectors of the graph are left out: %s", error.message)
        return None

    def take(self, sealed: Path) -> None:
        """Moves a folder that was written elsewhere in here, as the only one."""
        with self._lock:
            self._place(sealed)

    def save(self, space: Space) -> None:
        """Writes a new one, and removes those before it."""
        with self._lock:
            self._save(space)

    def _save(self, space: Space) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._root / f".new-{ulid()}"
        fresh.mkdir(mode=0o700)
        try:
            write(fresh, space)
            self._place(fresh)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise

    def _place(self, sealed: Path) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = [*self._folders(), *self._root.glob(".new-*")]
        target = self._root / ulid()
        os.rename(sealed, target)
        sync_folder(self._root)
        for folder in before:
            if folder != sealed:
                shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return [folder for folder in self._root.glob("[!.]*") if folder.is_dir()] if self._root.is_dir() else []


def _load(path: Path) -> Any:
    return np.load(path, allow_pickle=False)
