"""Every metric name of Shopkeeper, once. `/metrics` is `exposition()`; rooms count with the objects."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from shopkeeper.telemetry.requests import Requests

REGISTRY = CollectorRegistry()
CONTENT_TYPE = CONTENT_TYPE_LATEST

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_PREDICT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000)
_GROUP = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def _counter(name: str, help: str, *labels: str) -> Counter:
    return Counter(name, help, labels, registry=REGISTRY)


def _gauge(name: str, help: str, *labels: str) -> Gauge:
    return Gauge(name, help, labels, registry=REGISTRY)


def _histogram(name: str, help: str, *labels: str, buckets: tuple[float, ...] = _FAST) -> Histogram:
    return Histogram(name, help, labels, registry=REGISTRY, buckets=buckets)


# -- doors
http_requests = Requests(REGISTRY, _FAST)
"""http_requests_total by path, method and status; http_request_duration_seconds by path."""

grpc_requests_total = _counter("grpc_requests_total", "Answered gRPC requests", "method", "code")
grpc_request_duration_seconds = _histogram("grpc_request_duration_seconds", "Time to answer over gRPC", "method")

# -- stores and event log
events_accepted_total = _counter("events_accepted_total", "Events that are durable in the log")
events_duplicate_total = _counter("events_duplicate_total", "Events whose id was in the log already")
events_rejected_total = _counter("events_rejected_total", "Events that were refused")
event_visible_seconds = _histogram(
    "event_visible_seconds", "From an event's commit until every follower has applied it"
)
follower_broken = _gauge("follower_broken", "1: this follower of the log failed and is out of date", "follower")
accumulator_out_of_date = _gauge(
    "accumulator_out_of_date", "1: what this one keeps of users could not be merged or forgotten", "accumulator"
)
write_queue_depth = _gauge("write_queue_depth", "Writes that wait for the disk")
write_group_size = _histogram("write_group_size", "Writes that share one commit", buckets=_GROUP)
write_commit_seconds = _histogram("write_commit_seconds", "Time of one group: statements and commit")

# -- lifecycle
job_total = _counter("job_total", "Finished jobs", "kind", "status")
job_seconds = _histogram("job_seconds", "Run time of jobs", "kind", buckets=(1, 5, 15, 60, 300, 900, 3600))
model_predict_requests_total = _counter("model_predict_requests_total", "Prediction requests", "model", "status")
model_predict_duration_seconds = _histogram(
    "model_predict_duration_seconds", "Time to predict", "model", buckets=_PREDICT
)
model_predict_batch_size = _histogram("model_predict_batch_size", "Rows that one call of a model scored", buckets=_ROWS)
model_variant_requests_total = _counter(
    "model_variant_requests_total", "Requests that a split gave to a version", "model", "version", "outcome"
)
model_shadow_requests_total = _counter(
    "model_shadow_requests_total", "Requests that a shadow was asked", "model", "outcome"
)
model_reload_total = _counter("model_reload_total", "Loads of a version into serving", "status")
model_version_info = _gauge("model_version_info", "1: this version serves", "model", "version")

# -- know, suggest, stock
profile_seconds = _histogram("profile_seconds", "Time to build one profile")
recommend_seconds = _histogram("recommend_seconds", "Time to build one slate", "scenario")
recommend_requests_total = _counter("recommend_requests_total", "Slates that were asked for", "scenario", "status")
recommend_degraded_total = _counter("recommend_degraded_total", "Slates that a fallback helped to make", "stage")
recommend_refused_total = _counter("recommend_refused_total", "Requests for slates that were sent away: too many wait")
recommend_cache_hits_total = _counter("recommend_cache_hits_total", "Slates that the cache answered", "scenario")
live_sockets = _gauge("live_sockets", "WebSockets that are open for suggestions")
slates_logged_total = _counter("slates_logged_total", "Slates that are in the log")
slates_lost_total = _counter("slates_lost_total", "Slates that were answered and could not be logged")
served_vectors_logged_total = _counter("served_vectors_logged_total", "Slates of which the log has what rankers saw")
served_vectors_lost_total = _counter("served_vectors_lost_total", "Slates of which that could not be logged")
explored_lost_total = _counter("explored_lost_total", "Slates whose drawn slots could not be logged")
visits_lost_total = _counter("visits_lost_total", "Slates of visits with an agent that could not be logged")
visits_learned_total = _counter("visits_learned_total", "Visits that agents learned here", "scenario")
explore_rounds_total = _counter("explore_rounds_total", "Drawn slots that were learned here", "scenario")
experiment_exposures_total = _counter("experiment_exposures_total", "Users whose first answer by a variant is written")
experiment_exposures_put_off_total = _counter(
    "experiment_exposures_put_off_total", "Exposures that wait for the user's next answer: too many were unwritten"
)
feature_missing_total = _counter("feature_missing_total", "Features that took their default", "feature")
forecast_seconds = _histogram("forecast_seconds", "Time to make one forecast")
forecast_fallback_total = _counter("forecast_fallback_total", "Forecasts that a simpler model made", "reason")
import_rows_total = _counter("import_rows_total", "Imported rows", "kind", "outcome")
live_lag_seconds = _gauge("live_lag_seconds", "How far the live stream is behind the shop clock, shop seconds")

# -- webhooks
webhook_deliveries_total = _counter(
    "webhook_deliveries_total", "Attempts to tell a webhook: delivered, retried, failed, dropped", "outcome"
)
webhook_post_seconds = _histogram("webhook_post_seconds", "Time of one attempt", buckets=_PREDICT)


def exposition() -> bytes:
    """All metrics in Prometheus text format; send it as `CONTENT_TYPE`."""
    return generate_latest(REGISTRY)
