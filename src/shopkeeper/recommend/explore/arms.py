"""The numbers that a learner keeps of its arms, and how they are kept: npz without objects, in SQL and in versions."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.explore.policy import FORGOTTEN, Numbers

_FACTS, _COLUMN = "facts", "column."


@dataclass(frozen=True)
class Kept:
    """What a policy has learned, frozen. `columns` {name: float64 (n + 1, ...)}: a row for each of the n arms and,
    last, what an arm begins with; so place -1 is right for an arm that was never seen. `rounds`: rounds it learned."""

    policy: str
    params: dict[str, Any]
    rounds: int
    arm_ids: tuple[str, ...]
    columns: Mapping[str, Numbers]
    dimension: int = 1
    context_names: tuple[str, ...] = ()

    def pack(self) -> bytes:
        """As bytes; arms that were forgotten are left out."""
        living = np.array([at for at, arm in enumerate(self.arm_ids) if arm != FORGOTTEN] + [len(self.arm_ids)])
        facts = {
            "policy": self.policy,
            "params": self.params,
            "rounds": self.rounds,
            "arm_ids": [arm for arm in self.arm_ids if arm != FORGOTTEN],
            "dimension": self.dimension,
            "context_names": self.context_names,
        }
        into = io.BytesIO()
        arrays: dict[str, NDArray[Any]] = {_COLUMN + name: column[living] for name, column in self.columns.items()}
        arrays[_FACTS] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
        np.savez(into, allow_pickle=False, **arrays)
        return into.getvalue()

    @classmethod
    def unpack(cls, state: bytes, policy: str) -> Kept:
        """What `pack` gave. Raises Invalid (`bad_state`) for other bytes, and for those of another policy."""
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as stored:
                facts = json.loads(stored[_FACTS].tobytes())
                names = [name for name in stored.files if name.startswith(_COLUMN)]
                columns = {name.removeprefix(_COLUMN): _frozen(stored[name]) for name in names}
            facts = {**facts, "arm_ids": tuple(facts["arm_ids"]), "context_names": tuple(facts["context_names"])}
            kept = cls(columns=columns, **facts)
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise Invalid(
                f"the state of a {policy} policy cannot be read ({error}); begin anew from the logged rounds",
                code="bad_state",
            ) from error
        if kept.policy != policy or any(len(column) != len(kept.arm_ids) + 1 for column in kept.columns.values()):
            raise Invalid(f"this is a state of policy {kept.policy!r}, expected {policy!r}", code="bad_state")
        return kept


@dataclass
class ArmBook:
    """Arms by place, and columns of numbers that grow with them. `begin` {column: what a new arm begins with}."""

    begin: Mapping[str, Numbers]
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._at = {arm: place for place, arm in enumerate(self.ids) if arm != FORGOTTEN}
        self._room = max(63, len(self.ids))
        self.columns = {name: np.repeat(first[None], self._room + 1, axis=0) for name, first in self.begin.items()}

    @classmethod
    def of(cls, kept: Kept, begin: Mapping[str, Numbers]) -> ArmBook:
        """Raises Invalid (`bad_state`) where its columns are others."""
        book = cls(begin, list(kept.arm_ids))
        for name, column in book.columns.items():
            stored = kept.columns.get(name)
            if stored is None or stored.shape[1:] != column.shape[1:]:
                raise Invalid(f"a state of {kept.policy} lacks the column {name!r} as it is now", code="bad_state")
            column[: len(book.ids)] = stored[:-1]
        return book

    def __len__(self) -> int:
        return len(self.ids)

    def place(self, arm_id: str) -> int:
        found = self._at.get(arm_id)
        if found is not None:
            return found
        if arm_id == FORGOTTEN:
            raise Invalid("an arm without an id cannot be learned of", code="unknown_arm", field="arm")
        if len(self.ids) == self._room:
            self._grow()
        self._at[arm_id] = place = len(self.ids)
        self.ids.append(arm_id)
        return place

    def living(self, arm: int) -> bool:
        """False: it was forgotten. Raises Invalid (`unknown_arm`) for what never was a place."""
        if not 0 <= arm < len(self.ids):
            raise Invalid(
                f"place {arm} is none of the {len(self.ids)} arms: ask `place` first", code="unknown_arm", field="arm"
            )
        return self.ids[arm] != FORGOTTEN

    def forget(self, arm: int) -> None:
        if self.living(arm):
            del self._at[self.ids[arm]]
            self.ids[arm] = FORGOTTEN
            for name, first in self.begin.items():
                self.columns[name][arm] = first

    def frozen(self) -> dict[str, Numbers]:
        """Copies of all columns, with the row of a new arm at their end."""
        return {name: _frozen(column[: len(self.ids) + 1].copy()) for name, column in self.columns.items()}

    def _grow(self) -> None:
        self._room = 2 * self._room + 1
        for name, column in self.columns.items():
            more = np.repeat(self.begin[name][None], self._room + 1, axis=0)
            more[: len(column)] = column
            self.columns[name] = more


def _frozen(column: Numbers) -> Numbers:
    column.flags.writeable = False
    return column
