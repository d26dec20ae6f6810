"""Models of several tasks: the contract, rows from tables and from the log, bad input, and the forms that serve."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shopkeeper import plugins
from shopkeeper.checks import multitask
from shopkeeper.checks.recall import NOW, small_orders
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.core.protocols import Trainer, TrainingContext, silent
from shopkeeper.recommend.multitask.family import MultitaskFamily
from shopkeeper.recommend.multitask.heads import fit_heads
from shopkeeper.recommend.multitask.inputs import fit_inputs
from shopkeeper.recommend.multitask.mmoe import Mmoe
from shopkeeper.recommend.multitask.model import MultitaskModel
from shopkeeper.recommend.multitask.tasks import Task, read_labels, read_tasks
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

QUICK = {"epochs": 2, "batch_size": 64, "embedding": 4, "spans": 8, "learning_rate": 4e-3}


def algorithms() -> list[str]:
    return [name for name in plugins.names("algorithm") if plugins.describe(name).task == "multitask"]


@pytest.mark.parametrize("check", multitask.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", algorithms())
def test_every_registered_algorithm_of_several_tasks_passes(name: str, check: Callable[[type[Trainer]], None]) -> None:
    check(plugins.algorithm(name))


def test_the_built_in_one_is_found() -> None:
    assert "mmoe" in algorithms()


def test_the_defaults_are_those_that_are_promised() -> None:
    params = Mmoe.Params()
    assert (params.epochs, params.batch_size, params.experts) == (50, 32, 4)
    assert (params.expert_layers, params.tower_layers) == ((64, 32), (32, 16))


# -- tables


def frame(n: int = 600) -> pl.DataFrame:
    random = np.random.default_rng(2)
    x, shop = random.normal(size=n), random.integers(0, 3, n)
    click = (random.random(n) < 1 / (1 + np.exp(-2 * x - shop + 1))).astype(int)
    watch = click * random.gamma(2.0, 30.0, n).round(2)
    gmv = click * (random.random(n) < 0.5) * 100 * np.exp(0.5 * x)
    return pl.DataFrame(
        {"x": x, "shop": [f"s{at}" for at in shop], "click": click, "watch_time": watch, "gmv": gmv.round(2)}
    )


def context(folder: Path, table: pl.DataFrame | None = None, **source) -> TrainingContext:
    if table is not None:
        table.write_csv(folder / "rows.csv")
        source = {"kind": "file", "path": str(folder / "rows.csv"), **source}
    return TrainingContext(
        home=folder, sql_url=sqlite_url(folder), source=source, now=NOW, zone="UTC", seed=7, model="m"
    )


def test_a_table_gives_the_three_tasks_that_it_is_asked_for_by_default(tmp_path):
    family = MultitaskFamily()
    data = family.data(context(tmp_path, frame()), Mmoe.Params(), silent)
    assert [(task.name, task.kind) for task in data.train.tasks] == [
        ("ctr", "binary"), ("watch_time", "amount"), ("gmv", "amount"),
    ]  # fmt: skip
    assert data.train.rows.names == ("x", "shop")
    assert len(data.train) + len(data.holdout) == 600
    assert data.facts["label"] == "click,watch_time,gmv"
    model = Mmoe(Mmoe.Params(**QUICK), 7).fit(data.train, silent)
    metrics = family.evaluate(model, data.holdout)
    assert {"ctr_auc", "naive_ctr_log_loss", "watch_time_rmse", "naive_watch_time_rmse", "gmv_bias"} <= set(metrics)
    assert metrics["ctr_auc"] > 0.6
    assert list(model.score_rows([{"x": 1.0}])[0]) == ["ctr", "watch_time", "gmv"]
    assert np.isfinite(family.probe(model, data.golden)).all()


def test_the_same_rows_are_held_out_whatever_the_order(tmp_path):
    family, rows = MultitaskFamily(), frame()
    first = family.data(context(tmp_path, rows), Mmoe.Params(), silent).holdout
    again = family.data(context(tmp_path, rows.reverse()), Mmoe.Params(), silent).holdout
    assert sorted(map(tuple, first.labels.tolist())) == sorted(map(tuple, again.labels.tolist()))


def test_with_a_time_the_last_rows_are_held_out(tmp_path):
    rows = frame().with_columns(day=pl.int_range(600, 0, -1))
    held = MultitaskFamily().data(context(tmp_path, rows, time="day"), Mmoe.Params(), silent).holdout
    np.testing.assert_allclose(np.sort(held.labels[:, 1]), np.sort(rows["watch_time"][:120].to_numpy()), rtol=1e-5)


def test_the_label_of_a_source_may_name_several_columns(tmp_path):
    data = MultitaskFamily().data(context(tmp_path, frame(), label="click,gmv:amount"), Mmoe.Params(), silent)
    assert [task.column for task in data.train.tasks] == ["click", "gmv"]
    assert "watch_time" in data.train.rows.names


def test_the_parameter_comes_before_the_label(tmp_path):
    asked = Mmoe.Params(tasks=["bought=click", "spent=gmv"])
    data = MultitaskFamily().data(context(tmp_path, frame(), label="x"), asked, silent)
    assert [task.name for task in data.train.tasks] == ["bought", "spent"]


def test_a_column_may_be_called_as_the_answer_is(tmp_path):
    rows = frame().rename({"click": "ctr"})
    data = MultitaskFamily().data(context(tmp_path, rows), Mmoe.Params(), silent)
    assert [task.column for task in data.train.tasks] == ["ctr", "watch_time", "gmv"]


@pytest.mark.parametrize(
    ("changed", "source", "params", "code", "message"),
    [
        (lambda rows: rows.rename({"gmv": "money"}), {}, {}, "no_column", "no column 'gmv'.*click, watch_time, money"),
        (lambda rows: rows.head(1), {}, {}, "too_few_rows", "1 rows, at least 20"),
        (lambda rows: rows.with_columns(click=pl.lit(1)), {}, {}, "bad_label", "ctr .*only 1"),
        (lambda rows: rows.with_columns(gmv=pl.lit(0.0)), {}, {}, "bad_label", "gmv .*only 0"),
        (lambda rows: rows, {}, {"tasks": ["gmv:binary"]}, "bad_label", "must hold 0 or 1"),
        (lambda rows: rows, {}, {"tasks": ["shop"]}, "bad_label", "must hold an amount.*s[012]"),
        (lambda rows: rows, {}, {"tasks": ["click", "click"]}, "bad_task", "two tasks have the name"),
        (lambda rows: rows, {}, {"tasks": ["a=click", "b=click"]}, "bad_task", "two tasks have the column"),
        (lambda rows: rows, {}, {"tasks": ["a=b=c"]}, "bad_task", "is not"),
        (lambda rows: rows, {"features": ["x", "gmv"]}, {}, "bad_option", "'gmv' is a label"),
        (lambda rows: rows, {"features": ["nothing"]}, {}, "no_column", "nothing"),
    ],
)  # fmt: skip
def test_what_nothing_can_be_learned_from_is_refused_in_words(tmp_path, changed, source, params, code, message):
    with pytest.raises(Invalid, match=message) as caught:
        MultitaskFamily().data(context(tmp_path, changed(frame()), **source), Mmoe.Params(**params), silent)
    assert caught.value.code == code


def test_a_table_that_is_not_there(tmp_path):
    source = {"kind": "file", "path": str(tmp_path / "none.csv")}
    with pytest.raises(NotFound):
        MultitaskFamily().data(context(tmp_path, **source), Mmoe.Params(), silent)


def test_served_vectors_say_too_little(tmp_path):
    with pytest.raises(Invalid, match="served vectors"):
        MultitaskFamily().data(context(tmp_path, kind="served"), Mmoe.Params(), silent)


# -- tasks and labels


def test_tasks_are_read_as_they_are_written():
    assert read_tasks(["ctr=click", "watch time:amount", "gmv"]) == (
        Task(name="ctr", column="click"),
        Task(name="watch_time", column="watch time", kind="amount"),
        Task(name="gmv", column="gmv"),
    )


def test_labels_tell_their_kind_and_what_is_not_known():
    table = pl.DataFrame({"yes": ["Yes", "no", None], "money": [1.5, None, 0.0], "flag": [True, False, True]})
    tasks, labels = read_labels(table, read_tasks(["yes", "money", "flag"]), "table")
    assert [task.kind for task in tasks] == ["binary", "amount", "binary"]
    np.testing.assert_array_equal(labels, [[1, 1.5, 1], [0, np.nan, 0], [np.nan, 0, 1]])


def test_an_amount_below_nothing_is_learned_as_such(tmp_path):
    rows = frame().with_columns(gmv=pl.col("x") * 50 - 20)
    data = MultitaskFamily().data(context(tmp_path, rows), Mmoe.Params(tasks=["click", "gmv"]), silent)
    heads = fit_heads(data.train.tasks, data.train.labels, data.train.rows.weight)
    assert [head.law for head in heads] == ["chance", "signed"]
    model = Mmoe(Mmoe.Params(**{**QUICK, "epochs": 10}), 7).fit(data.train, silent)
    low, high = (model.score_rows([{"x": x, "shop": "s1"}])[0]["gmv"] for x in (-1.5, 1.5))
    assert low < -20 < high


def test_a_number_is_spread_out_over_its_quantiles():
    rows = multitask.small_rows(400)
    inputs = fit_inputs(rows.rows.schema, rows.rows.values, 8)
    assert inputs.numeric.tolist() == [2]
    assert inputs.codes.tolist() == [0, 1]
    assert inputs.sizes.tolist() == [13, 9]
    assert len(inputs.owner) == 8
    np.testing.assert_allclose(inputs.low[1:], inputs.low[:-1] + inputs.span[:-1], rtol=1e-5)


# -- the gate, goals and forms


def test_each_task_is_judged_by_itself():
    family = MultitaskFamily()
    good = {"ctr_auc": 0.8, "ctr_log_loss": 0.4, "naive_ctr_log_loss": 0.6, "gmv_rmse": 9.0, "naive_gmv_rmse": 10.0}
    assert family.judge(good, None).verdict == "PROMOTE"
    assert family.judge(good, good).verdict == "PROMOTE"
    assert family.judge({**good, "gmv_rmse": 9.5}, good).verdict == "REJECT"
    assert family.judge({**good, "gmv_rmse": 11.0}, None).verdict == "HOLD"
    assert family.judge({**good, "ctr_auc": float("nan")}, None).verdict == "REJECT"
    assert family.judge(good, {"ctr_auc": 0.8, "ctr_log_loss": 0.4}).verdict == "HOLD"


def test_goals_say_what_counts_when_it_ranks():
    rows = multitask.small_rows()
    asked = multitask.small_rows(50, seed=6).rows.values
    params = {**QUICK, "goals": {"ctr": 1.0, "gmv": 0.5}}
    model = Mmoe(Mmoe.Params(**params), 1).fit(rows, silent)
    told = model.answers(asked)
    wanted = told[:, 0] + 0.5 * told[:, 1] / model.about.heads[1].scale
    np.testing.assert_allclose(model.score(asked), wanted, rtol=1e-4)
    np.testing.assert_allclose(model.score_tasks(asked), np.column_stack([model.score(asked), told]), rtol=1e-6)
    first = multitask.fitted(Mmoe)
    np.testing.assert_allclose(first.score(asked), first.answers(asked)[:, 0], rtol=1e-6)
    with pytest.raises(Invalid, match="'fame', which is no task"):
        Mmoe(Mmoe.Params(**QUICK, goals={"fame": 1.0}), 1).fit(rows, silent)


def test_the_form_in_bytes_is_smaller_and_says_what_it_loses(tmp_path):
    rows = multitask.small_rows()
    plain, small = (Mmoe(Mmoe.Params(**QUICK, int8=wanted), 1).fit(rows, silent) for wanted in (False, True))
    assert plain.about.int8_max_difference is None
    assert small.about.int8_max_difference is not None
    asked = multitask.small_rows(300, seed=6)
    off = np.abs(plain.answers(asked.rows.values)[:, 0] - small.answers(asked.rows.values)[:, 0]).max()
    assert 0 < off < 0.1
    for name, model in (("plain", plain), ("small", small)):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)
    sizes = [(tmp_path / name).stat().st_size for name in ("plain/net.onnx", "small/net.int8.onnx")]
    assert sizes[1] < sizes[0]
    assert "int8_max_difference" in MultitaskFamily().evaluate(small, asked)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_training_that_runs_away_is_told():
    """A weight that is no number stands for whatever makes a loss that is none."""
    rows = multitask.small_rows(300)
    weight = rows.rows.weight.copy()
    weight[::7] = np.inf
    with pytest.raises(Invalid, match="diverged") as caught:
        Mmoe(Mmoe.Params(**QUICK), 1).fit(replace(rows, rows=replace(rows.rows, weight=weight)), silent)
    assert caught.value.code == "diverged"


def test_without_torch_it_says_what_to_install(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "torch" or name.startswith("torch."):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unavailable, match="shopkeeper\\[deep\\]"):
        Mmoe(Mmoe.Params(**QUICK), 1).fit(multitask.small_rows(200), silent)


def test_a_broken_folder_is_refused(tmp_path):
    multitask.fitted(Mmoe).save(tmp_path)
    (tmp_path / "tasks.json").write_text("{}")
    with pytest.raises(Unavailable, match="train it again"):
        MultitaskModel.load(tmp_path)


# -- the shop's own log


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Orders for 6.0 each, and a click two minutes before every second of them."""
    folder = tmp_path_factory.mktemp("shop")
    db = open_database(sqlite_url(folder))
    log = EventLog(db, Vocabularies.load(db), StoppedClock(NOW))
    orders = small_orders()
    rows = []
    for k, (user, item, time) in enumerate(zip(orders.user, orders.item, orders.time, strict=True)):
        who, what = f"U{user}", orders.item_ids[item]
        rows.append((f"e{k}", who, None, "order", "product", what, None, int(time), 2.0, 3.0, 6.0, None, None))
        if k % 2:
            at = int(time) - 120_000_000
            rows.append((f"c{k}", who, None, "click", "product", what, None, at, None, None, None, None, None))
    log.append_columns(rows).result()
    db.close()
    return folder


LOG = {**QUICK, "train_days": 40, "holdout_days": 15, "negatives": 10, "max_visits": 300}


def test_the_log_tells_clicks_orders_and_money(home):
    family = MultitaskFamily()
    params = Mmoe.Params(**LOG, tasks=["ctr=click", "cvr=order", "gmv"])
    data = family.data(context(home, kind="shop"), params, silent)
    click, order, gmv = data.train.labels.T
    assert 0 < order.sum() <= click.sum()
    assert (click[order > 0] == 1).all()
    np.testing.assert_array_equal(gmv > 0, order > 0)
    assert set(np.unique(gmv % 6.0)) == {0.0}
    assert data.train.rows.weight.max() > 1
    model = Mmoe(params, 7).fit(data.train, silent)
    metrics = family.evaluate(model, data.holdout)
    assert metrics["ctr_auc"] > 0.5
    assert {"cvr_auc", "gmv_rmse"} <= set(metrics)


def test_by_default_the_log_teaches_clicks_and_money(home):
    data = MultitaskFamily().data(context(home, kind="shop"), Mmoe.Params(**LOG), silent)
    assert [(task.name, task.column) for task in data.train.tasks] == [("ctr", "click"), ("gmv", "gmv")]


def test_the_log_knows_no_watch_time(home):
    with pytest.raises(Invalid, match=r"knows nothing of 'watch_time'.*click, order, gmv") as caught:
        MultitaskFamily().data(context(home, kind="shop"), Mmoe.Params(**LOG, tasks=["watch_time"]), silent)
    assert caught.value.code == "bad_task"
