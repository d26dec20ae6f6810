"""Checks for every algorithm of the family `embedding`. A shop's own passes them as the built-in ones do.

Each check is given a trainer class, whose parameters say what it reads: sequences, texts or edges. All are made here:
60 users who keep to one of 3 groups of 8 items; the words of an item's text are those of its group.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np

from shopkeeper.checks.artifacts import saved_and_loaded
from shopkeeper.checks.brief import brief_params
from shopkeeper.core.errors import Cancelled, NotFound
from shopkeeper.core.protocols import EmbedsItems, EmbedsUsers, ItemVectors, Recalls, RowScorer, Trainer, silent
from shopkeeper.lifecycle.outputs import check_outputs, kind_of
from shopkeeper.recommend.embedding.edges import Edges
from shopkeeper.recommend.embedding.family import EmbeddingFamily, golden_of
from shopkeeper.recommend.embedding.reading import ItemText
from shopkeeper.recommend.embedding.rows import EmbeddingRows
from shopkeeper.recommend.embedding.sequences import Sequences

USERS, GROUPS, SIZE, BOUGHT = 60, 3, 8, 12
STRANGER = "nobody who was there"


def small_rows(seed: int = 5) -> EmbeddingRows:
    """Sequences are words and items at once: `i3` is an item, and a word of its own text. The user `alone` has no
    edge but one to himself."""
    random = np.random.default_rng(seed)
    bought = [
        [f"i{user % GROUPS * SIZE + int(item)}" for item in random.integers(0, SIZE, BOUGHT)] for user in range(USERS)
    ]
    items = tuple(
        ItemText(f"i{at}", tuple(f"i{at // SIZE * SIZE + int(other)}" for other in random.integers(0, SIZE, 4)))
        for at in range(GROUPS * SIZE)
    )
    return EmbeddingRows(Sequences.of(bought), items, small_edges(bought))


def small_edges(bought: list[list[str]]) -> Edges:
    """Users bought items; each is linked with himself too, and one with nothing else."""
    people = [f"u{user}" for user in range(len(bought))] + ["alone"]
    ids = [*people, *(f"i{at}" for at in range(GROUPS * SIZE))]
    place = {name: at for at, name in enumerate(ids)}
    pairs = [(place[f"u{user}"], place[item]) for user, taken in enumerate(bought) for item in sorted(set(taken))]
    pairs += [(at, at) for at in range(len(people))]
    source, target = (np.array(column, dtype=np.int32) for column in zip(*pairs, strict=True))
    users = np.arange(len(ids)) < len(people)
    return Edges(tuple(ids), source, target, None, users, ~users)


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is; each parameter has a default and help."""
    assert trainer.family == "embedding"
    assert trainer.description
    trainer.Params()
    fields = msgspec.json.schema(trainer.Params)["$defs"][trainer.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in fields.values()), fields


def its_vectors_are_finite(trainer: type[Trainer]) -> None:
    """One for each of its items, each item once, of length 1 so that inner products are cosines."""
    model = cast(ItemVectors, fitted(trainer))
    ids, vectors = model.item_ids, model.item_vectors
    assert len(set(ids)) == len(ids) > 0
    assert set(ids) <= {f"i{at}" for at in range(GROUPS * SIZE)}
    assert vectors.shape[0] == len(ids)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def what_goes_together_is_near(trainer: type[Trainer]) -> None:
    """The nearest of an item are of its own group, nine times in ten: three times as often as by chance."""
    model = cast(ItemVectors, fitted(trainer))
    group = np.array([int(name[1:]) // SIZE for name in model.item_ids])
    like = model.item_vectors @ model.item_vectors.T
    np.fill_diagonal(like, -2)
    near = np.argsort(-like, axis=1)[:, :3]
    assert (group[near] == group[:, None]).mean() > 0.9


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """To the last bit; another seed gives another."""
    one, again, other = (cast(ItemVectors, model) for model in (fitted(trainer), _fit(trainer), _fit(trainer, 12)))
    np.testing.assert_array_equal(one.item_vectors, again.item_vectors)
    assert not np.array_equal(one.item_vectors, other.item_vectors)


def any_number_of_workers_gives_the_same(trainer: type[Trainer]) -> None:
    """Where it has `workers`: one and four, to the last bit."""
    if "workers" not in trainer.Params.__struct_fields__:
        return
    brief = brief_params(trainer)
    models = [
        cast(ItemVectors, trainer(msgspec.structs.replace(brief, workers=n), 11).fit(small_rows(), silent))
        for n in (1, 4)
    ]
    np.testing.assert_array_equal(models[0].item_vectors, models[1].item_vectors)


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same vectors and answers after save and load, from plain data files."""
    model = fitted(trainer)
    loaded = cast(Any, saved_and_loaded(model))
    assert tuple(loaded.item_ids) == tuple(model.item_ids)
    np.testing.assert_array_equal(loaded.item_vectors, model.item_vectors)
    family, golden = EmbeddingFamily(), golden_of(small_rows())
    assert family.probe(loaded, golden) == family.probe(model, golden)
    assert loaded.score_rows(_rows(model)) == model.score_rows(_rows(model))


def its_rows_are_answered(trainer: type[Trainer]) -> None:
    """Each row of the kind that its class states, the empty list of rows too; lists hold items only, and are no longer
    than was asked."""
    model = cast(RowScorer, fitted(trainer))
    rows = _rows(model)
    outputs = model.score_rows(rows)
    check_outputs(trainer.name, model, outputs, len(rows))
    assert model.score_rows([]) == []
    if kind_of(model) == "list":
        items = set(cast(ItemVectors, model).item_ids)
        assert outputs[0]
        assert all(set(found) <= items and len(found) == len(set(found)) <= 3 for found in outputs)


def what_it_says_of_new_users_is_so(trainer: type[Trainer]) -> None:
    """Whoever took items that it knows has a vector near theirs, if he was never seen before; nothing known: zeros. A
    model that recalls by id and knows no new users has no answer for a stranger."""
    model = fitted(trainer)
    if isinstance(model, Recalls):
        assert model.recall("u0", 3)[0]
        assert bool(model.recall(STRANGER, 3)[0]) == trainer.knows_new_users
        assert model.recall("alone", 3) == ([], [])
    if trainer.knows_new_users:
        assert isinstance(model, EmbedsUsers)
    if isinstance(model, EmbedsUsers):
        vector = np.array(model.user_embedding({}, ["i0", "i1", STRANGER]))
        like = cast(ItemVectors, model).item_vectors @ vector
        group = np.array([int(name[1:]) // SIZE for name in cast(ItemVectors, model).item_ids])
        assert like[group == 0].mean() > like[group != 0].mean()
        assert not np.any(model.user_embedding({}, []))


def what_it_says_of_new_items_is_so(trainer: type[Trainer]) -> None:
    """An item that it never saw has a vector, near what is said alike, if and only if its class says so."""
    model = fitted(trainer)
    assert isinstance(model, EmbedsItems)
    try:
        vector = np.array(model.item_embedding({"item_id": "brand new", "name": "i0 i1 i2"}))
    except NotFound:
        assert not trainer.knows_new_items
        return
    assert trainer.knows_new_items
    like = cast(ItemVectors, model).item_vectors @ vector
    group = np.array([int(name[1:]) // SIZE for name in cast(ItemVectors, model).item_ids])
    assert like[group == 0].mean() > like[group != 0].mean()


def tells_how_it_goes(trainer: type[Trainer]) -> None:
    """A finite loss for every epoch, the last below the first."""
    told: list[float] = []

    def report(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        del message
        assert 0 <= step <= of
        if epoch:
            told.append(metrics["loss"])

    trainer(brief_params(trainer), 11).fit(small_rows(), report)
    assert np.isfinite(told).all()
    assert told[-1] < told[0]


def stops_when_asked(trainer: type[Trainer]) -> None:
    """What the report raises ends the training, in the middle of it."""

    def report(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        del step, of, metrics, message
        if epoch:
            raise Cancelled("enough")

    try:
        trainer(brief_params(trainer), 11).fit(small_rows(), report)
    except Cancelled:
        return
    raise AssertionError("it went on after the first epoch")


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    its_vectors_are_finite,
    what_goes_together_is_near,
    same_seed_same_model,
    any_number_of_workers_gives_the_same,
    loads_what_it_saved,
    its_rows_are_answered,
    what_it_says_of_new_users_is_so,
    what_it_says_of_new_items_is_so,
    tells_how_it_goes,
    stops_when_asked,
)


def _fit(trainer: type[Trainer], seed: int = 11) -> Any:
    return trainer(brief_params(trainer), seed).fit(small_rows(), silent)


fitted = cache(_fit)
"""Checks that only ask a model share one: no check changes it."""


def _rows(model: Any) -> list[dict[str, Any]]:
    """Of all that such models read: something known, something unknown, and nothing."""
    known = {"user_id": "u0", "history": ["i0", "i1"], "text": "i0 i1", "top_k": 3}
    nothing = {"user_id": STRANGER, "history": [], "text": "nobody", "top_k": 3}
    names = model.feature_names
    return [{name: row[name] for name in names if name in row} for row in (known, nothing)]
