"""Traffic: who answers a model's requests, who listens in, and releases step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import decoded, escaped
from shopkeeper.core.records import Job

_V1 = "/api/v1"


class TrafficDoors(JobDoors):
    """One method a door."""

    def traffic(self, model: str, *, scope: str = "all") -> dict[str, Any]:
        return self.tagged_traffic(model, scope=scope)[1]

    def tagged_traffic(self, model: str, *, scope: str = "all") -> tuple[str, dict[str, Any]]:
        """The same beside its ETag, for a `set_traffic` that shall not undo what somebody else has set meanwhile."""
        path = f"{_V1}/models/{escaped(model)}/traffic"
        answer = self.send_request("GET", path, query={"scope": scope}, repeat=True)
        return answer.headers["etag"], decoded(answer, dict[str, Any])

    def set_traffic(
        self,
        model: str,
        weights: Mapping[int, float],
        *,
        mode: str = "sticky",
        auto_rollback: bool = True,
        stack: Mapping[str, Any] | None = None,
        scope: str = "all",
        if_match: str | None = None,
    ) -> dict[str, Any]:
        """Share the requests among versions from now on; `weights` need not add up to 1. `stack`: the one that
        `traffic` told, for the same versions in the same order; without it a learned combination ends. `if_match`: the
        ETag of what was read; Stale when somebody has changed it since."""
        variants = [{"version": version, "weight": weight} for version, weight in weights.items()]
        body = {"variants": variants, "mode": mode, "auto_rollback": auto_rollback, "stack": stack}
        path = f"{_V1}/models/{escaped(model)}/traffic"
        answer = self.send_request(
            "PUT", path, body, query={"scope": scope}, repeat=if_match is None, if_match=if_match
        )
        return decoded(answer, dict[str, Any])

    def shadow(self, model: str, *, scope: str = "all") -> dict[str, Any]:
        """Raises NotFound when there is none."""
        return self.get(f"{_V1}/models/{escaped(model)}/shadow", dict[str, Any], {"scope": scope})

    def set_shadow(self, model: str, version: int, share: float = 1.0, *, scope: str = "all") -> dict[str, Any]:
        path = f"{_V1}/models/{escaped(model)}/shadow"
        body = {"version": version, "share": share}
        return self.call("PUT", path, dict[str, Any], body, query={"scope": scope}, repeat=True)

    def end_shadow(self, model: str, *, scope: str = "all") -> None:
        self.send_request("DELETE", f"{_V1}/models/{escaped(model)}/shadow", query={"scope": scope})

    def release(
        self,
        model: str,
        version: int | str,
        *,
        steps: Sequence[float] | None = None,
        step_s: float | None = None,
        force: bool = False,
        reason: str = "",
    ) -> Job:
        """Begin to release a version step by step; `wait` follows it."""
        config: dict[str, Any] = {"force": force}
        config |= {"steps": list(steps)} if steps is not None else {}
        config |= {"step_s": step_s} if step_s is not None else {}
        body = {"model_id": model, "version": version, "config": config, "description": reason}
        return self.job(self.call("PUT", f"{_V1}/models/update", dict[str, Any], body)["job_id"])

    def stack(
        self, model: str, versions: Sequence[int], *, source: Mapping[str, Any] | None = None, scope: str = "all"
    ) -> Job:
        """Begin to learn how to combine versions; `wait` follows it."""
        body = {"versions": list(versions), "source": dict(source or {})}
        path = f"{_V1}/models/{escaped(model)}/stack"
        return self.job(self.call("POST", path, dict[str, Any], body, query={"scope": scope})["job_id"])
