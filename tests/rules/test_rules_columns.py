import numpy as np
import pytest
from rule_trees import SCHEMA

from shopkeeper.rules.columns import SLICE, Columns, compile_columns
from shopkeeper.rules.one import compile_one
from shopkeeper.rules.parser import parse
from shopkeeper.rules.vectors import TextColumn


def people(n: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(1)
    return [
        {
            "a": float(rng.integers(-5, 6)) if rng.random() > 0.1 else None,
            "b": float(rng.normal()),
            "plan": f"plan {k % 9}" if k % 5 else None,
            "city": f"city {k}",
            "vip": bool(k % 2),
            "counts": {"order": k % 4} if k % 3 else {},
        }
        for k in range(n)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a > 1 and b < 0.5",
        "plan in ['plan 1', 'plan 2'] or plan == 'plan 5'",
        "'plan' in plan and plan != 'plan 3'",
        "'7' in city and vip",
        "plan > city",
        "counts.get('order', a) >= 2 or counts['order'] is None",
        "a in [1, 2, 3, 4, 5, -1, -2, -3, -4, 0.5] and len(city) > 6",
    ],
)
def test_more_than_one_slice(text: str) -> None:
    rows = [SCHEMA.row(person) for person in people(SLICE + 777)]
    tree = parse(text, SCHEMA)
    one = compile_one(tree)
    found = compile_columns(tree)(Columns.from_rows(rows, SCHEMA))
    assert found.tolist() == [one(row) for row in rows]
    assert 0 < found.sum() < len(rows)


def test_a_word_is_asked_once_for_all_slices_and_runs() -> None:
    columns = Columns.from_rows([SCHEMA.row(person) for person in people(SLICE + 10)], SCHEMA)
    rule = compile_columns(parse("'7' in city", SCHEMA))
    rule(columns)
    city = columns.values["city"]
    assert isinstance(city, TextColumn)
    (answers,) = city.answers.values()
    rule(columns)
    assert next(iter(city.answers.values())) is answers


def test_a_field_without_a_column_is_missing() -> None:
    columns = Columns(2, {"a": np.array([1.0, 2.0])})
    text = "a > 1 and b is None and plan is None and not vip and len(counts) == 0 and 'x' not in counts"
    assert compile_columns(parse(text, SCHEMA))(columns).tolist() == [False, True]


def test_no_rows() -> None:
    assert compile_columns(parse("a > 1 or plan == 'x'", SCHEMA))(Columns.from_rows([], SCHEMA)).tolist() == []


def test_a_rule_of_constants_has_an_answer_for_every_row() -> None:
    assert compile_columns(parse("1 / 0 > 1 or 2 > 1", SCHEMA))(Columns(3, {})).tolist() == [True] * 3
