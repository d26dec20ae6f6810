"""Other ways to ask a model: what it embeds or recalls, as rows of the prediction wire.

    user    {user_features, history_item_ids} or bare features -> a vector       EmbedsUsers
    item    {item_features} or bare features                   -> a vector       EmbedsItems
    query   {query_features} or bare features                  -> a vector       EmbedsQueries
    ids     {user_id, top_k=20}                                -> ids            Recalls
    recall  the same                                           -> [ids, scores]  Recalls

Both towers of a version are so asked by names of their own and are still swapped as one. Vectors of two versions do not
go together: a view is answered by the champion, or by the version that is named, and never shared between versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import EmbedsItems, EmbedsQueries, EmbedsUsers, Recalls

if TYPE_CHECKING:
    from shopkeeper.lifecycle.loading import Loaded

View = Literal["user", "item", "query", "ids", "recall"]
TOP_K, MOST_K = 20, 500


@dataclass(frozen=True)
class WireName:
    """A name that older clients ask by, where no model is called so: the view, and of which algorithm's model."""

    view: View
    of: str


WIRE: Mapping[str, WireName] = {
    "user_tower": WireName("user", "two_tower"),
    "item_tower": WireName("item", "two_tower"),
    "graph_recall": WireName("ids", "node2vec"),
}


class Seen:
    """A model in one of its views: a row scorer. Its columns are whatever the rows name."""

    feature_names: tuple[str, ...] = ()
    needs: ClassVar[type]
    output: ClassVar[str] = "vector"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.loop_rows = int(getattr(model, "loop_rows", 0))

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [self._one(row) for row in rows]

    def _one(self, row: Mapping[str, Any]) -> Any:
        raise NotImplementedError


class Users(Seen):
    needs = EmbedsUsers

    def _one(self, row: Mapping[str, Any]) -> Any:
        history = row.get("history_item_ids")
        taken = None if history is None else ids_of(history, "history_item_ids")
        return self.model.user_embedding(_features(row, "user_features"), taken)


class Items(Seen):
    needs = EmbedsItems

    def _one(self, row: Mapping[str, Any]) -> Any:
        return self.model.item_embedding(_features(row, "item_features"))


class Queries(Seen):
    needs = EmbedsQueries

    def _one(self, row: Mapping[str, Any]) -> Any:
        return self.model.query_embedding(_features(row, "query_features"))


class Recalled(Seen):
    needs = Recalls
    output = "list"

    def _one(self, row: Mapping[str, Any]) -> Any:
        ids, scores = self.model.recall(_id(row.get("user_id"), "user_id"), _top_k(row.get("top_k")))
        return [list(ids), list(map(float, scores))]


class Ids(Recalled):
    def _one(self, row: Mapping[str, Any]) -> Any:
        return super()._one(row)[0]


VIEWS: Mapping[str, type[Seen]] = {"user": Users, "item": Items, "query": Queries, "ids": Ids, "recall": Recalled}


def seen(model: Any, view: View, name: str) -> Seen:
    """Raises Invalid (`wrong_model`) when the model called `name` cannot be asked so."""
    kind = VIEWS[view]
    if not _able(model, view):
        what = "recalls nothing for users" if kind.output == "list" else f"gives no vector of a {view}"
        raise Invalid(f"model {name!r} {what}", code="wrong_model", field="model")
    return kind(model)


def meant(held: Iterable[Loaded], view: View, names: Iterable[str]) -> Loaded | None:
    """Who is asked in a view under one of `names`, the first one first: a model that is called so, else the first one
    by name whose algorithm is."""
    there = sorted((one for one in held if _able(one.model, view)), key=lambda one: one.version.model)
    for name in names:
        for named in ("model", "algorithm"):
            found = next((one for one in there if getattr(one.version, named) == name), None)
            if found is not None:
                return found
    return None


def _able(model: object, view: View) -> bool:
    """Whether it can be asked so. Looking at a protocol takes longer than a vector does: once a class."""
    key = (type(model), view)
    if key not in _ABLE:
        _ABLE[key] = isinstance(model, VIEWS[view].needs)
    return _ABLE[key]


_ABLE: dict[tuple[type, View], bool] = {}


def ids_of(given: Any, field: str) -> list[str]:
    """Texts and whole numbers are ids. Raises Invalid."""
    if not isinstance(given, list):
        raise Invalid(f"{field} must be a list of ids, not {type(given).__name__}", code="bad_row", field=field)
    return [_id(one, field) for one in given]


def _features(row: Mapping[str, Any], named: str) -> Mapping[str, Any]:
    """What stands under `named`, else the row itself but for what is no feature."""
    if named not in row:
        return {name: value for name, value in row.items() if name != "history_item_ids"}
    given = row[named]
    if not isinstance(given, dict):
        raise Invalid(f"{named} must be an object of features, not {type(given).__name__}", code="bad_row", field=named)
    return given


def _id(given: Any, field: str) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise Invalid(f"{field} must be an id, not {type(given).__name__}", code="bad_row", field=field)
    return str(given)


def _top_k(given: Any) -> int:
    """20 when nothing is said; at least 1, at most 500."""
    if given is None:
        return TOP_K
    whole = isinstance(given, int | float) and not isinstance(given, bool) and given == given // 1
    if not whole:
        raise Invalid(f"top_k must be a whole number, not {given!r}"[:200], code="bad_row", field="top_k")
    return int(min(max(given, 1), MOST_K))
