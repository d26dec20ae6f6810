import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Feedback
from shopkeeper.recommend.feedback import REWARDS, reward, to_event


@pytest.mark.parametrize(
    ("kind", "value", "worth"),
    [
        ("click", 1, 0.1), ("view", 1, 0.05), ("like", 1, 0.3), ("share", 9, 0.5), ("comment", 1, 0.4),
        ("purchase", 1, 1.0), ("dislike", 1, -0.5), ("report", 1, -1.0), ("rating", 4, 0.8), ("dwell", 150, 0.5),
        ("dwell", 3000, 1.0), ("save", 1, 0.3), ("scroll", 0.5, 0.025),
    ],
)  # fmt: skip
def test_rewards_are_those_of_the_table(kind: str, value: float, worth: float) -> None:
    assert reward(kind, value) == pytest.approx(worth)
    event = to_event(Feedback(user_id="u", item_id="i", feedback_type=kind, feedback_value=value, request_id="r"))
    assert event.context["reward"] == pytest.approx(worth)
    assert event.value == (None if kind == "purchase" else pytest.approx(worth))
    assert event.event_type == ("order" if kind == "purchase" else kind)
    assert event.context["request_id"] == "r"
    assert (event.user_id, event.target_id) == ("u", "i")


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Invalid, match="click, view, like") as caught:
        to_event(Feedback(user_id="u", item_id="i", feedback_type="wink"))
    assert caught.value.code == "unknown_feedback_type"


@pytest.mark.parametrize(
    ("kind", "value"), [("rating", 6), ("rating", -1), ("dwell", -3), ("dwell", float("nan")), ("scroll", 40)]
)
def test_a_value_outside_of_its_scale_is_refused(kind: str, value: float) -> None:
    with pytest.raises(Invalid, match="feedback_value"):
        reward(kind, value)


def test_a_purchase_is_one_piece_at_the_list_price() -> None:
    given = Feedback(user_id="u", item_id="i", feedback_type="purchase")
    assert (to_event(given).quantity, to_event(given).unit_price, to_event(given).value) == (1.0, None, None)
    priced = to_event(given, 2.5)
    assert (priced.unit_price, priced.value, priced.context["reward"]) == (2.5, 2.5, 1.0)
    assert set(REWARDS) >= {"click", "view", "purchase"}
