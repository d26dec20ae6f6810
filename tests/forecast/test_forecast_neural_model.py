"""A net that serves: as a graph, without torch, beyond what it learned, and as the beginning of the next."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest
from neural_shop import BRIEF, fit, promoted_shop, with_own

from shopkeeper import plugins
from shopkeeper.checks.forecast import HORIZON, small_shop
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.forecast.algorithms.nhits import Nhits
from shopkeeper.forecast.algorithms.tcn import Tcn
from shopkeeper.forecast.neural.artifact import Epoch, NeuralModel
from shopkeeper.forecast.neural.sizes import Sizes
from shopkeeper.forecast.neural.windows import Windows

torch = pytest.importorskip("torch")

SIZES = Sizes(lookback=28, horizon=9, past=6, future=5, static=(20, 3), width=8, season=7, patch=7, dropout=0.1)


@cache
def trained():
    return fit(small_shop())


@pytest.mark.parametrize("algorithm", [Nhits, Tcn])
@pytest.mark.parametrize("lookback", [7, 28, 56])
def test_the_graph_says_what_the_net_says_alone_or_among_many(algorithm, lookback):
    from shopkeeper.forecast.neural.fitting import graph_of, runner
    from shopkeeper.learning.onnx_forms import open_session

    sizes = replace(SIZES, lookback=lookback)
    torch.manual_seed(4)
    net = algorithm(algorithm.Params(), 1).net(sizes)
    session = open_session(graph_of(net, sizes))
    random = np.random.default_rng(0)
    given = Windows(
        random.normal(size=(512, lookback, 6)).astype(np.float32),
        random.normal(size=(512, 9, 5)).astype(np.float32),
        random.integers(0, 3, (512, 2)),
        np.ones(512),
    )
    parts = {"past": given.past, "future": given.future, "static": given.static}
    many = session.run(None, parts)[0]
    np.testing.assert_allclose(many, runner(net, "cpu")(given), rtol=1e-5, atol=1e-5)
    alone = session.run(None, {name: part[:1] for name, part in parts.items()})[0]
    np.testing.assert_allclose(alone, many[:1], rtol=1e-5, atol=1e-5)


def test_tcn_hears_every_day_of_the_window():
    sizes = replace(SIZES, lookback=56)
    net = Tcn(Tcn.Params(kernel=2), 1).net(sizes).eval()
    past = torch.randn(1, 56, 6, requires_grad=True)
    net(past, torch.zeros(1, 9, 5), torch.zeros(1, 2, dtype=torch.int64)).sum().backward()
    assert (past.grad[0].abs().sum(dim=1) > 0).all()


def test_it_serves_without_torch(tmp_path):
    model = trained()
    model.save(tmp_path)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import json, pathlib\n"
        "from shopkeeper import plugins\n"
        "from shopkeeper.checks.forecast import small_shop, HORIZON\n"
        f"model = plugins.algorithm('nhits').model.load(pathlib.Path({str(tmp_path)!r}))\n"
        "print(json.dumps(model.forecast(small_shop(), HORIZON).mean.tolist()))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    said = np.array(msgspec.json.decode(ran.stdout))
    np.testing.assert_allclose(said, model.forecast(small_shop(), HORIZON).mean, rtol=1e-6)


def test_the_curve_and_the_weights_lie_beside_the_graph(tmp_path):
    model = trained()
    model.save(tmp_path)
    names = {"net.onnx", "weights.npz", "model.json", "loss.json", "calibration.npz"}
    assert {file.name for file in tmp_path.iterdir()} == names
    assert msgspec.json.decode((tmp_path / "loss.json").read_bytes(), type=list[Epoch]) == model.curve
    again = NeuralModel.load(tmp_path)
    assert (again.about, again.curve, again.feature_names) == (model.about, model.curve, model.feature_names)
    for name, weights in model.weights.items():
        np.testing.assert_array_equal(again.weights[name], weights)


@pytest.mark.parametrize("name", ["net.onnx", "weights.npz", "model.json", "loss.json"])
@pytest.mark.parametrize("content", [None, b"", b"\x00{]"])
def test_a_broken_file_is_told(tmp_path, name, content):
    trained().save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Unavailable, match="train it again"):
        NeuralModel.load(tmp_path)


def test_beyond_what_it_learned_it_goes_on_and_is_less_sure():
    model, series = trained(), small_shop()
    short, long = model.base(series, 14), model.base(series, 70)
    np.testing.assert_array_equal(long.mean[:, :14], short.mean)
    assert long.mean.shape == (13, 70)
    width = long.quantiles[..., 8] - long.quantiles[..., 0]
    open_days = np.arange(200, 270) % 7 != 6
    assert width[-1, 56:][open_days[56:]].mean() > 1.3 * width[-1, :14][open_days[:14]].mean()
    assert (np.diff(long.quantiles, axis=2) >= 0).all()


def test_both_is_the_mean_of_the_whole_and_of_step_by_step():
    series, model = small_shop(), trained()
    said = {}
    for strategy in ("direct", "recursive", "both"):
        again = NeuralModel(
            msgspec.structs.replace(model.about, strategy=strategy),
            model._graph,
            model.weights,
            model.curve,
            model._calibration,
        )
        said[strategy] = again.base(series, 14)
    np.testing.assert_allclose(said["direct"].mean[:, :7], said["recursive"].mean[:, :7])
    assert not np.allclose(said["direct"].mean[:, 7:], said["recursive"].mean[:, 7:])
    both = (said["direct"].mean + said["recursive"].mean) / 2
    np.testing.assert_allclose(said["both"].mean, both, rtol=1e-6)
    assert fit(series, strategy="both").about.strategy == "both"


def test_a_planned_promotion_is_learned_and_what_is_of_the_past_only_is_not_read_ahead():
    series = promoted_shop()
    model = fit(series, epochs=14, patience=14, steps=40, width=16, learning_rate=5e-3)
    row, ahead = np.arange(4, 12), slice(series.days, None)
    plain = model.forecast(series, 14).mean[row]
    planned = model.forecast(with_own(series, "promotion", ahead, 1.0), 14).mean[row]
    open_days = plain.min(axis=0) > 0
    lift = (planned - plain)[:, open_days].mean()
    assert 4 < lift < 16
    visits = model.forecast(with_own(series, "visits", ahead, 900.0), 14).mean[row]
    np.testing.assert_array_equal(visits, plain)


def test_going_on_begins_where_the_version_was_and_learns_more():
    series = small_shop()
    first = fit(series, epochs=2)
    on = fit(series, begin=first, epochs=3, learning_rate=6e-3)
    assert on.about.continued
    assert on.about.layout.words == first.about.layout.words
    assert on.curve[0].loss < first.curve[0].loss


def test_going_on_knows_the_products_that_came_since():
    first = fit(small_shop())
    series = small_shop()
    more = replace(series, ids=("New", *series.ids[1:]))
    on = fit(more, begin=first, finish=1)
    assert on.about.layout.words[0] == [*first.about.layout.words[0], "New"]
    old, new = first.weights["statics.tables.0.weight"], on.weights["statics.tables.0.weight"]
    assert len(new) == len(old) + 1
    assert np.abs(new[-1] - old[1:].mean(axis=0)).max() < 0.2
    assert np.isfinite(on.forecast(more, HORIZON).mean).all()


def test_going_on_keeps_the_sizes_of_the_version():
    on = fit(small_shop(), begin=trained(), horizon=28, lookback=56, width=16)
    assert on.about.layout.horizon == BRIEF["horizon"]
    assert on.about.width == BRIEF["width"]


def test_another_algorithm_is_no_beginning():
    trainer = Tcn(Tcn.Params(**Tcn.brief), 1)
    with pytest.raises(Invalid, match="tcn cannot go on from a version of nhits") as caught:
        trainer.continue_from(trained())
    assert caught.value.code == "cannot_continue"
    with pytest.raises(Invalid, match="cannot go on from a version of object"):
        trainer.continue_from(object())
    changed = {**trained().weights, "head.out.bias": np.zeros(3, dtype=np.float32)}
    broken = NeuralModel(trained().about, trained()._graph, changed, [], trained()._calibration)
    with pytest.raises(Invalid, match="cannot continue"):
        fit(small_shop(), begin=broken)


def test_one_product_that_always_sells_the_same_is_told_so():
    y = np.full((1, 120), 4.0, dtype=np.float32)
    series = replace(small_shop(days=120).select(np.array([11])), y=y, sold=np.full(120, 1, np.int32))
    said = fit(series, epochs=4, steps=20).forecast(series, 14)
    assert np.abs(said.mean - 4).max() < 1
    assert np.isfinite(said.quantiles).all()


def test_the_form_of_its_parameters_has_help_and_bounds():
    for name in ("tcn", "nhits"):
        about = plugins.describe(name)
        assert about.available
        assert all(one.get("description") for one in about.params_schema["properties"].values())
        for given in ({"epochs": 0}, {"learning_rate": 0}, {"epochs": 10_001}, {"dropout": 1}, {"device": "tpu"}):
            with pytest.raises(Invalid):
                plugins.read_params(plugins.algorithm(name), given)
