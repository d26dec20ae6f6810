"""Of what a model is: everything, one store, one category or one product, as text `all`, `store:S1`, `category:Tea`,
`product:P1`; a product or category in one store is `product:P1@S1`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, cast, get_args

import msgspec

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.ids import check_id

Kind = Literal["all", "store", "category", "product"]


class Scope(msgspec.Struct, frozen=True):
    """`id` is the store's, category's or product's; None for all. `store` narrows a category or product."""

    kind: Kind = "all"
    id: str | None = None
    store: str | None = None

    def __str__(self) -> str:
        if self.kind == "all":
            return "all"
        return f"{self.kind}:{self.id}" + ("" if self.store is None else f"@{self.store}")

    @classmethod
    def parse(cls, text: str) -> Scope:
        """An id may hold "@": it is split at the last one. Raises Invalid (`bad_scope`)."""
        if text == "all":
            return ALL
        kind, _, id = text.partition(":")
        if kind not in get_args(Kind) or kind == "all" or not id:
            raise Invalid(
                f"scope {text[:80]!r} must be all, store:ID, category:NAME or product:ID",
                code="bad_scope",
                field="scope",
            )
        store = None
        if kind != "store" and "@" in id:
            id, _, store = id.rpartition("@")
            check_id(store, "scope")
        return cls(cast(Kind, kind), check_id(id, "scope"), store)

    def wider(self) -> tuple[Scope, ...]:
        """The scopes that hold this one, narrowest first: a product's store, then all. Itself is not among them."""
        answer: list[Scope] = []
        if self.store is not None:
            answer += [Scope(self.kind, self.id), Scope("store", self.store)]
        return (*answer, ALL) if self.kind != "all" else ()


ALL = Scope()

_MODES = {"all": "global", "store": "store", "category": "category", "product": "product"}
_UID = re.compile(r"(global|store|category|product)_(.+)_v([1-9]\d{0,8})", re.S)


def model_uid(scope: Scope, algorithm: str, version: int) -> str:
    """`product_P001_all_mlstm_v2`, `product_P001_S1_kan_v1`, `global_all_all_kan_v3`."""
    store = "all" if scope.store is None else _escaped(scope.store)
    return f"{_MODES[scope.kind]}_{scope.id or 'all'}_{store}_{algorithm}_v{version}"


def parse_uid(uid: str, algorithms: Iterable[str]) -> tuple[Scope, str, int]:
    """Scope, algorithm and version of a uid; of several algorithms that end it alike, the longest.

    Raises NotFound (`unknown_model`): a uid that is none names no model.
    """
    found = _UID.fullmatch(uid)
    known = sorted(algorithms, key=len, reverse=True)
    name = next((one for one in known if found and found[2].endswith("_" + one)), None)
    if found is None or name is None:
        raise NotFound(f"no model {uid[:160]!r}; see /api/models", code="unknown_model")
    id, _, store = found[2][: -len(name) - 1].rpartition("_")
    kind = next(kind for kind, mode in _MODES.items() if mode == found[1])
    if kind == "all":
        return ALL, name, int(found[3])
    return Scope(cast(Kind, kind), id, None if store == "all" else _plain(store)), name, int(found[3])


def _escaped(store: str) -> str:
    """No "_" in it, and not the word that stands for every store."""
    return "%61ll" if store == "all" else store.replace("%", "%25").replace("_", "%5F")


def _plain(store: str) -> str:
    return re.sub("%(61|5F|25)", lambda code: chr(int(code[1], 16)), store)
