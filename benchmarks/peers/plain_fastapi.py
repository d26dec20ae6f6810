"""FastAPI with pydantic models, as most teams write it."""

import os

import model
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
booster = model.load()


class Request(BaseModel):
    data: list[dict[str, float]]


class Response(BaseModel):
    predictions: list[float]


@app.post("/predictions/xgb")
async def predict(request: Request) -> Response:
    return Response(predictions=model.score(booster, request.data))


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="error")
