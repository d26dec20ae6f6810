"""How soon an acknowledged event shows: in the profile, in the features, in a slate that was kept."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record, shops
from benchmarks.load import Plan, beside, measure, offered
from benchmarks.load_mix import FEEDBACK_DOOR, MARK, RECOMMEND_DOOR, SCENARIO, Asker
from benchmarks.load_wires import Http

_QUICK = "--quick" in sys.argv[1:]  # a trial of a minute: prints, records nothing
_TRIALS = 20 if _QUICK else 500
_PATIENCE_S = 30.0
_OFFERED = 300 if _QUICK else 1000
_FEEDBACK = 0.05
_MOST_S = 600.0
_VIEWS = ("profile", "features", "slate")


class Caller:
    """One keep-alive connection. Who is sent away (429, 503) asks again: `refused` times in all."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
        self.refused = 0

    def __call__(self, path: str, body: Any = None) -> Any:
        method, given = ("GET", None) if body is None else ("POST", json.dumps(body))
        while True:
            self._connection.request(method, path, given, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            told = json.loads(answer.read())
            if answer.status < 300:
                return told
            if answer.status not in (429, 503):
                raise SystemExit(f"{path} answers {answer.status}: {told}")
            self.refused += 1


def main() -> None:
    begun, loads = time.perf_counter(), [os.getloadavg()[0]]
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as name:
        home = shops.trained(Path(name))
        with shops.serving(home, Path(name)) as server:
            users = shops.ids(server.url, "users", "user_id")
            items = shops.ids(server.url, "items", "item_id")
            shops.settle(server)
            watched, others = users[::2], users[1::2]
            rows += _trials("alone", server.port, watched, items)
            measure(server.port, Asker(others, items).hits(500).payloads, 16, 2.0)
            mix = Asker(others, items).zipf(round(_OFFERED * _MOST_S), feedback=_FEEDBACK)
            due = offered(_OFFERED, _MOST_S)
            load = Plan(server.port, mix.payloads, mix.order, 128, _MOST_S, Http(), 0.0, due, mix.kinds, MARK)
            with beside(load) as found:
                rows += _trials("under load", server.port, watched, items)
            print(found[0], flush=True)
    loads.append(os.getloadavg()[0])
    if _QUICK:
        return
    busy = found[0]
    record.write(
        "visible",
        "From an event to what it changes",
        "`shopkeeper up` with the bundled shop and its first models, one process; the client on the same two cores. "
        f"{_TRIALS} times each, other customers every time: an event is sent over HTTP, and from its acknowledgement "
        "(durable) on the view is asked for again and again on the same connection until it shows the event. The "
        "time is that of the answer that shows it, so one answer of the view is always part of it; who is refused "
        "(429, 503) asks again at once. Profile: the event is the newest of its history. Features: "
        "the count of the customer's events has grown. Slate: the customer has "
        "just been shown ten items, kept in the cache, and reports the first; shown when a slate comes without it. "
        f"Under load: {_OFFERED:,} other requests a second fall due beside it (open loop, customers by Zipf's law, "
        f"{_FEEDBACK:.0%} of them feedback).",
        [
            {
                "title": "Milliseconds",
                "columns": [
                    "when",
                    "view",
                    "acknowledged after, P50",
                    "P99",
                    "shows after that, P50",
                    "P99",
                    "worst",
                    "in the first answer",
                    "refused first",
                ],
                "rows": rows,
            }
        ],
        [
            f"The load beside it: {busy.per_second:,.0f} answers a second, hit rate {busy.hit_rate:.2f}, P50 "
            f"{busy.p50:.1f} ms, P99 {busy.p99:.1f} ms, {busy.errors} errors.",
            f"Load average over one minute: {loads[0]:.1f} at the start, {loads[-1]:.1f} at the end; the whole run "
            f"took {(time.perf_counter() - begun) / 60:.1f} minutes.",
        ],
    )


def _trials(when: str, port: int, users: list[str], items: list[str]) -> list[list[Any]]:
    draw, call = random.Random(when), Caller(port)
    rows = []
    for view in _VIEWS:
        acknowledged, shown, polls = [], [], []
        for user in draw.sample(users, min(_TRIALS, len(users))):
            took, after, asked = _trial(call, view, user, draw.choice(items))
            acknowledged.append(took * 1000)
            shown.append(after * 1000)
            polls.append(asked)
        first = sum(asked == 1 for asked in polls) / len(polls)
        shares = [f"{first:.1%}", call.refused]
        rows.append([when, view, *_quantiles(acknowledged), *_quantiles(shown), max(shown), *shares])
        call.refused = 0
        print(rows[-1], flush=True)
    return rows


def _trial(call: Caller, view: str, user: str, item: str) -> tuple[float, float, int]:
    """Seconds to the acknowledgement, seconds from there until the view shows it, how often it was asked."""
    given: dict[str, Any] = {"user_id": user, "item_id": item, "feedback_type": "view"}
    shows: Callable[[], bool]
    if view == "profile":
        shows = lambda: _newest(call(f"/api/v1/personalization/user/{user}/profile")) == ("view", item)  # noqa: E731
    elif view == "features":
        before = _events(call(f"/api/v1/features/realtime/{user}"))
        shows = lambda: _events(call(f"/api/v1/features/realtime/{user}")) > before  # noqa: E731
    else:
        asked = {"user_id": user, "scenario": SCENARIO}
        call(RECOMMEND_DOOR, asked)
        item = call(RECOMMEND_DOOR, asked)["recommendations"][0]["item_id"]  # asked twice: kept by now
        given |= {"item_id": item, "feedback_type": "report"}
        shows = lambda: item not in _slate(call(RECOMMEND_DOOR, asked))  # noqa: E731
    began = time.perf_counter()
    call(FEEDBACK_DOOR, given)
    acknowledged = time.perf_counter()
    count = 1
    while not shows():
        count += 1
        if time.perf_counter() - acknowledged > _PATIENCE_S:
            raise SystemExit(f"an event of {user} does not show in the {view} after {_PATIENCE_S:.0f} s")
    return acknowledged - began, time.perf_counter() - acknowledged, count


def _newest(profile: dict[str, Any]) -> tuple[str, str]:
    newest = profile["behavior_history"][0]
    return newest["event_type"], newest.get("item_id") or newest.get("target_id")


def _events(features: dict[str, Any]) -> float:
    return float(features["aggregated"].get("events_view_all", 0.0))


def _slate(answer: dict[str, Any]) -> set[str]:
    return {one["item_id"] for one in answer["recommendations"]}


def _quantiles(values: list[float]) -> list[float]:
    return [float(np.quantile(values, 0.5)), float(np.quantile(values, 0.99))]


if __name__ == "__main__":
    main()
