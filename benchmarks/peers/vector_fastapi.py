"""FastAPI with pydantic models, as most teams write it, that answers everybody with one constant vector."""

import os
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
VECTOR = [((7 * at) % 64 - 31.5) / 257 for at in range(64)]


class Request(BaseModel):
    user_features: dict[str, Any] = {}
    history_item_ids: list[str] | None = None


class Response(BaseModel):
    user_embedding: list[float]


@app.post("/user_embedding")
async def user_embedding(request: Request) -> Response:  # noqa: ARG001  it is checked, and that is what takes time
    return Response(user_embedding=VECTOR)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="error")
