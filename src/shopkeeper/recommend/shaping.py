"""What scenarios make of a shop: which items may appear, and in which order the best of them are shown."""

from __future__ import annotations

from shopkeeper.core.protocols import VectorSpace
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.cover import Cover, Pieces
from shopkeeper.recommend.eligible import Rows, Shelf
from shopkeeper.recommend.filters import Filters
from shopkeeper.recommend.itemcolumns import Attributes, ItemColumns
from shopkeeper.recommend.itemrules import ItemRules
from shopkeeper.recommend.rerank import Reranker
from shopkeeper.recommend.shown import LatelyShown
from shopkeeper.recommend.tastes import Tastes


class Shaping:
    """Filters and reranker over one state and one shelf. Used on the thread that owns the state."""

    def __init__(
        self,
        state: FeatureState,
        shelf: Shelf,
        items: Rows,
        *,
        on_hand: Pieces | None = None,
        daily: Pieces | None = None,
        attributes: Attributes | None = None,
        space: VectorSpace | None = None,
        tastes: Tastes | None = None,
        shown: LatelyShown | None = None,
    ) -> None:
        """`daily` pieces of each item that are sold a day; `space` has the vectors that say which items are alike."""
        self._items = items
        self._given = (on_hand, daily, attributes, tastes, shown)
        self.columns = ItemColumns(shelf, state, Cover(on_hand, daily), attributes)
        rules = ItemRules(self.columns)
        self.filters = Filters(shelf, state, self.columns, rules, items=items, tastes=tastes, shown=shown)
        self.reranker = Reranker(shelf, self.columns, rules, tastes=tastes, space=space)

    def over(self, state: FeatureState, shelf: Shelf, space: VectorSpace | None) -> Shaping:
        """The same over another state, other items and another space, for a question that nobody keeps."""
        on_hand, daily, attributes, tastes, shown = self._given
        return Shaping(
            state,
            shelf,
            self._items,
            on_hand=on_hand,
            daily=daily,
            attributes=attributes,
            space=space,
            tastes=tastes,
            shown=shown,
        )
