"""Models: algorithms, versions, training, promotion, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import Page, escaped
from shopkeeper.core.records import AlgorithmInfo, Job, ModelInfo, Version

_V1 = "/api/v1"


class ModelDoors(JobDoors):
    def algorithms(self, task: str | None = None) -> list[AlgorithmInfo]:
        return self.get(f"{_V1}/algorithms", list[AlgorithmInfo], {"task": task})

    def models(self, task: str | None = None) -> list[ModelInfo]:
        return self.get(f"{_V1}/models", Page[ModelInfo], {"task": task, "limit": 1000}).items

    def versions(self, model: str, *, scope: str = "all") -> list[Version]:
        """Newest first."""
        query = {"scope": scope, "limit": 1000}
        return self.get(f"{_V1}/models/{escaped(model)}/versions", Page[Version], query).items

    def version(self, model: str, ref: str | int = "champion", *, scope: str = "all") -> Version:
        return self.get(f"{_V1}/models/{escaped(model)}/versions/{escaped(str(ref))}", Version, {"scope": scope})

    def train(
        self,
        model: str,
        algorithm: str,
        *,
        params: Mapping[str, Any] | None = None,
        source: Mapping[str, Any] | None = None,
        seed: int = 42,
        promote: bool = True,
        scope: str = "all",
        **steps: Any,
    ) -> Job:
        """Begins a training; `wait` follows it. `steps`: evaluate=False, register=False, upload="s3://bucket/prefix"."""
        body: dict[str, Any] = {"algorithm": algorithm, "params": params or {}, "seed": seed, "promote": promote}
        body |= steps
        if source is not None:
            body["source"] = source
        queued = self.call("POST", f"{_V1}/models/{escaped(model)}/train", dict[str, Any], body, query={"scope": scope})
        return self.job(queued["job_id"])

    def promote(
        self, model: str, version: str | int, *, force: bool = False, reason: str = "", scope: str = "all"
    ) -> dict[str, Any]:
        """Raises Refused when the gate says no; `force` overrules it and is written down."""
        body = {"version": version, "force": force, "reason": reason}
        path = f"{_V1}/models/{escaped(model)}/promote"
        return self.call("POST", path, dict[str, Any], body, query={"scope": scope})

    def evaluate(self, model: str, version: str | int, *, against: str | int = "champion", scope: str = "all") -> Job:
        """Begins to measure a version anew beside another; the verdict takes the old one's place."""
        path = f"{_V1}/models/{escaped(model)}/versions/{escaped(str(version))}/evaluate"
        queued = self.call("POST", path, dict[str, Any], {"against": against}, query={"scope": scope})
        return self.job(queued["job_id"])

    def rollback(
        self, model: str, to: str | int = "previous", *, reason: str = "", scope: str = "all"
    ) -> dict[str, Any]:
        path = f"{_V1}/models/{escaped(model)}/rollback"
        return self.call("POST", path, dict[str, Any], {"to": to, "reason": reason}, query={"scope": scope})

    def predict(
        self, model: str, rows: Sequence[Mapping[str, Any]], *, version: str | int | None = None, strict: bool = True
    ) -> list[Any]:
        """One output a row. Not `strict`: the vector of exactly one row stands for itself, as older clients know it."""
        path = f"/predictions/{escaped(model)}" + (f"/{escaped(str(version))}" if version is not None else "")
        query = {"strict": True} if strict else None
        answer = self.call("POST", path, dict[str, list[Any]], {"data": list(rows)}, query=query, repeat=True)
        return answer["predictions"]

    def reload(self, model: str | None = None) -> dict[str, Any]:
        return self.call("POST", "/reload", dict[str, Any], query={"model": model})

    # -- vectors

    def user_embedding(
        self, features: Mapping[str, Any], history: Sequence[str] | None = None, *, model: str | None = None
    ) -> list[float]:
        """`history`: items taken, newest last. Without `model`: youtube_dnn when there is a history, else two_tower.
        Raises NotFound, Invalid."""
        body = {"user_features": features, "history_item_ids": history, "model": model}
        return self._vector("user_embedding", body)

    def item_embedding(self, features: Mapping[str, Any], *, model: str | None = None) -> list[float]:
        return self._vector("item_embedding", {"item_features": features, "model": model})

    def query_embedding(self, features: Mapping[str, Any], *, model: str | None = None) -> list[float]:
        return self._vector("query_embedding", {"query_features": features, "model": model})

    def recall(self, user_id: str, top_k: int = 20, *, model: str | None = None) -> list[tuple[str, float]]:
        """Items and their scores, best first; none for a user that the model does not know."""
        body = {"user_id": user_id, "top_k": top_k, "model": model}
        answer = self.call("POST", "/recall", dict[str, list[Any]], body, repeat=True)
        return list(zip(answer["item_ids"], answer["scores"], strict=True))

    def _vector(self, door: str, body: Mapping[str, Any]) -> list[float]:
        answer = self.call("POST", f"/{door}", dict[str, list[float]], dict(body), repeat=True)
        return answer[door]
