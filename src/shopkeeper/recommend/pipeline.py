"""From a question to a slate: filter -> recall -> rank -> rerank -> explore -> explain.

Each stage is timed and has a fallback; only slots of a scenario that explores pass the one before the last.

What may not appear is masked first, so that it takes no channel's places. A stage that raises, or for which no time is
left, is left out and named in `fallbacks`; a slate always comes, from the live windows alone if need be.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import SystemClock
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.protocols import VectorSpace
from shopkeeper.features.base import Ask
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.asking import Asked, Channels, Question, Told
from shopkeeper.recommend.attempts import Run
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.candidates import Candidates, Quota, fuse
from shopkeeper.recommend.channels import MEANING, OF_THE_BOUGHT, Channel, Recalled, Trending
from shopkeeper.recommend.described import QUERY, narrowed
from shopkeeper.recommend.draft import Draft, Slate, Wish
from shopkeeper.recommend.eligible import Rows, Shelf, drop, narrow, within_scenario
from shopkeeper.recommend.explore.asked import Exploring
from shopkeeper.recommend.explore.explored import Explored
from shopkeeper.recommend.explore.stage import Stage
from shopkeeper.recommend.history import History, given_items, history_of, unwanted
from shopkeeper.recommend.made import Seen
from shopkeeper.recommend.newcomers import New
from shopkeeper.recommend.reasons import Reason, reasons
from shopkeeper.recommend.rerank import Ranked
from shopkeeper.recommend.scoring import Desk, Scoring
from shopkeeper.recommend.shaping import Shaping


class Pipeline:
    """Reads the live state, so it is used on the thread that owns it."""

    def __init__(
        self,
        state: FeatureState,
        shelf: Shelf,
        items: Rows,
        binder: Binder,
        shaping: Shaping | None = None,
        space: VectorSpace | None = None,
        scoring: Scoring | None = None,
        told: Told | None = None,
        stage: Stage | None = None,
    ) -> None:
        """Without a `stage` nothing is explored."""
        self._stage = stage
        self._scoring = Scoring(SystemClock()) if scoring is None else scoring
        self._state = state
        self._shelf = shelf
        self._items = items
        self._binder = binder
        self._shaping = Shaping(state, shelf, items, space=space) if shaping is None else shaping
        self._trending = Trending(state)
        self._asking = Channels(state, binder, {} if space is None else {space.name: space}, told)

    def run(self, wish: Wish, since: float | None = None) -> Slate:
        """The whole way at once; a slow ranker is waited for. Raises as `draft`."""
        draft = self.draft(wish, since)
        if draft.waits:
            with draft.run.stage("rank"):
                self._rank(draft, lambda desk, rows: desk.waited_for(rows, draft.run.left_s()))
        return self.finish(draft)

    def draft(self, wish: Wish, since: float | None = None) -> Draft:
        """All before the ranker. `since` (time.perf_counter): when the request came.

        Raises Invalid for filters that contradict each other; for an asked model NotFound when it does not exist,
        Invalid when it does not rank, Unavailable when it cannot be loaded.
        """
        run = Run(wish.deadline_ms, wish.scenario.deadlines, since)
        with run.stage("filter"):
            history, mask = self._filtered(wish)
        with run.stage("recall"):
            channels = self._channels(wish, run)
            candidates = self._recalled(wish, history, mask, channels, run)
        draft = Draft(wish, run, history, channels, candidates)
        with run.stage("rank"):
            self._brief(draft)
            if not draft.waits:
                self._rank(draft, lambda desk, rows: desk.at_once(rows))
        return draft

    async def rank(self, draft: Draft) -> None:
        """Waits for the ranker of a draft that `waits`, as long as there is time."""
        desk, seen, run = draft.desk, draft.seen, draft.run
        if desk is None or seen is None:
            return
        with run.stage("rank"):
            try:
                draft.take(await desk.aside(seen.vectors, run.left_s()))
            except Exception as error:  # noqa: BLE001  a stranger's model may raise anything, and a slate must still come
                run.failed("rank", error)

    def finish(self, draft: Draft) -> Slate:
        """All after the ranker; a draft without its scores keeps the order of recall."""
        wish, run, candidates, seen = draft.wish, draft.run, draft.candidates, draft.seen
        probability = draft.scores
        if probability is not None and seen is not None:
            run.versions[seen.model] = seen.version
        strength = candidates.fused if probability is None else probability
        asked = wish.scenario.exploring if self._stage is not None and wish.slate_id else None
        with run.stage("rerank"):
            ranked = self._reranked(draft, strength, 0 if asked is None else asked.pool)
        explored = None
        if asked is not None:
            ranked, explored = self._explored(wish, asked, ranked, candidates, run)
        places = ranked.places
        with run.stage("explain"):
            told = run.attempt(
                "explain",
                lambda: reasons(
                    candidates, places, draft.history, draft.channels, self._shelf.names, anchored=wish.anchored
                ),
            )
        if told is None:
            told = [Reason("fits", "fits what you bought")] * len(places)
        if probability is None or seen is None:
            shown = None
        else:
            shown = Seen(seen.model, seen.version, seen.names, seen.vectors[places])
        return Slate(
            candidates, places, probability, told, run.versions, run.stages, run.fallbacks, shown, ranked.told, explored
        )

    def _filtered(self, wish: Wish) -> tuple[History, NDArray[np.bool_]]:
        allowed, filters, scenario = self._shaping.filters, wish.filters, wish.scenario
        of_kinds = filters is not None and filters.kinds is not None
        mask = allowed.base(scenario, wish.now, of_kinds=of_kinds).copy()
        if filters is not None:
            narrow(mask, self._shelf, filters, self._items)
        allowed.personal(mask, scenario, wish.user, wish.now)
        history = history_of(self._state, wish.user, wish.now)
        within_scenario(mask, scenario, history, unwanted(self._state, wish.user, wish.now))
        if wish.anchored:
            drop(mask, wish.about)
            return given_items(wish.about), mask
        if len(wish.about):
            only = np.zeros(len(mask), dtype=np.bool_)
            only[wish.about[wish.about < len(only)]] = True
            mask &= only
        return history, mask

    def _channels(self, wish: Wish, run: Run) -> dict[str, Channel]:
        question = Question(wish.user, wish.now, wish.anchored, wish.context)
        channels: dict[str, Channel] = {}
        for name in dict.fromkeys((*(quota.channel for quota in wish.scenario.recall), *self._read(wish))):
            asked: Asked | None = run.attempt(name, partial(self._asking.find, name, question))
            if asked is not None:
                channels[name] = asked.channel
                run.versions.update(asked.versions)
        return channels

    def _read(self, wish: Wish) -> tuple[str, ...]:
        """Channels of which the ranker reads the strength, whether or not they may name candidates here."""
        name = wish.ranker or wish.scenario.ranker
        try:
            bound = None if name is None else self._binder.ranker(name, explicit=wish.ranker is not None)
        except ShopkeeperError:  # told when it is to rank
            return ()
        if bound is None:
            return ()
        # Where nothing appears that was bought before, what speaks for just that says 0 of everything.
        return tuple(one for one in bound[0].channels if wish.scenario.repeats or one not in OF_THE_BOUGHT)

    def _recalled(
        self, wish: Wish, history: History, mask: NDArray[np.bool_], channels: dict[str, Channel], run: Run
    ) -> Candidates:
        n_items = len(mask)
        scores: dict[str, NDArray[np.float32]] = {}
        orders: dict[str, NDArray[np.int32]] = {}
        for name, channel in channels.items():
            if run.late() and scores:
                run.fell(name, "no time left")
                continue
            strength = run.attempt(name, partial(channel.scores, history, wish.now, n_items))
            if strength is not None:
                scores[name] = strength
                if isinstance(channel, New | Recalled | Trending) and (order := channel.order()) is not None:
                    orders[name] = order
        if QUERY in scores:
            mask = narrowed(mask, scores[QUERY], scores.get(MEANING))
        found = fuse(scores, wish.scenario.recall, mask, wish.most, orders)
        if len(found) < wish.n and not wish.only_again:
            return self._filled(wish, history, mask, scores)
        return found

    def _filled(
        self, wish: Wish, history: History, mask: NDArray[np.bool_], scores: dict[str, NDArray[np.float32]]
    ) -> Candidates:
        """Too few candidates: adds what sells these days, then anything that is for sale."""
        trending = self._trending.scores(history, wish.now, len(mask))
        # The least score that still counts: items that nobody bought lately come last, in order of their row.
        scores = {**scores, "trending": trending + np.float32(1e-6)}
        quotas = tuple(q for q in wish.scenario.recall if q.channel != "trending")
        return fuse(scores, (*quotas, Quota("trending", max(wish.n, 60), 0.05)), mask, wish.most)

    def _explored(
        self, wish: Wish, asked: Exploring, ranked: Ranked, candidates: Candidates, run: Run
    ) -> tuple[Ranked, Explored | None]:
        """Of more than are wanted those that are shown, some of them drawn; a policy that fails leaves the best."""
        stage, drawn = self._stage, None

        def late() -> bool:
            """Also told when the time ends between two slots: those below it show the best."""
            if over := run.late():
                run.fell("explore", "no time left")
            return over

        with run.stage("explore"):
            if not late() and stage is not None:
                drawn = run.attempt(
                    "explore",
                    lambda: stage.explore(
                        wish.scenario.name,
                        asked,
                        candidates.items[ranked.places],
                        wish.n,
                        wish.slate_id,
                        user=wish.user,
                        now=wish.now,
                        context=wish.context,
                        personal=not wish.anchored,
                        late=late,
                    ),
                )
        order, explored = (list(range(min(wish.n, len(ranked.places)))), None) if drawn is None else drawn
        told = None if ranked.told is None else [ranked.told[at] for at in order]
        return Ranked(ranked.places[order], told), explored

    def _reranked(self, draft: Draft, strength: NDArray[np.float32], spare: int) -> Ranked:
        wish, run, candidates = draft.wish, draft.run, draft.candidates
        if not run.late():
            done: Ranked | None = run.attempt(
                "rerank",
                lambda: self._shaping.reranker.rerank(
                    wish.scenario,
                    candidates.items,
                    strength,
                    wish.n,
                    user=wish.user,
                    now=wish.now,
                    diversity=wish.diversity,
                    tell=wish.tell,
                    tasks=draft.tasks,
                    spare=spare,
                ),
            )
            if done is not None:
                return done
        else:
            run.fell("rerank", "no time left")
        return Ranked(np.argsort(-strength, kind="stable")[: wish.n + spare])

    def _brief(self, draft: Draft) -> None:
        """Finds the ranker, and lays out what it sees."""
        wish, run, candidates = draft.wish, draft.run, draft.candidates
        name = wish.ranker or wish.scenario.ranker
        if name is None or not len(candidates):
            return
        if run.late():
            run.fell("rank", "no time left")
            return
        if wish.ranker is not None:
            bound = self._binder.ranker(name, explicit=True)
        else:
            bound = run.attempt("rank", partial(self._binder.ranker, name))
        if bound is None:
            run.fell("rank", f"{name}: no model serves" if "@" in name or "/" in name else "no model serves")
            return
        ranker, version = bound
        ask = Ask.live(wish.user, wish.now, candidates.items, self._state, wish.context)
        rows = run.attempt("rank", partial(ranker.rows, ask, candidates))
        if rows is not None:
            draft.desk = self._scoring.desk(ranker)
            draft.seen = Seen(version.model, version.version, ranker.model.feature_names, rows)

    def _rank(self, draft: Draft, score: Callable[[Desk, NDArray[np.float32]], NDArray[np.float32]]) -> None:
        desk, seen = draft.desk, draft.seen
        if desk is not None and seen is not None:
            draft.take(draft.run.attempt("rank", lambda: score(desk, seen.vectors)))
