"""Of what a model is: everything, one store, one category or one product, as text `all`, `store:S1`, `category:Tea`,
`product:P1`; a product or category in one store is `product:P1@S1`."""

from __future__ import annotations

from typing import Literal, cast, get_args

import msgspec

from shopkeeper.core.errors import Invalid
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
