"""What a schedule can do, through the services that the HTTP doors call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shopkeeper import plugins
from shopkeeper.core.converting import converted
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.orders import read_order
from shopkeeper.lifecycle.releasing import Publisher, Releases
from shopkeeper.lifecycle.retention import Retention, check_policies
from shopkeeper.lifecycle.sourcing import secrets_of
from shopkeeper.lifecycle.works import Params, Work
from shopkeeper.operations.refresh import KIND, Refresh
from shopkeeper.operations.refreshing import read_order as read_refresh


class UploadOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`url`: s3://bucket/prefix or oss://bucket/prefix; `version` may be an alias."""

    model: str
    url: str
    version: str | int = "champion"
    scope: str = "all"


class CleanupOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Without `policies`: all of them."""

    policies: list[str] = msgspec.field(default_factory=list)
    dry_run: bool = False


def works(
    jobs: JobService, releases: Releases, publisher: Publisher, retention: Retention, refresh: Refresh
) -> dict[str, Work]:
    """By kind. Job kinds that other packages brought are taken as they are: their function checks its parameters."""
    table = {name: _plain(jobs, name) for name in plugins.strangers("job kind")}
    table["train"] = _train(releases)
    table["backtest"] = _backtest(jobs, releases)
    table["upload"] = _upload(publisher)
    table["cleanup"] = _cleanup(retention)
    table[KIND] = Work(read_refresh, lambda params, by, _: refresh.submit(read_refresh(params), by=by))
    return table


def _train(releases: Releases) -> Work:
    def check(params: Params) -> None:
        order = read_order(params)
        if order.version is not None:
            raise Invalid("each run makes a version, and a name is given once: leave it out", field="version")
        if secret := next((name for name in secrets_of(order.source) if name in order.source), None):
            raise Invalid(f"source.{secret} is a secret, and a schedule is kept", code="secret", field="source")
        releases.check(order)

    return Work(check, lambda params, by, _: releases.submit(read_order(params), requested_by=by))


def _backtest(jobs: JobService, releases: Releases) -> Work:
    def check(params: Params) -> None:
        from shopkeeper.forecast.measuring.backtest import read_form

        releases.check_source(read_form(params).source)

    return Work(check, lambda params, by, key: jobs.submit("backtest", params, requested_by=by, work_key=key))


def _upload(publisher: Publisher) -> Work:
    def submit(params: Params, by: str, _: str) -> Job:
        order = converted(params, UploadOrder)
        return publisher.upload(order.model, order.version, order.scope, order.url, by)

    return Work(lambda params: publisher.check_url(converted(params, UploadOrder).url), submit)


def _cleanup(retention: Retention) -> Work:
    def submit(params: Params, by: str, _: str) -> Job:
        order = converted(params, CleanupOrder)
        return retention.submit(order.policies, dry_run=order.dry_run, by=by)

    return Work(lambda params: check_policies(converted(params, CleanupOrder).policies), submit)


def _plain(jobs: JobService, kind: str) -> Work:
    def submit(params: Mapping[str, Any], by: str, key: str) -> Job:
        return jobs.submit(kind, params, requested_by=by, work_key=key)

    return Work(lambda _: plugins.job_function(kind), submit)
