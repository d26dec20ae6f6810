from pathlib import Path

import numpy as np
import pytest

from shopkeeper.checks.recall import NOW, small_orders
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.sequence import Sasrec
from shopkeeper.recommend.recall.sequence_model import SequenceModel
from shopkeeper.recommend.recall.training import RecallData

torch = pytest.importorskip("torch")

SMALL = Sasrec.Params(width=16, heads=2, blocks=2, length=6, epochs=3, tokens=64)


def rows(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def fitted(params: Sasrec.Params = SMALL) -> SequenceModel:
    return Sasrec(params, 3).fit(RecallData(small_orders(), NOW), silent)


def circle(users: int = 80, items: int = 12, length: int = 8) -> RecallData:
    """Each user begins anywhere on a circle of items and goes on to the next one, day by day."""
    begin = np.arange(users) % items
    step = np.arange(length)
    item = ((begin[:, None] + step) % items).ravel().astype(np.int32)
    user = np.repeat(np.arange(users, dtype=np.int32), length)
    time = np.tile(NOW - (length - step) * DAY, users)
    order = np.argsort(time, kind="stable")
    return RecallData(Orders(user[order], item[order], time[order], tuple(f"c{i}" for i in range(items))), NOW)


def test_numpy_serves_what_torch_learned() -> None:
    from shopkeeper.recommend.recall.sequence_net import Net, Plan

    torch.manual_seed(1)
    plan = Plan(24, 3, 3, 10, 0.2, 1, 60, 64, 8, 0.01)
    net = Net(plan, 30).eval()
    with torch.no_grad():
        for each in net.parameters():
            each.add_(torch.randn(each.shape) * 0.1)
    model = SequenceModel(tuple(f"i{k}" for k in range(30)), net.arrays(), plan.heads)
    for length in (1, 2, 7, 10, 14):
        newest_first = np.random.default_rng(length).permutation(30)[:length].astype(np.int32)
        read = newest_first[:10][::-1].astype(np.int64)
        with torch.no_grad():
            state = net(torch.from_numpy(read)[None])[0, -1]
            wanted = torch.softmax(net.items @ state + net.bias, 0).numpy()
        said = model.scores(newest_first, np.ones(length, dtype=np.float32))
        np.testing.assert_allclose(said, wanted, rtol=2e-4, atol=1e-6)


def test_it_learns_what_comes_next() -> None:
    data = circle()
    model = Sasrec(Sasrec.Params(width=16, length=6, epochs=12, tokens=128, learning_rate=0.01), 1).fit(data, silent)
    right = 0
    for last in range(12):
        history = rows(last, (last - 1) % 12, (last - 2) % 12)
        right += int(model.scores(history, np.ones(3, dtype=np.float32)).argmax() == (last + 1) % 12)
    assert right == 12


def test_a_drawn_softmax_learns_as_the_whole_one_does() -> None:
    whole = Sasrec.Params(width=16, length=6, epochs=12, tokens=128, negatives=100, learning_rate=0.01)
    drawn = Sasrec.Params(width=16, length=6, epochs=12, tokens=128, negatives=5, learning_rate=0.01)
    history, weights = rows(4, 3, 2), np.ones(3, dtype=np.float32)
    one, other = (Sasrec(params, 1).fit(circle(), silent).scores(history, weights) for params in (whole, drawn))
    assert one.argmax() == other.argmax() == 5
    assert one[5] > 0.5
    assert other[5] > 0.5


def test_the_loss_among_drawn_items_and_its_gradient_are_those_of_plain_layers() -> None:
    from torch.nn import functional

    from shopkeeper.recommend.recall.sequence_loss import loss_of, shares

    torch.manual_seed(2)
    state, items, bias = torch.randn(9, 8), torch.randn(40, 8), torch.randn(40)
    given = [each.requires_grad_() for each in (state, items, bias)]
    right, drawing = torch.arange(9) * 4, shares(np.arange(40), 20)
    said = loss_of(state, right, items, bias, drawing, np.random.default_rng(3))
    drawn = torch.from_numpy(np.flatnonzero(np.random.default_rng(3).random(40) < drawing))
    others = state @ items[drawn].T + bias[drawn] - torch.from_numpy(drawing)[drawn].log().float()
    others = others.masked_fill(drawn[None, :] == right[:, None], -1e4)
    own = (state * items[right]).sum(1) + bias[right]
    plain = functional.cross_entropy(torch.cat([own[:, None], others], 1), torch.zeros(9, dtype=torch.int64))
    assert (drawn[None, :] == right[:, None]).any()
    assert float(said.detach()) == pytest.approx(float(plain.detach()), rel=1e-6)
    for one, other in zip(torch.autograd.grad(said, given), torch.autograd.grad(plain, given), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-6)


def test_the_steps_are_those_of_the_paper() -> None:
    from shopkeeper.recommend.recall.sequence_adam import Adam

    start, target = np.random.default_rng(4).normal(size=(2, 5))
    ours, unused = torch.tensor(start).requires_grad_(), torch.ones(2).requires_grad_()
    adam = Adam([ours, unused])
    place, first, second = start.copy(), np.zeros(5), np.zeros(5)
    for step in range(1, 21):
        ((ours - torch.tensor(target)) ** 4).sum().backward()
        adam.step(0.1)
        slope = 4 * (place - target) ** 3
        first, second = 0.9 * first + 0.1 * slope, 0.98 * second + 0.02 * slope**2
        place -= 0.1 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.98**step)) + 1e-8)
    np.testing.assert_allclose(ours.detach().numpy(), place, rtol=1e-9)
    assert ours.grad is None
    assert (unused == 1).all()


@pytest.mark.parametrize("negatives", [1, 7, 39, 40, 500])
def test_items_are_drawn_as_often_as_asked(negatives: int) -> None:
    from shopkeeper.recommend.recall.sequence_loss import shares

    counts = np.random.default_rng(1).geometric(0.01, 40) - 1
    found = shares(counts, negatives)
    assert found.sum() == pytest.approx(min(negatives, 40), rel=1e-3)
    assert ((found > 0) & (found <= 1)).all()
    assert (np.diff(found[np.argsort(counts)]) >= 0).all()


def test_what_stands_near_begins_alike() -> None:
    from shopkeeper.recommend.recall.sequence_start import item_vectors

    random = np.random.default_rng(1)
    groups = [random.permutation(6) + 6 * (user % 4) for user in range(60)]
    found = item_vectors(groups, 25, 8, random)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    alike = found @ found.T
    same = np.arange(24)[:, None] // 6 == np.arange(24) // 6
    assert alike[:24, :24][same].min() > alike[:24, :24][~same].max()
    assert np.isfinite(found).all()
    assert item_vectors([], 3, 8, random).shape == (3, 8)


def test_time_ends_the_learning() -> None:
    told = []

    def report(step: int, of: int, metrics: object = None, *, message: str = "", epoch: bool = False) -> None:
        told.append(message)

    params = Sasrec.Params(width=16, length=6, epochs=1000, tokens=64, minutes=1e-9)
    model = Sasrec(params, 1).fit(RecallData(small_orders(), NOW), report)
    assert told == ["learning sequences ended after 1e-09 minutes"]
    assert np.isfinite(model.scores(rows(1, 2), np.ones(2, dtype=np.float32))).all()


def test_the_order_counts_and_only_the_newest_are_read() -> None:
    model = fitted()
    ones = np.ones(8, dtype=np.float32)
    history = rows(0, 1, 2, 3, 4, 5, 6, 7)
    same_newest = rows(0, 1, 2, 3, 4, 5, 20, 21)
    turned = rows(5, 4, 3, 2, 1, 0, 6, 7)
    assert np.array_equal(model.scores(history, ones), model.scores(same_newest, ones))
    assert not np.allclose(model.scores(history, ones), model.scores(turned, ones))
    assert model.scores(history, ones).sum() == pytest.approx(1, abs=1e-5)


def test_nothing_taken_speaks_for_nothing() -> None:
    assert not fitted().scores(rows(), np.empty(0, dtype=np.float32)).any()


def test_a_reason_is_another_item_that_is_read() -> None:
    model = fitted()
    history = rows(0, 1, 2, 3, 4, 5, 6)
    voters = model.because(history, np.ones(7, dtype=np.float32), rows(0, 7, 9))
    assert ((voters >= -1) & (voters < model.length)).all()
    assert voters[0] != 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays: arrays | {"items": arrays["items"][:-1]},
        lambda arrays: {name: each for name, each in arrays.items() if name != "1.up_b"},
        lambda arrays: arrays | {"bias": np.full_like(arrays["bias"], np.nan)},
    ],
)
def test_an_artifact_that_does_not_fit_is_refused(tmp_path: Path, spoil) -> None:
    model = fitted()
    model.save(tmp_path)
    np.savez(tmp_path / "sequence.npz", **spoil(dict(model.arrays)))
    with pytest.raises(Invalid, match="do not fit"):
        SequenceModel.load(tmp_path)


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        Sasrec.Params(width=64, heads=5)


def test_training_can_be_stopped() -> None:
    class Stop(Exception):
        pass

    def report(step: int, *_: object, **__: object) -> None:
        if step == 2:
            raise Stop

    with pytest.raises(Stop):
        Sasrec(SMALL, 1).fit(RecallData(small_orders(), NOW), report)


def test_time_counts_only_where_it_is_short() -> None:
    from shopkeeper.recommend.recall.sequence_net import pace

    assert pace(50, 1000, late=0.09) == pace(50, 1000, late=0.0)
    assert pace(50, 1000, late=0.5) < 0.6 * pace(50, 1000, late=0.0)
