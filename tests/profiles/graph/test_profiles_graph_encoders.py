"""Encoders: each kind of attribute is learned, nobody's name is kept, and both forms say the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph.artifact import HgtModel, new_encoders
from shopkeeper.profiles.graph.encoders import LEAST, fitted_fields
from shopkeeper.profiles.graph.fields import SERIES, Number, Series, Several, Word
from shopkeeper.profiles.graph.learner import TypeInputs
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.schema import GraphSchema, Relation
from shopkeeper.profiles.graph.tables import NodeTable, table_of

WIDTH = 8
N = 60


def rows(n: int = N) -> list[dict]:
    random = np.random.default_rng(1)
    return [
        {
            "age": float(random.integers(18, 80)),
            "spent": float(random.lognormal(3, 2)),
            "plan": ["basic", "plus"][at % 2],
            "vip": at % 3 == 0,
            "email": f"someone.{at}@example.org",
            "full_name": f"Ada Number{at}",
            "born": f"19{at % 90 + 10}-01-02",
            "likes": ["mugs", "lamps", f"only {at}"][: at % 4],
            "weeks": [float(value) for value in random.normal(5, 2, at % 20)],
            "constant": 4,
        }
        for at in range(n)
    ]


def encoder(node_type: str = "user", table: NodeTable | None = None, ids=()):
    schema = GraphSchema.of(("user", "product"), [Relation("user", "order", "product")])
    made = new_encoders(
        schema, {node_type: table or table_of(rows())}, {node_type: ids}, WIDTH, np.random.default_rng(0)
    )
    return made[node_type]


def test_every_kind_of_attribute_has_its_encoder() -> None:
    found = {each.name: each for each in fitted_fields("user", table_of(rows()))}
    assert {name: type(each) for name, each in found.items()} == {
        "age": Number,
        "spent": Number,
        "plan": Word,
        "vip": Word,
        "likes": Several,
        "weeks": Series,
    }
    assert not found["age"].logarithm
    assert found["spent"].logarithm
    assert len(found["age"].borders) == 7


def test_no_word_that_only_few_have_is_kept_and_no_date() -> None:
    said = repr(fitted_fields("user", table_of(rows())))
    assert "someone" not in said
    assert "Ada" not in said
    assert "only" not in said
    assert "born" not in said
    few = [{"plan": "rare"}] * (LEAST - 1) + [{"plan": "often"}] * 30
    assert "rare" not in repr(fitted_fields("user", table_of(few)))


def test_a_text_of_items_is_taken_apart_into_words_and_one_of_users_is_not() -> None:
    table = table_of([{"name": f"RED {'MUG' if at % 2 else 'LAMP'} no. {at}"} for at in range(40)])
    (field,) = fitted_fields("product", table)
    assert isinstance(field, Several)
    assert field.split
    assert set(field.known) == {"red", "mug", "lamp", "no"}
    assert fitted_fields("user", table) == ()


def test_one_boundless_value_does_not_make_a_field_infinite() -> None:
    """Attributes come from anybody: a version must still be written, and say something of the others."""
    odd: list[dict] = [{"age": 1e200, "spent": -1e308, "weeks": [1e300, -1e308]}, {"age": 10**400}]
    table = table_of([*rows(), *odd])
    made = encoder(table=table)
    for each in made.fields:
        if isinstance(each, Number | Series):
            assert np.isfinite((each.mean, each.spread)).all(), each
    assert np.isfinite(made((), table)).all()
    assert np.isnan(table.numbers["age"][-1]), "a whole number larger than any float is not known"


def test_a_series_that_only_few_have_is_not_learned() -> None:
    few = [{"weeks": [float(at), 2.0, 3.0]} for at in range(LEAST - 1)] + [{}] * 30
    assert fitted_fields("user", table_of(few)) == ()
    assert len(fitted_fields("user", table_of([*few, {"weeks": [9.0]}]))) == 1


def test_what_is_not_known_is_met_and_said() -> None:
    made = encoder()
    odd = table_of([{"age": 30, "plan": "plus"}, {"age": float("nan")}, {"plan": "never seen"}, {"weeks": [1e30, 2.0]}])
    h = made((), odd)
    assert h.shape == (4, WIDTH)
    assert np.isfinite(h).all()
    nothing = made((), NodeTable(4))
    np.testing.assert_array_equal(nothing[0], nothing[3])
    np.testing.assert_array_equal(h[1], nothing[0])
    np.testing.assert_array_equal(h[2], nothing[0])
    assert not np.array_equal(h[0], nothing[0])
    assert made((), NodeTable(0)).shape == (0, WIDTH)


def test_an_attribute_of_another_kind_than_learned_counts_as_not_known() -> None:
    made = encoder()
    np.testing.assert_array_equal(made((), table_of([{"age": "old", "plan": 3.0}])), made((), NodeTable(1)))


def test_numpy_and_torch_say_the_same() -> None:
    table = table_of(rows())
    made = encoder(table=table)
    learns = TypeInputs(made, (), table, forget=0.5).eval()
    with torch.no_grad():
        for each in learns.parameters():
            each.add_(torch.randn(each.shape, generator=torch.Generator().manual_seed(2)))
        nodes = torch.tensor([3, 0, N - 1])
        said = learns(nodes).numpy()
    np.testing.assert_allclose(learns.plain()((), table)[nodes.numpy()], said, atol=1e-5)


def test_every_learned_number_of_an_encoder_can_be_learned() -> None:
    table = table_of(rows())
    learns = TypeInputs(encoder(table=table), (), table, forget=0.0)
    with torch.no_grad():
        for each in learns.learned:
            each.add_(0.1 * torch.randn(each.shape, generator=torch.Generator().manual_seed(2)))
    (learns(torch.arange(N)) ** 2).sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in learns.learned)


def test_several_words_are_pooled_by_the_say_they_have() -> None:
    field = Several(name="likes", known=("a", "b"))
    table = NodeTable(3, lists={"likes": [("a", "b"), ("b", "nobody's"), ()]})
    words = np.array([[9, 9], [1, 0], [0, 1]], dtype=np.float32)
    given = field.read(table)
    h = field.forward({"words": words, "say": np.array([0, 0, np.log(3)], dtype=np.float32)}, given, np)
    np.testing.assert_allclose(h, [[0.25, 0.75], [0, 1], [0, 0]], atol=1e-6)


def test_a_series_is_read_as_a_causal_network_of_dilated_convolutions() -> None:
    field, random = Series(name="s", mean=0.0, spread=1.0), np.random.default_rng(0)
    learned = {name: random.normal(size=shape).astype(np.float32) for name, shape in field.shapes(WIDTH).items()}
    values = tuple(random.normal(size=SERIES + 5).tolist())
    h = torch.tensor([[values[-SERIES:], [1.0] * SERIES]])  # (1, channels, time)
    for name, dilation in (("first", 1), ("second", 2), ("third", 4)):
        kernel = torch.tensor(learned[name]).reshape(3, h.shape[1], -1).permute(2, 1, 0)
        padded = torch.nn.functional.pad(h, (2 * dilation, 0))
        h = torch.relu(
            torch.nn.functional.conv1d(padded, kernel, torch.tensor(learned[f"{name}_shift"]), dilation=dilation)
        )
    wanted = h[0, :, -1].numpy() @ learned["out"]
    found = field.forward(learned, field.read(NodeTable(1, series={"s": [values]})), np)
    np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-4)


def test_ids_are_found_in_any_order_and_new_ones_have_no_vector() -> None:
    made = encoder("product", NodeTable(3), ids=("a", "b", "c"))
    h = made(("c", "new", "a"), NodeTable(3))
    np.testing.assert_allclose(h[0], made.start + made.id_vectors[2], atol=1e-6)
    np.testing.assert_allclose(h[1], made.start, atol=1e-6)
    np.testing.assert_allclose(h[2], made.start + made.id_vectors[0], atol=1e-6)


def test_users_have_no_learned_vectors_whatever_is_given() -> None:
    schema = GraphSchema.of(("user", "product"), [Relation("user", "order", "product")])
    model = HgtModel.untrained(schema, {}, {"user": ("u1", "u2"), "product": ("a",)}, shape=Shape(8, 8, 2))
    assert model.encoders["user"].ids == ()
    assert model.inputs("user", ("u1", "u2"), NodeTable(2)).shape == (2, 8)


def test_an_unknown_node_type_is_refused_with_words() -> None:
    schema = GraphSchema.of(("user", "product"), [Relation("user", "order", "product")])
    model = HgtModel.untrained(schema, {})
    with pytest.raises(Invalid, match="no nodes of type 'app', only user, product"):
        model.inputs("app", (), NodeTable(0))


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(Invalid, match="evenly"):
        Shape(width=10, heads=4)
