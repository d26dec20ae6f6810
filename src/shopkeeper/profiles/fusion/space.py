"""What a fusion says of the item vectors that another model has published."""

from __future__ import annotations

from typing import Any

from shopkeeper.core.clock import rfc3339
from shopkeeper.lifecycle.spaces import ItemSpace, published_vectors
from shopkeeper.profiles.fusion.blocks import Cutoffs

__all__ = ["look_ahead", "published_vectors"]


def look_ahead(space: ItemSpace | None, at: Cutoffs) -> dict[str, Any]:
    """What the manifest says of the space: which, up to when it has learned, and how many of the training months begin
    before that: of these it knows more than it could have then.

    Raises Conflict when it has learned from the days on which the fusion is to be measured.
    """
    if space is None:
        return {}
    space.check_before(at.holdout, "this fusion")
    ahead = None if space.until is None else sum(cutoff < space.until for cutoff in at.training)
    until = None if space.until is None else rfc3339(space.until)
    return {"space_version": space.version, "space_until": until, "space_ahead_of": ahead}
