"""What the types of events mean to features: a sale, a return, interest in an item, or just something that happened."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray


class Role:
    """Plain numbers: they are compared with int8 columns on the hot path."""

    OTHER: Final = 0
    ORDER: Final = 1
    RETURN: Final = 2
    INTEREST: Final = 3


_INTEREST = frozenset({"view", "click", "cart", "like", "share", "comment", "rating", "dwell", "save", "accept"})


class TypeNames(Protocol):
    """The vocabulary of event types, as the store keeps it; it only ever grows."""

    def id(self, row: int) -> str: ...

    def row(self, id_: str, /) -> int | None: ...


class EventKinds:
    """Rows of event types -> roles. New types are looked up when the first event of them arrives."""

    def __init__(self, types: TypeNames) -> None:
        self._types = types
        self._names: list[str] = []
        self._roles = np.empty(0, dtype=np.int8)

    def fork(self, types: TypeNames) -> EventKinds:
        """The same, with more types: `types` has those of this one, then others."""
        forked = EventKinds(types)
        forked._names, forked._roles = self._names.copy(), self._roles  # roles are replaced, never written to
        return forked

    def __len__(self) -> int:
        """Types met so far: one more than the highest row."""
        return len(self._names)

    def roles(self, types: NDArray[np.int32]) -> NDArray[np.int8]:
        """The role of each type row; shape of `types`."""
        if len(types) and (top := int(types.max())) >= len(self._names):
            self._meet(top)
        return self._roles[types]

    def name(self, row: int) -> str:
        if row >= len(self._names):
            self._meet(row)
        return self._names[row]

    def row(self, name: str) -> int | None:
        """The row of a type, None when no event of it was ever stored."""
        return self._types.row(name)

    def _meet(self, top: int) -> None:
        self._names += [self._types.id(row) for row in range(len(self._names), top + 1)]
        self._roles = np.array([_role(name) for name in self._names], dtype=np.int8)


def _role(name: str) -> int:
    if name == "order":
        return Role.ORDER
    if name == "return":
        return Role.RETURN
    return Role.INTEREST if name in _INTEREST else Role.OTHER
