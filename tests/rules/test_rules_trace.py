import pytest
from rule_trees import SCHEMA

from shopkeeper.rules.parser import parse
from shopkeeper.rules.trace import Trace, trace


def traced(text: str, **profile: object) -> Trace:
    return trace(parse(text, SCHEMA), SCHEMA.row(profile))


@pytest.mark.parametrize(
    ("text", "why", "change"),
    [
        ("a > 10", "a is 4 (<= 10)", "a > 10 (now 4, 6 more needed)"),
        ("a < 10 and b >= 2", "a is 4 (< 10) and b is 1 (< 2)", ""),
        ("a >= 4", "a is 4 (>= 4)", "a < 4 (now 4, exactly on the bound)"),
        ("a > 10 or plan == 'x'", "a is 4 (<= 10) and plan is '5G': != 'x'", "a > 10 (now 4, 6 more needed)"),
        ("'5G' in plan", "plan is '5G': contains '5G'", "plan does not contain '5G'"),
        ("'6G' in plan", "plan is '5G': does not contain '6G'", "plan contains '6G'"),
        ("plan in ['a', 'b']", "plan is '5G': none of 'a', 'b'", "plan one of 'a', 'b'"),
        ("not vip", "vip is false", "vip is true"),
        ("counts['order'] >= 5", "counts['order'] is 3 (< 5)", "counts['order'] >= 5 (now 3, 2 more needed)"),
        ("b in 7 days > 2", "b in 7 days is missing", "b in 7 days known and b in 7 days > 2"),
        ("a > b + 5", "a is 4 (<= b + 5 = 6)", "a > b + 5 = 6 (now 4, 2 more needed)"),
        ("'click' in counts", "counts has no 'click'", "counts has 'click'"),
        ("city is None", "city is missing", "city is known"),
    ],
)  # fmt: skip
def test_sentences(text: str, why: str, change: str) -> None:
    found = traced(text, a=4, b=1, plan="5G", counts={"order": 3})
    if change:
        assert found.why == why
        assert found.what_would_change == change


def test_a_failing_and_names_only_what_fails() -> None:
    found = traced("a > 1 and b > 100 and vip", a=4, b=1, vip=True)
    assert found.why == "b is 1 (<= 100)"
    assert [leaf.distance for leaf in found.changes] == [99.0]
    assert [leaf.holds for leaf in found.leaves] == [True, False, True]


def test_a_failing_and_needs_all_that_fails_to_turn() -> None:
    assert len(traced("a > 10 and b > 10 and vip", a=4, b=1).changes) == 3


def test_a_failing_or_takes_the_nearest_way() -> None:
    found = traced("a > 100 or b > 2 or (a > 5 and vip)", a=4, b=1)
    assert [leaf.text for leaf in found.changes] == ["b > 2"]


def test_not_turns_the_sentence_around() -> None:
    found = traced("not (a > 1 and b > 1)", a=4, b=3)
    assert not found.matched
    assert found.why == "a is 4 (> 1) and b is 3 (> 1)"
    assert found.what_would_change == "b <= 1 (now 3, 2 less needed)"


def test_what_cannot_change_is_not_offered_when_there_is_another_way() -> None:
    assert [leaf.text for leaf in traced("1 > 2 or a > 9", a=1).changes] == ["a > 9"]


@pytest.mark.parametrize("vip", [True, False])
@pytest.mark.parametrize("a", [1, 5])
@pytest.mark.parametrize("op", ["==", "!="])
def test_equal_conditions_are_traced_to_their_parts(vip: bool, a: int, op: str) -> None:
    found = traced(f"vip {op} (a > 3)", vip=vip, a=a)
    assert found.matched == ((vip == (a > 3)) is (op == "=="))
    assert "vip is" in found.why
