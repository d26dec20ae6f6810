"""Which nodes and edges a shop's graph has: users, items of each kind, attribute nodes, a relation per event type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shopkeeper.core.errors import Invalid

USER = "user"
CATEGORY = "category"
_REVERSE = "rev_"


@dataclass(frozen=True, order=True)
class Relation:
    """Edges from nodes of type `source` to nodes of type `target`; messages flow along them."""

    source: str
    name: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} / {self.name} / {self.target}"

    @classmethod
    def read(cls, text: str) -> Relation:
        """From `a / rel / b`. Raises Invalid."""
        parts = text.split(" / ")
        if len(parts) != 3 or not all(parts):
            raise Invalid(f"{text!r} is no relation, expected 'user / order / product'", field="relation")
        return cls(*parts)

    @property
    def reverse(self) -> Relation:
        """The same edges the other way round."""
        return Relation(
            self.target, self.name.removeprefix(_REVERSE) if self.backward else _REVERSE + self.name, self.source
        )

    @property
    def backward(self) -> bool:
        """It is the reverse of another."""
        return self.name.startswith(_REVERSE)


@dataclass(frozen=True)
class GraphSchema:
    """Node types and relations in a fixed order. Each relation stands beside its reverse."""

    node_types: tuple[str, ...]
    relations: tuple[Relation, ...]

    @classmethod
    def of(cls, node_types: Iterable[str], forward: Iterable[Relation]) -> GraphSchema:
        """From the relations that run forward. Raises Invalid for one whose ends are no node types."""
        types = tuple(node_types)
        relations: list[Relation] = []
        for relation in sorted(set(forward)):
            if relation.source not in types or relation.target not in types:
                raise Invalid(f"relation {relation} ends in a node type that does not exist: {', '.join(types)}")
            relations += [relation, relation.reverse]
        return cls(types, tuple(relations))

    @property
    def forward(self) -> tuple[Relation, ...]:
        return tuple(relation for relation in self.relations if not relation.backward)

    def into(self, node_type: str) -> tuple[Relation, ...]:
        """Relations whose messages arrive at nodes of a type."""
        return tuple(relation for relation in self.relations if relation.target == node_type)

    def out_of(self, node_type: str) -> tuple[Relation, ...]:
        """Relations along which nodes of a type are heard."""
        return tuple(relation for relation in self.relations if relation.source == node_type)
