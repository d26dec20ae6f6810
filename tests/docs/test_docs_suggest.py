"""docs/suggest.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shopkeeper.api import batch, body, livesocket, recommendations, slates
from shopkeeper.api.app import NOUNS
from shopkeeper.core.records import Feedback, RecItem, RecRequest, RecResponse
from shopkeeper.recommend.feedback import REWARDS
from shopkeeper.recommend.made import SLATE_ID

PAGE = (Path(__file__).parents[2] / "docs" / "suggest.md").read_text(encoding="utf-8")


def part(name: str) -> str:
    return PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]


def rows(name: str) -> list[list[str]]:
    lines = [line for line in part(name).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not set(line) <= set("|- ")]


def named(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_fields_of_a_request_are_listed_with_their_defaults() -> None:
    told = {named(row[0])[0]: row[1] for row in rows("The request")[1:]}
    fields = {field.name: field for field in msgspec.structs.fields(RecRequest)}
    assert list(told) == list(fields)
    for name, field in fields.items():
        if field.required:
            assert told[name] == ""
        elif field.default_factory is not msgspec.NODEFAULT:
            assert told[name] == "{}"
        else:
            default: Any = field.default
            assert told[name] == (default if isinstance(default, str) else json.dumps(default))


@pytest.mark.parametrize(
    ("field", "low", "high"), [("n_recommendations", 1, 100), ("deadline_ms", 5, 5000), ("diversity_weight", 0, 1)]
)
def test_bounds_are_those_of_the_code(field: str, low: int, high: int) -> None:
    told = next(row[2] for row in rows("The request") if row[0] == f"`{field}`")
    assert f"{low} to {high}" in told
    slates.check_request(RecRequest(user_id="u", **{field: low}))
    slates.check_request(RecRequest(user_id="u", **{field: high}))
    for beyond in (low - 1, high + 1):
        with pytest.raises(body.Malformed):
            slates.check_request(RecRequest(user_id="u", **{field: beyond}))


def test_limits_are_those_of_the_code() -> None:
    assert f"at most {slates.MOST_EXCLUDED}" in part("The request")
    assert f"{body.DEPTH_LIMIT} levels" in part("The request")
    assert f"1 to {batch.MOST};" in part("Many, a basket, what is similar")
    assert f"its slate, {SLATE_ID} characters" in part("Ids of answers")
    assert f"within {livesocket._GREETING_S:g} s" in part("WebSocket")


def test_fields_of_an_answer_are_listed_and_the_example_is_one() -> None:
    told = [name for row in rows("The answer")[1:] for name in named(row[0])]
    assert sorted(told) == sorted(RecResponse.__struct_fields__)
    example = PAGE.split("```json\n")[1].split("```")[0]
    answer = msgspec.json.decode(example, type=RecResponse)
    assert sorted(json.loads(example)) == sorted(told)
    assert sorted(json.loads(example)["recommendations"][0]) == sorted(RecItem.__struct_fields__)
    assert len(answer.request_id) == SLATE_ID
    asked = PAGE.split("-d '")[1].split("'")[0]
    assert msgspec.json.decode(asked, type=RecRequest).user_id == answer.user_id


def test_what_can_be_said_of_an_answer() -> None:
    doors = {
        row[0].strip("`").rpartition("/")[2]: named(row[1].replace('"', "`")) for row in rows("Ids of answers")[1:]
    }
    assert set(doors) == {"accept", "dismiss", "feedback"}
    assert doors["accept"] == doors["dismiss"] == list(recommendations.ReactionForm.__struct_fields__)
    assert sorted(doors["feedback"]) == sorted(recommendations.RatingForm.__struct_fields__)
    text = part("Ids of answers").split("`POST ~/personalization/feedback`")[1].partition("Types are ")
    assert set(named(text[0])) | {"request_id"} >= set(Feedback.__struct_fields__) - {"request_id"}
    assert set(named(text[2].split(";")[0])) == set(REWARDS)


def test_every_door_is_there() -> None:
    there = {f"{door.method} {door.path}" for noun in NOUNS for door in noun.all}
    for method, path in re.findall(r"`(GET|POST) ~(/[^`]+)`", PAGE):
        assert f"{method} /api/v1{path}" in there


def test_messages_and_close_codes_of_the_socket() -> None:
    table = part("WebSocket")
    for message in (livesocket.Ask, livesocket.Tell, livesocket.Ping):
        assert f'"type": "{message.__struct_config__.tag}"' in table
    given = set(livesocket.Tell.__struct_fields__) - {"request_id"}
    row = next(row for row in rows("WebSocket") if '"feedback"' in row[0])
    assert set(named(row[0].replace('"', "`"))) - {"type", "feedback"} == given
    asked = set(livesocket.Ask.__struct_fields__) - {"request_id"}
    assert asked == set(RecRequest.__struct_fields__) - {"user_id"}
    codes = {row[0] for row in rows("WebSocket") if row[0].isdigit()}
    assert codes == {"1009", *map(str, (livesocket._REFUSED, livesocket._GOING_DOWN, livesocket._FULL))}
    assert f"`{livesocket.PATH.replace('/api/v1', '~')}`" in table
