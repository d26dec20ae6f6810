"""Two towers and YouTube DNN: what they learn, what they answer, and what they refuse."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shopkeeper.checks.recall import GROUP_SIZE, NEVER_BOUGHT, NOW, small_orders, told_data
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import EmbedsItems, EmbedsUsers, ItemVectors, RowScorer, TrainingContext, silent
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.family import RecallFamily
from shopkeeper.recommend.recall.stretches import SPAN, sequences_of
from shopkeeper.recommend.recall.tower_model import Towers, TwoTowerModel
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.recall.two_tower import TwoTower
from shopkeeper.recommend.recall.youtube_dnn import YoutubeDnn

torch = pytest.importorskip("torch")

BOTH = pytest.mark.parametrize("trainer", [TwoTower, YoutubeDnn])
SMALL = {"epochs": 8, "dimensions": 16, "hidden": (32,), "batch_size": 8, "learning_rate": 0.02, "length": 6}


def rows(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def ones(n: int) -> np.ndarray:
    return np.ones(n, dtype=np.float32)


@cache
def fitted(trainer: type) -> Towers:
    return trainer(trainer.Params(**SMALL), 3).fit(told_data(), silent)


def circle(users: int = 120, items: int = 12, length: int = 8) -> RecallData:
    """Each user begins anywhere on a circle of items and goes on to the next one, day by day."""
    begin = np.arange(users) % items
    step = np.arange(length)
    item = ((begin[:, None] + step) % items).ravel().astype(np.int32)
    user = np.repeat(np.arange(users, dtype=np.int32), length)
    time = np.tile(NOW - (length - step) * DAY, users)
    order = np.argsort(time, kind="stable")
    return RecallData(Orders(user[order], item[order], time[order], tuple(f"c{i}" for i in range(items))), NOW)


# -- what they learn


@BOTH
def test_it_learns_what_comes_next(trainer: type) -> None:
    params = {**SMALL, "epochs": 12, "batch_size": 16, "dropout": 0.0}
    model = trainer(trainer.Params(**params), 1).fit(circle(), silent)
    right = 0
    for last in range(12):
        history = rows(last, (last - 1) % 12, (last - 2) % 12)
        scores = model.scores(history, ones(3))
        right += int(scores.argmax() == (last + 1) % 12)
    assert right >= 10


@BOTH
def test_what_is_said_of_a_user_counts_without_a_history(trainer: type) -> None:
    model = fitted(trainer)
    for group, colour in enumerate(("red", "green", "blue")):
        scores = model.scores_for({"likes": colour}, rows(), ones(0))
        own = scores.reshape(-1)[: 3 * GROUP_SIZE].reshape(3, GROUP_SIZE).sum(axis=1)
        assert own.argmax() == group
    assert not model.scores(rows(), ones(0)).any()
    assert not model.scores_for({"unheard_of": 1}, rows(), ones(0)).any()


def test_an_item_nobody_bought_has_a_vector_by_what_is_said_of_it() -> None:
    model = fitted(TwoTower)
    assert NEVER_BOUGHT in model.item_ids
    place = model.item_ids.index(NEVER_BOUGHT)
    found = model.item_embedding({"colour": "green"})
    np.testing.assert_allclose(found, model.item_vectors[place], atol=1e-5)
    like = model.item_vectors @ np.array(found, dtype=np.float32)
    groups = like[: 3 * GROUP_SIZE].reshape(3, GROUP_SIZE).mean(axis=1)
    assert groups.argmax() == 1
    assert model.item_embedding({"item_id": "I3", "colour": "blue"}) == model.item_vectors[3].tolist()


def test_pairs_without_ids_are_learned_by_what_is_said() -> None:
    """Young users take cheap items, old ones dear ones; no id comes twice."""
    random = np.random.default_rng(2)
    age = random.random(600)
    price = age + random.normal(0, 0.1, 600)
    order = Orders(
        np.arange(600, dtype=np.int32), np.arange(600, dtype=np.int32), np.arange(600), tuple(map(str, range(600)))
    )
    users = {at: {"user_age": float(value)} for at, value in enumerate(age)}
    items = {at: {"item_price": float(value)} for at, value in enumerate(price)}
    data = RecallData(order, 1000, users, items, by_traits_only=True)
    params = {**SMALL, "epochs": 12, "batch_size": 64}
    model = TwoTower(TwoTower.Params(**params), 1).fit(data, silent)
    young, old = (np.array(model.user_embedding({"user_age": value})) for value in (0.05, 0.95))
    cheap, dear = (np.array(model.item_embedding({"item_price": value})) for value in (0.05, 0.95))
    assert young @ cheap > young @ dear
    assert old @ dear > old @ cheap


def test_vectors_of_youtube_dnn_are_those_of_the_layer_that_was_trained() -> None:
    from shopkeeper.recommend.recall.tower_net import YoutubeNet

    kept = []
    original = YoutubeNet.arrays
    try:
        YoutubeNet.arrays = lambda net: (kept.append(net.out.detach().numpy().copy()), original(net))[1]  # type: ignore
        model = YoutubeDnn(YoutubeDnn.Params(**SMALL), 3).fit(told_data(), silent)
    finally:
        YoutubeNet.arrays = original  # type: ignore[method-assign]
    np.testing.assert_array_equal(model.item_vectors, kept[-1])
    assert not np.allclose(model.item_vectors, model.arrays["seen"])


# -- what serves is what was learned


@BOTH
def test_numpy_serves_what_torch_learned(trainer: type) -> None:
    from shopkeeper.recommend.recall.stretches import Stretches
    from shopkeeper.recommend.recall.tower_net import Plan, Told, TwoTowerNet, YoutubeNet
    from shopkeeper.recommend.recall.traits import Bag, Trait, Traits

    torch.manual_seed(1)
    plan = Plan(8, (12, 10), 5, 0.0, 0.0, 1, 1, 4, 4, 0.01, 1, 1.0)
    traits = Traits([Trait(name="age", kind="number", knots=[0.0, 1.0, 2.0])])
    users = [{"age": 0.5}, {}, {"age": 2}]
    none = Bag(np.zeros(21, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    told = Told(traits.bag(users), none, 3, 0, 20, 20)
    net = (TwoTowerNet if trainer is TwoTower else YoutubeNet)(plan, told, np.ones(20, dtype=np.int64)).eval()
    with torch.no_grad():
        for each in net.parameters():
            each.add_(torch.randn(each.shape) * 0.1)
        arrays = net.arrays()
    model = trainer.model(tuple(f"i{k}" for k in range(20)), arrays, traits, Traits())
    taken = [[], [3], [7, 1, 2, 9, 4, 6, 8]]
    for user, history in enumerate(taken):
        items = np.zeros((1, 5 + SPAN), dtype=np.int64)
        present, wanted = np.zeros((1, 5 + SPAN), dtype=bool), np.zeros((1, SPAN), dtype=bool)
        newest = history[-5:]
        items[0, 5 - len(newest) : 5], present[0, 5 - len(newest) : 5], wanted[0, 0] = newest, True, True
        with torch.no_grad():
            expected = net.users(Stretches(items, present, wanted, np.array([user])))[0].numpy()
        known = [f"i{one}" for one in history]
        said = model.user_embedding(users[user], known)
        np.testing.assert_allclose(said, expected, rtol=1e-4, atol=1e-5)


@BOTH
def test_only_the_newest_are_read_and_their_order_counts(trainer: type) -> None:
    model = fitted(trainer)
    history = [model.item_ids[at] for at in range(24)]
    long = [history[at % 24] for at in range(10_000)]
    assert model.user_embedding({}, long) == model.user_embedding({}, long[-model.length :])
    assert model.user_embedding({}, long[-model.length - 1 :]) == model.user_embedding({}, long)
    assert model.user_embedding({}, history[:6]) != model.user_embedding({}, history[:6][::-1])
    assert model.user_embedding({}, ["nowhere", "I3"]) == model.user_embedding({}, ["I3"])
    assert model.user_embedding({}, None) == model.user_embedding({}, []) == model.user_embedding({}, ["nowhere"])


@BOTH
def test_it_gives_vectors_by_the_contracts(trainer: type) -> None:
    model = fitted(trainer)
    assert isinstance(model, EmbedsUsers)
    assert isinstance(model, ItemVectors)
    assert isinstance(model, RowScorer)
    assert isinstance(model, EmbedsItems) == (trainer is TwoTower)
    assert model.output == "vector"
    assert model.reference == NOW
    assert model.item_vectors.shape == (len(model.item_ids), model.output_size)


def test_both_towers_end_at_length_one() -> None:
    model = fitted(TwoTower)
    np.testing.assert_allclose(np.linalg.norm(model.item_vectors, axis=1), 1, rtol=1e-5)
    for features, history in (({}, []), ({"likes": "red"}, ["I1"]), ({"age": 1e9}, ["I1"] * 50)):
        assert np.linalg.norm(model.user_embedding(features, history)) == pytest.approx(1, rel=1e-5)


@BOTH
def test_rows_of_the_wire_are_read_as_they_always_were(trainer: type) -> None:
    model = fitted(trainer)
    asked = [
        {"user_features": {"likes": "red", "age": 21}, "history_item_ids": ["I1", "I2"]},
        {"likes": "red", "age": 21},
        {"history_item_ids": ["I1"]},
        {"user_features": None},
        {"age": 21, "history_item_ids": ["I1"]},
    ]
    said = model.score_rows(asked)
    np.testing.assert_allclose(said[0], model.user_embedding({"likes": "red", "age": 21}, ["I1", "I2"]), atol=1e-5)
    np.testing.assert_allclose(said[1], model.user_embedding({"likes": "red", "age": 21}), atol=1e-5)
    np.testing.assert_allclose(said[2], model.user_embedding({}, ["I1"]), atol=1e-5)
    np.testing.assert_allclose(said[3], model.user_embedding({}), atol=1e-5)
    np.testing.assert_allclose(said[4], model.user_embedding({"age": 21}, ["I1"]), atol=1e-5)
    assert model.score_rows([]) == []


def test_a_row_that_is_said_of_an_item_goes_through_the_tower_of_items() -> None:
    model = fitted(TwoTower)
    item = model.item_embedding({"colour": "red"})
    user = model.user_embedding({"likes": "red"})
    said = model.score_rows([{"item_features": {"colour": "red"}}, {"likes": "red"}, {"colour": "red"}])
    for one, other in zip(said, (item, user, item), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@BOTH
@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"user_features": {"age": "old"}}, "not_a_number"),
        ({"user_features": {"likes": {}}}, "not_a_text"),
        ({"user_features": 3}, "not_an_object"),
        ({"history_item_ids": "I1,I2"}, "not_ids"),
        ({"history_item_ids": [None]}, "not_ids"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused(trainer: type, row: dict, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        fitted(trainer).score_rows([row])
    assert caught.value.code == code


@BOTH
def test_what_training_never_saw_has_an_answer(trainer: type) -> None:
    model = fitted(trainer)
    for features in ({"likes": "mauve"}, {"likes": "x" * 1_000_000}, {"age": -1e30}, {"new": [1]}, {"likes": None}):
        assert np.isfinite(model.user_embedding(features)).all()
    np.testing.assert_allclose(model.user_embedding({"likes": "mauve"}), model.user_embedding({}), atol=1e-6)


# -- how it learns


@BOTH
def test_the_best_pass_serves(trainer: type) -> None:
    """Of the passes, each measured on users apart, and learning ends when nothing was gained for two."""
    told = []

    def report(step: int, of: int, metrics=None, *, message: str = "", epoch: bool = False) -> None:
        if epoch:
            told.append(metrics["val_loss"])

    params = {**SMALL, "epochs": 12, "batch_size": 64, "patience": 2}
    data = circle(400)
    from shopkeeper.recommend.recall import tower_net

    learned = []
    original = tower_net.train
    try:
        tower_net.train = lambda *given: learned.append(original(*given)) or learned[-1]
        trainer(trainer.Params(**params), 1).fit(data, report)
    finally:
        tower_net.train = original
    assert learned[0].best == int(np.argmin(told)) + 1
    assert len(told) <= learned[0].best + 2


@BOTH
def test_a_loss_that_is_no_number_ends_the_training(trainer: type) -> None:
    from shopkeeper.recommend.recall import tower_net

    original = tower_net.Net.users
    try:
        tower_net.Net.users = lambda net, given, random=None: original(net, given, random) * float("nan")
        with pytest.raises(Invalid, match="no number any more") as caught:
            trainer(trainer.Params(**SMALL), 1).fit(circle(), silent)
    finally:
        tower_net.Net.users = original  # type: ignore[method-assign]
    assert caught.value.code == "diverged"


@BOTH
def test_training_can_be_stopped(trainer: type) -> None:
    class Stop(Exception):
        pass

    def report(step: int, *_: object, **__: object) -> None:
        if step == 2:
            raise Stop

    with pytest.raises(Stop):
        trainer(trainer.Params(**SMALL), 1).fit(told_data(), report)


@BOTH
def test_time_ends_the_learning(trainer: type) -> None:
    model = trainer(trainer.Params(**{**SMALL, "epochs": 1000, "minutes": 1e-9}), 1).fit(told_data(), silent)
    assert np.isfinite(model.scores(rows(1, 2), ones(2))).all()


def test_items_of_one_stretch_are_there_for_sure() -> None:
    from shopkeeper.recommend.recall.tower_net import _same_group

    place, other = _same_group(np.array([0, 0, 2, 5, 5, 5]))
    found = {(a, b) for a, b in zip(place.tolist(), other.tolist(), strict=True)}
    assert found == {(a, b) for group in ((0, 1), (2,), (3, 4, 5)) for a in group for b in group}


# -- what it learns from


def places(data: RecallData, history: int, size: int, seed: int = 1) -> list[tuple[int, tuple[int, ...], int]]:
    """(user, items before oldest first, item) of all places of a pass."""
    sequences, _ = sequences_of(data, np.arange(data.orders.n_items))
    found = []
    for some in sequences.epoch(history, size, np.random.default_rng(seed)):
        for b, s in zip(*np.nonzero(some.wanted), strict=True):
            before = slice(s, s + history)
            known = tuple(some.items[b, before][some.present[b, before]].tolist())
            found.append((int(some.user[b]), known, int(some.items[b, history + s])))
    return found


@pytest.mark.parametrize(("history", "size", "length"), [(3, 4, 5), (5, 7, 40), (1, 100, 16)])
def test_a_pass_asks_for_every_place_once(history: int, size: int, length: int) -> None:
    items = 50
    data = circle(9, items, length)
    found = places(data, history, size)
    expected = []
    for user in range(9):
        sequence = [(user + step) % items for step in range(length)]
        expected += [(user, tuple(sequence[max(at - history, 0) : at]), item) for at, item in enumerate(sequence)]
    assert sorted(found) == sorted(expected)


def test_what_one_moment_holds_has_no_order() -> None:
    orders = Orders(rows(0, 0, 0, 0), rows(0, 1, 2, 3), np.array([5, 5, 5, 9]), ("a", "b", "c", "d"))
    found = [place for seed in range(20) for place in places(RecallData(orders, 10), 3, 4, seed)]
    assert {item for _, known, item in found if not known} == {0, 1, 2}
    assert {item for _, known, item in found if len(known) == 3} == {3}


def test_of_histories_only_what_came_next_is_asked_for() -> None:
    data = circle(9)
    found = places(RecallData(data.orders, data.now, last_only=True), 3, 4)
    assert sorted(found) == sorted(
        (user, tuple((user + k) % 12 for k in (4, 5, 6)), (user + 7) % 12) for user in range(9)
    )


def test_users_to_measure_on_are_apart() -> None:
    sequences, _ = sequences_of(circle(1000), np.arange(12))
    learned, held = sequences.apart(4, 3)
    assert held is not None
    assert held.wanted.sum() == 50
    assert len(learned.item) == len(sequences.item) - 50
    at = int(held.user[0])
    own = learned.item[learned.start[at] : learned.start[at + 1]]
    assert own.tolist() == held_before(held, 0, own)
    few, none = sequences_of(circle(30), np.arange(12))[0].apart(4, 3)
    assert none is None
    assert len(few.item) == 30 * 8


def held_before(held, at: int, own: np.ndarray) -> list[int]:
    """The history of a held-out place, with what lies before it."""
    known = held.items[at, :4][held.present[at, :4]].tolist()
    return [*own[: len(own) - len(known)].tolist(), *known]


def test_one_user_with_one_item_is_enough() -> None:
    orders = small_orders()
    tiny = RecallData(Orders(orders.user[:1], orders.item[:1], orders.time[:1], orders.item_ids), NOW)
    for trainer in (TwoTower, YoutubeDnn):
        model = trainer(trainer.Params(**SMALL), 1).fit(tiny, silent)
        assert len(model.item_ids) == 1
        assert model.scores(rows(0), ones(1)) == pytest.approx(1)


# -- on the disk


@BOTH
@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays: arrays | {"vectors": arrays["vectors"][:-1]},
        lambda arrays: {name: each for name, each in arrays.items() if name != "recency"},
        lambda arrays: arrays | {"seen": np.full_like(arrays["seen"], np.nan)},
        lambda arrays: arrays | {"user_traits": arrays["user_traits"][:-1]},
        lambda arrays: arrays | {"user0": arrays["user0"][:-1]},
    ],
)
def test_an_artifact_that_does_not_fit_is_refused(tmp_path: Path, trainer: type, spoil: Callable) -> None:
    model = fitted(trainer)
    model.save(tmp_path)
    np.savez(tmp_path / "towers.npz", **spoil(dict(model.arrays)))
    with pytest.raises(Invalid, match="train the model again"):
        trainer.model.load(tmp_path)


@BOTH
def test_facts_that_are_not_whole_are_refused(tmp_path: Path, trainer: type) -> None:
    fitted(trainer).save(tmp_path)
    facts = json.loads((tmp_path / "towers.json").read_text())
    for spoilt in ({}, {**facts, "user_traits": [{"name": 3}]}, {**facts, "item_ids": ["a"]}):
        (tmp_path / "towers.json").write_text(json.dumps(spoilt))
        with pytest.raises(Invalid, match="train the model again"):
            trainer.model.load(tmp_path)


def test_nobody_can_be_read_out_of_what_is_said_of_users() -> None:
    data = told_data()
    users = {row: {**said, "mail": f"user{row}@example.org"} for row, said in data.users.items()}
    model = TwoTower(TwoTower.Params(**SMALL), 1).fit(RecallData(data.orders, NOW, users, data.items), silent)
    assert isinstance(model, TwoTowerModel)
    assert "mail" not in model.feature_names


# -- from a table to an answer


@BOTH
def test_a_table_is_learned_measured_and_served(tmp_path: Path, trainer: type) -> None:
    """Who is young and who is old goes around the circle in turn; the last steps of a fifth of them are foretold."""
    people = [
        (f"u{at}", 20 + at % 3, ",".join(f"c{(at + step) % 12}" for step in range(4)), f"c{(at + 4) % 12}")
        for at in range(150)
    ]
    table = pl.DataFrame(people, schema=["user_id", "user_age", "history", "target_item_id"], orient="row")
    table.write_csv(tmp_path / "rows.csv")
    family = RecallFamily()
    source = {"kind": "file", "path": str(tmp_path / "rows.csv")}
    data = family.data(TrainingContext(tmp_path, "", source, 0, "UTC", 3, "m"), None, silent)
    model = trainer(trainer.Params(**{**SMALL, "epochs": 15}), 1).fit(data.train, silent)
    metrics = family.evaluate(model, data.holdout)
    assert metrics["new_ndcg@10"] > metrics["naive_new_ndcg@10"] + 0.2
    assert family.judge(metrics, None).verdict == "PROMOTE"
    model.save(tmp_path)
    golden = json.loads(json.dumps(data.golden))
    again = trainer.model.load(tmp_path)
    assert family.probe(again, golden) == pytest.approx(family.probe(model, golden), abs=1e-6)
    assert len(family.probe(again, golden)) == 5 * len(golden["users"]) + 10
    assert again.score_rows([{"user_age": 21, "history_item_ids": ["c1"]}])[0] == pytest.approx(
        model.user_embedding({"user_age": 21}, ["c1"]), abs=1e-6
    )
