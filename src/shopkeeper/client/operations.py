"""The graph and what runs by itself: look at it, refresh it, start and stop it, hear of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from shopkeeper.client.wire import Wire, escaped
from shopkeeper.core.records import Job

_V1 = "/api/v1"


class _Neighbors(msgspec.Struct):
    neighbors: list[dict[str, Any]]


class OperationDoors(Wire):
    def operations_status(self) -> dict[str, Any]:
        """`{ingestion, incremental_loop, history}`."""
        return self.get(f"{_V1}/operations/status", dict[str, Any])

    def operations_metrics(self) -> dict[str, Any]:
        """How each channel stands, and what the server takes from its machine."""
        return self.get(f"{_V1}/operations/metrics", dict[str, Any])

    def operations_stream(self, after: int | None = None) -> Iterator[tuple[int | None, dict[str, Any]]]:
        """(number, message) as they come: first the metrics, unless `after` is a number that is still kept, then
        `{channel, payload, timestamp, resources}`; resumes by itself after a broken connection."""
        for _, number, data in self.follow(f"{_V1}/operations/stream", after):
            yield number, msgspec.json.decode(data, type=dict[str, Any])

    def start_ingestion(self) -> str:
        """The live source goes on; says what came of it. Raises Conflict in a shop that has none."""
        return self._switch("ingestion/start")

    def stop_ingestion(self) -> str:
        return self._switch("ingestion/stop")

    def start_incremental(self) -> str:
        """Vectors follow the events again."""
        return self._switch("incremental/start")

    def stop_incremental(self) -> str:
        return self._switch("incremental/stop")

    def _switch(self, what: str) -> str:
        return self.call("POST", f"{_V1}/operations/{what}", dict[str, str], repeat=True)["message"]

    def refresh(self, mode: str = "embedding_only", **form: Any) -> Job:
        """Begins to make all vectors anew. `form`: graph_scope, sample_ratio, random_seed, include_edge_timestamp,
        retrain_epochs, fusion_epochs, temperature, learning_rate, warm_start. Raises Busy while one is under way,
        Conflict when there is no model to embed with."""
        return self._begun("graph/refresh", {"mode": mode, **form})

    def train_hgt(self, **form: Any) -> Job:
        """Begins a training of the graph's model; `form` as the door `operations/training/hgt` shows it."""
        return self._begun("operations/training/hgt", form)

    def train_fusion(self, **form: Any) -> Job:
        """Begins to tune the fused score. `form`: sample_size, epochs, lr, batch_size. Raises Busy, Conflict."""
        return self._begun("operations/fusion/train", form)

    def _begun(self, door: str, form: Mapping[str, Any]) -> Job:
        queued = self.call("POST", f"{_V1}/{door}", dict[str, str], form)
        return self.get(f"{_V1}/jobs/{escaped(queued['job_id'])}", Job)

    def graph_statistics(self) -> dict[str, Any]:
        """Raises NotFound while there is no graph."""
        return self.get(f"{_V1}/graph/statistics", dict[str, Any])

    def graph_neighbors(
        self, node_type: str, node_id: str, *, limit: int = 20, relation: str | None = None
    ) -> list[dict[str, Any]]:
        """The newest first. Raises NotFound (node), Invalid (node type, relation)."""
        path = f"{_V1}/graph/neighbors/{escaped(node_type)}/{escaped(node_id)}"
        return self.get(path, _Neighbors, {"limit": limit, "relation": relation}).neighbors

    def embeddings(self) -> list[dict[str, Any]]:
        """The vector spaces that serve."""
        return self.get(f"{_V1}/embeddings", dict[str, list[dict[str, Any]]])["spaces"]
