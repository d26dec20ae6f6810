"""Checks for every recall algorithm. A shop's own passes them as the built-in ones do: `for check in CHECKS`.

Each check is given a trainer class and makes its own small shop: 60 users who keep to one of 3 groups of 8 items.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.checks.brief import brief_params
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Trainer, silent
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.model import RecallModel, best
from shopkeeper.recommend.recall.training import RecallData

USERS, GROUPS, GROUP_SIZE, DAYS = 60, 3, 8, 100
NEVER_BOUGHT = f"I{GROUPS * GROUP_SIZE}"
NOW = 20_000 * DAY


def small_orders(seed: int = 5) -> Orders:
    """Each user buys 3 items of one group every 10 days; the last item of the catalogue was never bought."""
    random = np.random.default_rng(seed)
    lines = []
    for user in range(USERS):
        group = user % GROUPS
        for day in range(user % 10, DAYS, 10):
            for item in random.choice(GROUP_SIZE, 3, replace=False):
                lines.append((user, group * GROUP_SIZE + int(item), NOW - (DAYS - day) * DAY))
    lines.sort(key=lambda line: line[2])
    user_, item_, time = (np.array(column) for column in zip(*lines, strict=True))
    ids = tuple(f"I{k}" for k in range(GROUPS * GROUP_SIZE + 1))
    return Orders(user_.astype(np.int32), item_.astype(np.int32), time.astype(np.int64), ids)


def small_data(seed: int = 5) -> RecallData:
    return RecallData(small_orders(seed), NOW)


def told_data(seed: int = 5) -> RecallData:
    """The same with what is said of users and items: each group has a colour, and nobody has bought the last item,
    whose colour is that of the second group."""
    orders = small_orders(seed)
    colours = ("red", "green", "blue")
    users = {user: {"likes": colours[user % GROUPS], "age": 20 + user % 7} for user in range(USERS)}
    items = {row: {"colour": colours[row // GROUP_SIZE]} for row in range(GROUPS * GROUP_SIZE)}
    items[GROUPS * GROUP_SIZE] = {"colour": colours[1]}
    return RecallData(orders, NOW, users, items)


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is; every parameter has a default and help."""
    assert trainer.family == "recall"
    assert trainer.description
    trainer.Params()
    fields = msgspec.json.schema(trainer.Params)["$defs"][trainer.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in fields.values()), fields


def scores_every_item(trainer: type[Trainer]) -> None:
    """One finite number for each of its items, whether the user took much, one thing or nothing."""
    model = fitted(trainer)
    for taken in ([], [0], [0, 1, 2, 9]):
        scores = model.scores(*_taken(model, taken))
        assert scores.shape == (len(model.item_ids),)
        assert np.isfinite(scores).all()


def knows_only_items_of_the_shop(trainer: type[Trainer]) -> None:
    """Its vocabulary holds ids of the shop, each once, and scoring it needs no other."""
    ids = fitted(trainer).item_ids
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(small_orders().item_ids)


def never_suggests_what_nobody_bought(trainer: type[Trainer]) -> None:
    """Nothing speaks for the item without a purchase."""
    model = fitted(trainer)
    top = best(model.scores(*_taken(model, [0, 9])), len(model.item_ids))
    assert NEVER_BOUGHT not in [model.item_ids[place] for place in top]


def answers_users_it_never_saw(trainer: type[Trainer]) -> None:
    """Where it says that it knows new users: who took two items of a group is told mostly of that group, unless the
    answer is the same for everybody."""
    if not trainer.knows_new_users:
        return
    model = _told(trainer)
    if getattr(model, "for_everybody", False):
        return
    for group in range(GROUPS):
        top = best(model.scores(*_taken(model, [group * GROUP_SIZE, group * GROUP_SIZE + 3])), 3)
        told = [int(model.item_ids[place][1:]) for place in top]
        own = [item for item in told if item // GROUP_SIZE == group or item == GROUPS * GROUP_SIZE]
        assert len(own) >= 2, f"group {group} was told of {told}"


def knows_new_items_as_it_says(trainer: type[Trainer]) -> None:
    """Something speaks for an item that nobody has bought, and of which something is said, exactly when the class says
    so; it then goes best with those who took what is described alike."""
    model = _told(trainer)
    taken = [[GROUP_SIZE * group, GROUP_SIZE * group + 3] for group in range(GROUPS)]
    found = [model.scores(*_taken(model, each)) for each in taken]
    place = model.item_ids.index(NEVER_BOUGHT) if NEVER_BOUGHT in model.item_ids else None
    said = [0.0 if place is None else float(scores[place]) for scores in found]
    assert (max(said) > 0) == trainer.knows_new_items, said
    if trainer.knows_new_items:
        assert max(said) == said[1] > 2 * min(said), said


def reasons_point_into_the_history(trainer: type[Trainer]) -> None:
    """`because` names a position in the history, or -1."""
    model = fitted(trainer)
    items, weights = _taken(model, [0, 1, 2])
    wanted = best(model.scores(items, weights), 5)
    voters = model.because(items, weights, wanted)
    assert voters.shape == wanted.shape
    assert ((voters >= -1) & (voters < len(items))).all()
    assert (model.because(*_taken(model, []), wanted) == -1).all()


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    model = fitted(trainer)
    _same(model, cast(RecallModel, saved_and_loaded(model)))


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same answers."""
    _same(fitted(trainer), _fit(trainer))


def survives_a_tiny_shop(trainer: type[Trainer]) -> None:
    """One user with one order is enough to fit and to answer."""
    orders = small_orders()
    tiny = Orders(orders.user[:1], orders.item[:1], orders.time[:1], orders.item_ids)
    model = cast(RecallModel, trainer(brief_params(trainer), 1).fit(RecallData(tiny, NOW), silent))
    assert np.isfinite(model.scores(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))).all()


def survives_a_shop_without_orders(trainer: type[Trainer]) -> None:
    """Items that nobody has ordered yet: it answers, or says in words that there is nothing to learn from."""
    orders = small_orders()
    none = Orders(orders.user[:0], orders.item[:0], orders.time[:0], orders.item_ids)
    try:
        model = cast(RecallModel, trainer(brief_params(trainer), 1).fit(RecallData(none, NOW), silent))
    except Invalid:
        return
    assert np.isfinite(model.scores(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))).all()


def answers_many_threads(trainer: type[Trainer]) -> None:
    """Scoring at the same time from several threads gives what one thread gives, and changes no input."""
    model = fitted(trainer)
    questions = [_taken(model, [k % 24, (k * 7) % 24]) for k in range(40)]
    assert not differing_in_threads(lambda question: model.scores(*question), questions)


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    scores_every_item,
    knows_only_items_of_the_shop,
    never_suggests_what_nobody_bought,
    answers_users_it_never_saw,
    knows_new_items_as_it_says,
    reasons_point_into_the_history,
    loads_what_it_saved,
    same_seed_same_model,
    survives_a_tiny_shop,
    survives_a_shop_without_orders,
    answers_many_threads,
)


def _fit(trainer: type[Trainer]) -> RecallModel:
    return cast(RecallModel, trainer(brief_params(trainer), 11).fit(small_data(), silent))


@cache
def _told(trainer: type[Trainer]) -> RecallModel:
    return cast(RecallModel, trainer(brief_params(trainer), 11).fit(told_data(), silent))


fitted = cache(_fit)
"""Checks that only ask a model share one: no check changes it."""


def _taken(model: RecallModel, items: list[int]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    place = {id: at for at, id in enumerate(model.item_ids)}
    known = [place[f"I{item}"] for item in items if f"I{item}" in place]
    return np.array(known, dtype=np.int32), np.ones(len(known), dtype=np.float32)


def _same(one: RecallModel, other: RecallModel) -> None:
    assert one.item_ids == other.item_ids
    assert one.half_life_days == other.half_life_days
    for taken in ([], [3], [0, 1, 9, 17]):
        np.testing.assert_allclose(one.scores(*_taken(one, taken)), other.scores(*_taken(other, taken)), rtol=1e-6)
