from __future__ import annotations

import msgspec
import pytest

from shopkeeper.api import errors
from shopkeeper.api.errors import Malformed
from shopkeeper.core.errors import (
    Busy,
    Conflict,
    Invalid,
    NotFound,
    Overloaded,
    Refused,
    ShopkeeperError,
    Stale,
    Unavailable,
)

A, B, C, D = "/api/v1/rules", "/predictions/m", "/api/v1/personalization/recommend", "/api/models/x"


@pytest.mark.parametrize(
    ("path", "family"),
    [
        (A, "A"), (B, "B"), (C, "C"), (D, "D"), ("/health", "A"), ("/predict", "B"), ("/reload", "B"), ("/recall", "B"),
        ("/user_embedding", "B"), ("/v2/health/live", "B"), ("/api/v1/models/m/train", "C"), ("/api/v1/features", "C"),
        ("/api/v1/modelsx", "A"), ("/api/products", "D"), ("/api/v1/data/imports", "A"), ("/predictable", "A"),
    ],
)  # fmt: skip
def test_a_path_belongs_to_one_family(path: str, family: str) -> None:
    assert errors.family(path) == family


@pytest.mark.parametrize(
    ("error", "statuses", "kind"),
    [
        (NotFound("x"), (404, 404, 404, 404), "NotFound"),
        (Invalid("x"), (400, 400, 422, 400), "Invalid"),
        (Malformed("x"), (400, 422, 422, 400), "Invalid"),
        (Invalid("x", code="bad_name"), (400, 422, 422, 400), "Invalid"),
        (Invalid("x", code="body_too_large"), (413,) * 4, "Invalid"),
        (Invalid("x", code="wrong_content_type"), (415,) * 4, "Invalid"),
        (Refused("x"), (403,) * 4, "Refused"),
        (Refused("x", code="no_key"), (401,) * 4, "Refused"),
        (Conflict("x"), (409,) * 4, "Conflict"),
        (Stale("x"), (412,) * 4, "Conflict"),
        (Busy("x", job_id="j"), (409,) * 4, "Conflict"),
        (Overloaded("x"), (429,) * 4, "Overloaded"),
        (Unavailable("x"), (503,) * 4, "Unavailable"),
        (Unavailable("x", code="deadline"), (504,) * 4, "Unavailable"),
        (Unavailable("x", code="model_failed"), (500,) * 4, "Internal"),
        (Unavailable("x", code="bad_output"), (500,) * 4, "Internal"),
        (ShopkeeperError("x"), (500,) * 4, "Internal"),
    ],
)
def test_the_table(error: ShopkeeperError, statuses: tuple[int, ...], kind: str) -> None:
    answers = [errors.answer(error, path, "id") for path in (A, B, C, D)]
    assert tuple(answer.status for answer in answers) == statuses
    for answer in answers:
        body = msgspec.json.decode(answer.body)
        assert (body["detail"], body["code"], body["type"], body["request_id"]) == ("x", error.code, kind, "id")


def test_busy_names_the_job_and_come_back_later_says_when() -> None:
    assert b'"job_url":"/api/v1/jobs/j"' in errors.answer(Busy("x", job_id="j"), A, "id").body
    for error in (Overloaded("x"), Unavailable("x")):
        assert (b"retry-after", b"1") in errors.answer(error, A, "id").headers
    assert not errors.answer(Unavailable("x", code="model_failed"), A, "id").headers


def test_every_branch_of_the_tree_has_a_row() -> None:
    for branch in ShopkeeperError.__subclasses__():
        if branch.__name__ != "Cancelled":
            assert errors.answer(branch("x"), A, "id").status < 500 or branch is Unavailable
