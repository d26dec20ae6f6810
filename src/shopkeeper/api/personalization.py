"""Suggestions and feedback: both are answered on the fast lane (fastlane.py)."""

from __future__ import annotations

import msgspec

from shopkeeper.api.door import Doors
from shopkeeper.core.records import Feedback, RecRequest, RecResponse


class Thanks(msgspec.Struct):
    status: str
    message: str


doors = Doors("Personalisation")
doors.hot(
    "POST", "/api/v1/personalization/recommend",
    scope="p", summary="A slate for a user; one whom nobody knows gets what sells",
    body=RecRequest, answer=RecResponse, errors=(404, 429, 504),
)  # fmt: skip
doors.hot(
    "POST", "/api/v1/personalization/feedback",
    scope="p", summary="What a user did with a suggestion; durable before the answer",
    body=Feedback, answer=Thanks, errors=(429,),
)  # fmt: skip
