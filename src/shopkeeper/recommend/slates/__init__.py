"""Kept answers: every slate passes through `Front`, which computes it once and answers it as often as it still holds.

front = Front(recommend.make, users=..., clock=..., log=...)
front.again(body)                # at once: the answer to a body that was answered before, or None
await front.answer(request)      # from the cache, from another process, with others who ask the same, or computed
"""

from __future__ import annotations

from shopkeeper.recommend.slates.front import Front, FrontFacts

__all__ = ["Front", "FrontFacts"]
