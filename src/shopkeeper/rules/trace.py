"""Why a rule matches a user or not, and what would change that, in the rule's own terms.

`why` names the conditions that decide: all of a matching `and`, the failing ones of a failing `and`, and the other way
round for `or`. `what_would_change` names a smallest set of conditions that would have to turn, with the distance of
each number from its bound.
"""

from __future__ import annotations

from dataclasses import dataclass

from shopkeeper.core.language import Lang
from shopkeeper.rules.leaves import Leaf, Row, read
from shopkeeper.rules.phrases import PHRASES, Phrases
from shopkeeper.rules.tree import And, Compare, Node, Not, Or

_MANY = 6
"""Conditions named in one sentence; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Trace:
    """`leaves` are all compared conditions in the order of the text, `changes` those that would have to turn."""

    matched: bool
    why: str
    what_would_change: str
    leaves: tuple[Leaf, ...]
    changes: tuple[Leaf, ...]


def trace(rule: Node, row: Row, lang: Lang = "en") -> Trace:
    """`row` comes from `Schema.row`."""
    words = PHRASES[lang]
    tree = _read(rule, row, words)
    changes = _turn(tree)
    return Trace(
        matched=tree.holds,
        why=_sentence([leaf.says for leaf in _deciding(tree)], words),
        what_would_change=_sentence([leaf.would for leaf in changes], words),
        leaves=tuple(_leaves(tree)),
        changes=tuple(changes),
    )


@dataclass(frozen=True, slots=True)
class _Branch:
    """`all_needed`: it holds when every part holds (and); else when one does (or). Negations are pushed down."""

    holds: bool
    all_needed: bool
    parts: tuple[_Branch | Leaf, ...]


def _read(node: Node, row: Row, words: Phrases, wanted: bool = True) -> _Branch | Leaf:
    """`wanted` False under an odd number of negations: `not (a and b)` is read as `not a or not b`."""
    match node:
        case Not(inner=inner):
            return _read(inner, row, words, not wanted)
        case And(parts=nodes) | Or(parts=nodes):
            parts = tuple(_read(part, row, words, wanted) for part in nodes)
            all_needed = isinstance(node, And) is wanted
            holds = all(p.holds for p in parts) if all_needed else any(p.holds for p in parts)
            return _Branch(holds, all_needed, parts)
        case Compare(op=op, left=left, right=right) if left.type == "bool":
            return _read_same(left, right, row, words, (op == "==") is wanted)
    return read(node, row, wanted, words)


def _read_same(left: Node, right: Node, row: Row, words: Phrases, wanted: bool) -> _Branch:
    """`left == right` of conditions reads as both or neither; unequal as one of the two."""
    ways = tuple(
        _both(_read(left, row, words, this), _read(right, row, words, this is wanted)) for this in (True, False)
    )
    return _Branch(any(way.holds for way in ways), False, ways)


def _both(left: _Branch | Leaf, right: _Branch | Leaf) -> _Branch:
    return _Branch(left.holds and right.holds, True, (left, right))


def _leaves(tree: _Branch | Leaf) -> list[Leaf]:
    return [tree] if isinstance(tree, Leaf) else [leaf for part in tree.parts for leaf in _leaves(part)]


def _deciding(tree: _Branch | Leaf) -> list[Leaf]:
    """The leaves that make the tree hold or fail."""
    if isinstance(tree, Leaf):
        return [tree]
    return [leaf for part in tree.parts if part.holds == tree.holds for leaf in _deciding(part)]


def _turn(tree: _Branch | Leaf) -> list[Leaf]:
    """A smallest set of leaves whose turning turns the tree."""
    if isinstance(tree, Leaf):
        return [tree]
    decisive = [part for part in tree.parts if part.holds == tree.holds]
    if tree.all_needed is not tree.holds:  # a failing `and`, a holding `or`: every decisive part has to turn
        return [leaf for part in decisive for leaf in _turn(part)]
    return min((_turn(part) for part in decisive), key=_cost)


def _cost(leaves: list[Leaf]) -> tuple[bool, int, float]:
    return any(leaf.fixed for leaf in leaves), len(leaves), sum(leaf.effort for leaf in leaves)


def _sentence(parts: list[str], words: Phrases) -> str:
    unique = list(dict.fromkeys(parts))
    shown = unique[:_MANY]
    rest = len(unique) - len(shown)
    return words.joined.join(shown) + (words.and_more.format(rest) if rest else "")
