from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopkeeper.checks.ranking import named_rows, small_rows, table_rows
from shopkeeper.core.errors import Cancelled, Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.learning.onnx_forms import OnnxScorer
from shopkeeper.learning.tabular import Column, Schema
from shopkeeper.quality.classification import auc
from shopkeeper.recommend.ranking.attribution import MOST_ROWS, permuted
from shopkeeper.recommend.ranking.deepfm import Deepfm, _loses_little
from shopkeeper.recommend.ranking.deepfm_graph import graph_of
from shopkeeper.recommend.ranking.deepfm_inputs import Inputs
from shopkeeper.recommend.ranking.deepfm_model import DeepfmRanker, Facts, Form
from shopkeeper.recommend.ranking.deepfm_net import Learner, Net, Shape, Weights
from shopkeeper.recommend.ranking.family import RankingFamily
from shopkeeper.recommend.ranking.rows import RankRows

QUICK = Deepfm.Params(epochs=8, batch_size=64, learning_rate=0.004)


def fitted(rows: RankRows, params: Deepfm.Params = QUICK, seed: int = 11) -> DeepfmRanker:
    return Deepfm(params, seed).fit(rows, silent)


def columns(codes: int, numbers: int, gaps: int) -> Schema:
    named = [
        Column(name=f"c{at}", categories={str(code): code for code in range(3 + at)}, other=3 + at, missing=3 + at)
        for at in range(codes)
    ]
    told = [Column(name=f"n{at}", default=0.0) for at in range(numbers)]
    return Schema((*told, *named, *(Column(name=f"g{at}", default=None) for at in range(gaps))))


def shaken(schema: Schema, vector: int = 5, hidden: tuple[int, ...] = (7, 4)) -> tuple[Weights, Inputs]:
    """A net that says much about everything."""
    inputs, random = Inputs.of(schema), np.random.default_rng(2)
    weights = Weights.drawn(Shape(inputs.rows, len(inputs.codes), inputs.width, vector, hidden), random)
    weights.table += random.normal(size=weights.table.shape) * 0.5
    weights.flat += random.normal(size=weights.flat.shape) * 0.3
    return weights, inputs


def drawn(schema: Schema, n: int) -> np.ndarray:
    random = np.random.default_rng(3)
    values = random.normal(size=(n, len(schema.columns))).astype(np.float32) * 3
    for at, column in enumerate(schema.columns):
        if column.categories is not None:
            values[:, at] = random.integers(0, column.other + 1, n)
        elif column.default is None:
            values[::3, at] = np.nan
    return values


SHAPES = [(3, 2, 1), (3, 0, 0), (0, 4, 0), (0, 2, 2), (1, 0, 1)]


# -- the net, its slopes, its graph


@pytest.mark.parametrize("parts", SHAPES)
def test_the_slopes_by_hand_are_those_of_torch(parts: tuple[int, int, int]) -> None:
    torch = pytest.importorskip("torch")
    schema = columns(*parts)
    weights, inputs = shaken(schema)
    codes, numbers = inputs.read(drawn(schema, 40))
    random = np.random.default_rng(4)
    label = (random.random(40) < 0.4).astype(np.float32)
    weight = random.uniform(0.5, 3, 40).astype(np.float32)
    learner = Learner(weights, 64, dropout=0.0, decay=0.1, seed=1)
    loss, many = learner.slope(codes, numbers, label, weight)
    assert many == len(np.unique(codes))

    table = torch.tensor(weights.table, dtype=torch.float64, requires_grad=True)
    named = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in weights.named.items()}
    read, told = torch.tensor(numbers, dtype=torch.float64), torch.tensor(codes, dtype=torch.int64)
    vectors = torch.cat([table[told][:, :, :-1], read[:, :, None] * named["numbers"][:, :-1]], 1)
    pairs = sum(
        ((vectors[:, i] * vectors[:, j]).sum(1) for i in range(vectors.shape[1]) for j in range(i)), torch.zeros(40)
    )
    hidden = torch.cat([table[told][:, :, :-1].reshape(40, -1), read], 1)
    for at in range(2):
        hidden = torch.relu(hidden @ named[f"layer{at}"] + named[f"layer{at}_bias"])
    logit = named["bias"] + table[told][:, :, -1].sum(1) + read @ named["numbers"][:, -1] + pairs
    logit = logit + hidden @ named["last"]
    each = torch.nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor(label).double(), reduction="none")
    share = torch.tensor(weight).double()
    mean = (each * share / share.sum()).sum()
    assert loss == pytest.approx(float(mean.detach()), rel=1e-5)
    (mean + 0.1 / 40 * 0.5 * (table[told] ** 2).sum()).backward()
    found = dict(learner.slopes.named)
    for name, tensor in named.items():
        wanted = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
        np.testing.assert_allclose(found[name], wanted, rtol=2e-4, atol=2e-6, err_msg=name)
    if parts[0]:
        np.testing.assert_allclose(learner.slopes.table, table.grad.numpy(), rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("parts", SHAPES)
def test_the_graph_says_what_the_net_says(parts: tuple[int, int, int]) -> None:
    schema = columns(*parts)
    weights, inputs = shaken(schema)
    values = drawn(schema, 300)
    values[0], values[1], values[2] = 1e30, -1e30, np.nan
    said = OnnxScorer(graph_of(weights, inputs, len(schema.names))).score(values)
    logits = Net(weights, 64).logits(*inputs.read(values)).astype(np.float64)
    np.testing.assert_allclose(said, 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert np.ptp(said[3:]) > 0.3


def test_what_is_left_out_is_made_up_for() -> None:
    schema = columns(2, 2, 0)
    weights, inputs = shaken(schema, hidden=(512,))
    read = inputs.read(drawn(schema, 400))
    whole = Net(weights, 400).logits(*read)
    learner = Learner(weights, 400, dropout=0.5, decay=0.0, seed=1)
    parts = [learner._forward(*read, learner._noise(400), learner._least, learner._scale)[0] for _ in range(200)]
    assert float(np.std([part[0] for part in parts])) > 0
    np.testing.assert_allclose(np.mean(parts, axis=0).mean(), whole.mean(), atol=0.05)


def test_only_vectors_that_occur_move() -> None:
    schema = columns(2, 0, 0)
    weights, inputs = shaken(schema)
    before = weights.table.copy()
    values = np.array([[0, 1], [2, 1]], dtype=np.float32)
    codes, numbers = inputs.read(values)
    ones = np.ones(2, dtype=np.float32)
    learner = Learner(weights, 8, dropout=0.0, decay=0.0, seed=1)
    learner.step(codes, numbers, np.array([0, 1], dtype=np.float32), ones, 0.01)
    moved = np.flatnonzero((weights.table != before).any(axis=1))
    assert moved.tolist() == [0, 2, int(inputs.offsets[1]) + 1]
    assert not learner.slopes.table.any()


# -- what it learns


def test_it_learns_what_two_texts_say_together_only() -> None:
    random = np.random.default_rng(1)
    values = random.integers(0, 6, (4000, 2)).astype(np.float32)
    chance = np.where(values.sum(axis=1) % 2 == 0, 0.9, 0.1)
    label = (random.random(4000) < chance).astype(np.float32)
    schema = Schema(
        tuple(Column(name=n, categories={str(at): at for at in range(6)}, other=6, missing=6) for n in "ab")
    )
    rows = RankRows(schema, values, label, np.ones(4000, dtype=np.float32))
    said = fitted(rows, Deepfm.Params(epochs=12, batch_size=64, learning_rate=0.01)).score(values)
    assert auc(label, said) > 0.85


def test_the_best_state_serves() -> None:
    told: list[float] = []

    def report(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        if epoch:
            told.append(metrics["val_loss"])

    rows = table_rows(400)
    params = Deepfm.Params(epochs=30, batch_size=16, learning_rate=0.02, dropout=0, l2=0, patience=4)
    model = Deepfm(params, 3).fit(rows, report)
    assert model.facts.best_epoch == int(np.argmin(told)) + 1
    assert len(told) == min(30, model.facts.best_epoch + 4)


def test_one_seed_one_model() -> None:
    one, again, other = (fitted(named_rows(), seed=seed) for seed in (5, 5, 6))
    assert one._graphs == again._graphs
    assert one._graphs["float32"] != other._graphs["float32"]


def test_labels_that_are_often_wrong_do_not_fool_it() -> None:
    rows, later = small_rows(4000), small_rows(seed=6)
    flipped = np.random.default_rng(9).random(len(rows)) < 0.2
    noisy = replace(rows, label=np.where(flipped, 1 - rows.label, rows.label).astype(np.float32))
    assert auc(later.label, fitted(noisy).score(later.values)) > 0.8


def test_rows_that_stand_for_none_do_not_count() -> None:
    rows = small_rows(600)
    wrong = np.arange(600) % 2 == 1
    label = np.where(wrong, 1 - rows.label, rows.label).astype(np.float32)
    model = fitted(replace(rows, label=label, weight=np.where(wrong, 0.0, 1.0).astype(np.float32)))
    assert auc(rows.label, model.score(rows.values)) > 0.75


def test_many_rows_take_bigger_steps() -> None:
    told: list[int] = []

    def report(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        if message == "learning" and not epoch:
            told.append(of)

    Deepfm(Deepfm.Params(epochs=2, batch_size=8, steps=10), 1).fit(small_rows(1000), report)
    assert set(told) == {2 * 10}


# -- forms and importance


def test_both_forms_are_measured_and_kept(tmp_path: Path) -> None:
    rows, held = named_rows(), named_rows(seed=6)
    model = fitted(rows)
    found = RankingFamily().evaluate(model, held)
    assert found["onnx_max_difference"] < 1e-6
    assert 0 < found["int8_max_difference"] < 0.2
    assert found["int8_auc"] == pytest.approx(found["auc"], abs=0.01)
    assert found["int8_log_loss"] == pytest.approx(found["log_loss"], abs=0.01)
    model.save(tmp_path)
    sizes = [(tmp_path / name).stat().st_size for name in ("net.int8.onnx", "net.onnx")]
    assert sizes[0] < 0.6 * sizes[1]
    assert RankingFamily().evaluate(DeepfmRanker.load(tmp_path), held) == found


def test_int8_answers_where_it_is_asked_for(tmp_path: Path) -> None:
    rows, held = named_rows(), named_rows(seed=6)
    plain = fitted(rows)
    small = fitted(rows, Deepfm.Params(epochs=8, batch_size=64, learning_rate=0.004, form="int8"))
    assert small.facts.form == "int8"
    np.testing.assert_array_equal(small.score(held.values), plain.score_by_other(held.values))
    np.testing.assert_array_equal(small.score_by_other(held.values), plain.score(held.values))
    assert "float32_auc" in RankingFamily().evaluate(small, held)
    small.save(tmp_path)
    np.testing.assert_array_equal(DeepfmRanker.load(tmp_path).score(held.values), small.score(held.values))


def test_it_says_what_its_answers_hang_on(tmp_path: Path) -> None:
    model = fitted(small_rows())
    told = model.importance()
    assert next(iter(told)) == "strong"
    assert told["strong"] > 3 * told["weak"] > 0
    assert "constant" not in told
    assert sum(told.values()) == pytest.approx(1.0)
    model.save(tmp_path)
    assert DeepfmRanker.load(tmp_path).importance() == told


def test_a_row_counts_as_the_rows_that_it_stands_for_in_what_answers_hang_on() -> None:
    """Rows of two kinds, each told by a feature of its own; more of them than are read."""
    n, random = 3 * MOST_ROWS, np.random.default_rng(4)
    values = random.normal(size=(n, 3)).astype(np.float32)
    values[:, 2] = np.arange(n) % 2

    def score(rows: np.ndarray) -> np.ndarray:
        return (1 / (1 + np.exp(-3 * np.where(rows[:, 2] > 0, rows[:, 0], rows[:, 1])))).astype(np.float32)

    label = (random.random(n) < score(values)).astype(np.float32)
    told = permuted(score, values, label, ("one", "other", "kind"), 1)
    assert told["one"] == pytest.approx(told["other"], rel=0.2)
    weight = np.where(values[:, 2] > 0, 1.0, 0.0).astype(np.float32)
    told = permuted(score, values, label, ("one", "other", "kind"), 1, weight=weight)
    assert set(told) == {"one", "kind"}
    assert permuted(score, values, label, ("one", "other", "kind"), 1, weight=0 * weight) == {}


def test_rows_that_stand_for_none_say_nothing_of_what_answers_hang_on() -> None:
    rows = small_rows(1200)
    wrong = np.arange(1200) % 3 > 0
    label = np.where(wrong, 1 - rows.label, rows.label).astype(np.float32)
    model = fitted(replace(rows, label=label, weight=np.where(wrong, 0.0, 1.0).astype(np.float32)))
    assert next(iter(model.importance())) == "strong"


def test_a_form_loses_by_the_rows_that_stand_for_any() -> None:
    """Two nets as the two forms of one ranker: where they differ decides whether the other may answer."""
    schema = columns(0, 3, 0)
    weights, inputs = shaken(schema)
    graph = graph_of(weights, inputs, 3)
    weights.flat *= -1
    graphs: dict[Form, bytes] = {"float32": graph, "int8": graph_of(weights, inputs, 3)}
    model = DeepfmRanker(graphs, schema, Facts(form="float32", importance={}, best_epoch=0, onnx_max_difference=0.0))
    values = drawn(schema, 200)
    label = (model.score(values) > 0.5).astype(np.float32)
    right = (model.score_by_other(values) > 0.5) == (label > 0)
    assert 0 < right.sum() < 200
    surer = right & (np.abs(model.score_by_other(values) - label) <= np.abs(model.score(values) - label))
    rows = RankRows(schema, values, label, np.ones(200, dtype=np.float32))
    assert not _loses_little(model, rows)
    assert _loses_little(model, replace(rows, weight=surer.astype(np.float32)))
    assert not _loses_little(model, replace(rows, weight=0 * rows.weight))


# -- what cannot be learned from, or read


@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row_are_refused(n: int) -> None:
    with pytest.raises(Invalid, match=r"no rows|only the label"):
        fitted(small_rows(3000).take(slice(0, n)))


def test_one_class_is_refused() -> None:
    rows = small_rows(200)
    with pytest.raises(Invalid, match="hold only the label 1"):
        fitted(replace(rows, label=np.ones(200, dtype=np.float32)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_none_is_refused_by_name(value: float) -> None:
    rows = small_rows(200)
    rows.values[7, 1] = value
    with pytest.raises(Invalid, match="weak holds values that are no finite numbers"):
        fitted(rows)


def test_a_training_that_runs_away_twice_is_given_up() -> None:
    rows = small_rows(200)
    with pytest.raises(Invalid, match="diverged twice"):
        fitted(replace(rows, weight=np.full(200, 3e38, dtype=np.float32)))


def test_it_can_be_cancelled() -> None:
    def stop(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        if epoch and step == 2:
            raise Cancelled("the job was asked to stop")

    with pytest.raises(Cancelled):
        Deepfm(QUICK, 1).fit(small_rows(), stop)


def test_texts_never_seen_and_very_long_ones_are_one_to_it() -> None:
    model = fitted(named_rows())
    rows = [{"user": text, "item": "item3", "price": 0.5} for text in ("nobody", "x" * 1_000_000, "")]
    said = model.score_rows(rows)
    assert said[0] == said[1] == said[2]
    assert said[0] != model.score_rows([{"user": "user1", "item": "item3", "price": 0.5}])[0]


def test_a_column_by_another_name_counts_as_missing() -> None:
    model = fitted(named_rows())
    assert model.score_rows([{"user": "user1", "item": "item3", "cost": 9.0}]) == model.score_rows(
        [{"user": "user1", "item": "item3"}]
    )


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    model = fitted(small_rows(300))
    model.save(tmp_path)
    fitted(table_rows(300)).schema.save(tmp_path)
    with pytest.raises(Invalid, match="reads 4 features, the schema names 2"):
        DeepfmRanker.load(tmp_path)
    (tmp_path / "deepfm.json").write_text("{}")
    with pytest.raises(Invalid, match="cannot be read"):
        DeepfmRanker.load(tmp_path)
