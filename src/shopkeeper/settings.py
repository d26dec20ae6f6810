"""Every setting: name, default, help. Read once from the environment, then frozen. `docs/settings.md` is this table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shopkeeper.core.errors import Invalid

MIB = 1024 * 1024


def _setting(name: str, default: Any, help: str, *aliases: str, **bounds: Any) -> Any:
    names = AliasChoices(f"SHOPKEEPER_{name}", *aliases)
    return Field(default, validation_alias=names, description=help, **bounds)


class Settings(BaseSettings):
    """Environment variables `SHOPKEEPER_<NAME>`; a few names of older systems are read as aliases."""

    # The prefix keeps a field's own name from being read too: `home` would be the person's $HOME.
    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_prefix="SHOPKEEPER_")

    home: Path = _setting("HOME", Path("var"), "Folder of this shop: database, artifacts, logs. One home = one shop")
    host: str = _setting("HOST", "127.0.0.1", "Address to listen on; other than loopback needs an API key", "HOST")
    port: int = _setting("PORT", 8080, "Port of the API; 0 takes a free one", "PORT", ge=0, le=65535)
    grpc_port: int = _setting(
        "GRPC_PORT",
        0,
        "Port of the Open Inference Protocol over gRPC (extra grpc); 0: off",
        "GRPC_PORT",
        ge=0,
        le=65535,
    )
    console_port: int = _setting("CONSOLE_PORT", 8501, "Port of the console; 0 takes a free one", ge=0, le=65535)
    api_key: str | None = _setting(
        "API_KEY", None, "Key with all scopes; none: open on loopback only", "RELOAD_API_KEY", repr=False
    )
    enabled_models: str | None = _setting(
        "ENABLED_MODELS",
        None,
        "Models that may be asked on the prediction wire and must be loaded to be ready, comma between; none: all",
        "ENABLED_MODELS",
    )
    model_version: str | None = _setting(
        "MODEL_VERSION",
        None,
        "Version to serve from the start on: v3 for the one enabled model, or model=v3,other=v1",
        "MODEL_VERSION",
    )
    backend_base_url: str | None = _setting("URL", None, "Where console and client find the API", "BACKEND_BASE_URL")
    timezone: str = _setting("TIMEZONE", "UTC", "Time zone of a new shop: a day is a local day")
    currency: str = _setting("CURRENCY", "EUR", "Currency of a new shop, ISO 4217")
    holidays_country: str = _setting(
        "HOLIDAYS_COUNTRY",
        "",
        "Forecasts know the public holidays of this country: GB, DE-BY ...; needs the extra `calendar`",
        max_length=20,
    )
    consent_default: bool = _setting(
        "CONSENT_DEFAULT", True, "What counts for a user who was never asked; false: a user has to opt in first"
    )
    device: Literal["gpu", "cpu"] = _setting(
        "DEVICE", "gpu", "gpu: jobs see CUDA where there is any; cpu: none does", "UPS_DEVICE"
    )
    live_speed: float = _setting(
        "LIVE_SPEED",
        60.0,
        "Bundled shop: shop seconds released per second, closed hours skipped. Simulated shop: 60 is about one event a "
        "second. 0: no stream",
        ge=0,
        le=100_000,
    )
    body_limit: int = _setting("BODY_LIMIT", MIB, "Largest request body, bytes", ge=1024)
    batch_body_limit: int = _setting(
        "BATCH_BODY_LIMIT", 16 * MIB, "Largest body of events and predictions, bytes", ge=1024
    )
    upload_limit: int = _setting("UPLOAD_LIMIT", 1024 * MIB, "Largest uploaded file, bytes", ge=1024)
    write_queue: int = _setting("WRITE_QUEUE", 10_000, "Writes waiting for the disk before 429 is answered", ge=1)
    job_workers: int = _setting("JOB_WORKERS", 1, "Jobs that run at the same time", ge=1, le=16)
    job_threads: int = _setting("JOB_THREADS", 0, "Threads of one job's libraries; 0: the cores it may use", ge=0)
    job_time_limit_s: int = _setting("JOB_TIME_LIMIT_S", 3600, "A job that runs longer is ended as failed", ge=1)
    job_memory_limit_mb: int = _setting(
        "JOB_MEMORY_LIMIT_MB", 8192, "A job that takes more memory is ended as failed", ge=128
    )
    keep_versions: int = _setting("KEEP_VERSIONS", 10, "Newest versions of each model that a cleanup leaves", ge=1)
    keep_days: int = _setting(
        "KEEP_DAYS", 30, "Days that a cleanup leaves finished jobs, refused rows and former champions", ge=1
    )
    live_sockets: int = _setting("LIVE_SOCKETS", 20_000, "WebSockets for suggestions that are open at once", ge=1)
    keep_slates_h: float = _setting("KEEP_SLATES_H", 24.0, "Hours that the log keeps what was shown", gt=0)
    feature_slots: int = _setting(
        "FEATURE_SLOTS",
        5_000,
        "Users of whom the tiles of the last day are kept in memory, 9.5 KB each; others are filled in when asked for",
        ge=1,
        le=1_000_000,
    )
    served_share: float = _setting(
        "SERVED_SHARE", 0.05, "Share of the slates of which the log keeps what the ranker saw", ge=0, le=1
    )
    keep_slates: int = _setting("KEEP_SLATES", 1_000_000, "Newest slates that the log keeps, of those", ge=1)
    explore_window_s: float = _setting(
        "EXPLORE_WINDOW_S",
        1800.0,
        "Seconds in which feedback counts for what a policy drew, before it is learned",
        gt=0,
    )
    explore_keep_days: float = _setting("EXPLORE_KEEP_DAYS", 30.0, "Days that the log keeps what policies drew", gt=0)
    upload_url: str | None = _setting(
        "UPLOAD_URL",
        None,
        "Bucket and folder that versions go to, s3://... or oss://...; a bare name is S3's",
        "S3_BUCKET",
    )
    s3_endpoint: str | None = _setting(
        "S3_ENDPOINT", None, "Server of s3:// addresses; none: AWS", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
    )
    s3_region: str = _setting("S3_REGION", "us-east-1", "Region of s3:// addresses", "AWS_REGION")
    s3_access_key: str | None = _setting(
        "S3_ACCESS_KEY", None, "Key of s3:// addresses", "AWS_ACCESS_KEY_ID", repr=False
    )
    s3_secret_key: str | None = _setting("S3_SECRET_KEY", None, "Its secret", "AWS_SECRET_ACCESS_KEY", repr=False)
    s3_session_token: str | None = _setting(
        "S3_SESSION_TOKEN", None, "Token of a temporary key", "AWS_SESSION_TOKEN", repr=False
    )
    oss_endpoint: str | None = _setting(
        "OSS_ENDPOINT", None, "Server of oss:// addresses; none: that of the region", "OSS_ENDPOINT_URL"
    )
    oss_region: str | None = _setting(
        "OSS_REGION", None, "Region of oss:// addresses, such as cn-hangzhou", "OSS_REGION"
    )
    oss_access_key: str | None = _setting(
        "OSS_ACCESS_KEY", None, "Key of oss:// addresses; none: that of s3://", "OSS_ACCESS_KEY_ID", repr=False
    )
    oss_secret_key: str | None = _setting("OSS_SECRET_KEY", None, "Its secret", "OSS_SECRET_ACCESS_KEY", repr=False)
    object_addressing: Literal["virtual", "path"] | None = _setting(
        "OBJECT_ADDRESSING", None, "Bucket in the host name (virtual) or in the path; none: virtual where it can be"
    )
    source_hosts: str | None = _setting(
        "SOURCE_HOSTS",
        None,
        "Servers that training data may come from beside those of these settings: host, host:port or patterns with *, "
        "comma between; none: all while there is no API key, no other behind one",
    )
    webhook_hosts: str | None = _setting(
        "WEBHOOK_HOSTS",
        None,
        "Servers that webhooks may reach though their address is not a public one: host, host:port or patterns with *, "
        "comma between; none: loopback while there is no API key, no other",
    )
    mysql_host: str | None = _setting("MYSQL_HOST", None, "Server of training data in MySQL", "MYSQL_HOST")
    mysql_port: int | None = _setting("MYSQL_PORT", None, "Its port; none: 3306", "MYSQL_PORT", ge=1, le=65535)
    mysql_user: str | None = _setting("MYSQL_USER", None, "Who reads there", "MYSQL_USER")
    mysql_password: str | None = _setting("MYSQL_PASSWORD", None, "Their password", "MYSQL_PASSWORD", repr=False)
    doris_host: str | None = _setting("DORIS_HOST", None, "Server of training data in Doris", "DORIS_HOST")
    doris_port: int | None = _setting("DORIS_PORT", None, "Its port; none: 9030", "DORIS_PORT", ge=1, le=65535)
    doris_user: str | None = _setting("DORIS_USER", None, "Who reads there", "DORIS_USER")
    doris_password: str | None = _setting("DORIS_PASSWORD", None, "Their password", "DORIS_PASSWORD", repr=False)
    postgres_host: str | None = _setting("POSTGRES_HOST", None, "Server of training data in PostgreSQL", "PGHOST")
    postgres_port: int | None = _setting("POSTGRES_PORT", None, "Its port; none: 5432", "PGPORT", ge=1, le=65535)
    postgres_user: str | None = _setting("POSTGRES_USER", None, "Who reads there", "PGUSER")
    postgres_password: str | None = _setting("POSTGRES_PASSWORD", None, "Their password", "PGPASSWORD", repr=False)
    graph_events: int = _setting(
        "GRAPH_EVENTS", 256, "Events whose two ends are computed anew at once in the graph's vectors", ge=1, le=10_000
    )
    graph_top: int = _setting(
        "GRAPH_TOP", 32, "Their neighbours computed anew in one step, by recency, degree and norm", ge=1, le=10_000
    )
    graph_epsilon: float = _setting(
        "GRAPH_EPSILON", 0.05, "Change of a node, as a share of it, that its neighbours do not hear of", ge=0, le=10
    )
    graph_idle_s: float = _setting(
        "GRAPH_IDLE_S", 1.0, "Seconds between looks at the graph when no event comes", ge=0.05, le=3600
    )
    graph_drift_s: int = _setting("GRAPH_DRIFT_S", 600, "Seconds between looks at the drift of its vectors", ge=1)
    graph_drift_events: int = _setting("GRAPH_DRIFT_EVENTS", 1000, "Events after which it is looked at earlier", ge=1)
    graph_drift: float = _setting(
        "GRAPH_DRIFT", 0.05, "Drift, a mean of 1 - cosine, from which on all vectors are computed anew", ge=0, le=2
    )
    drain_s: float = _setting("DRAIN_S", 10.0, "Seconds that running requests get to finish at shutdown", ge=0)
    predict_queue_rows: int = _setting(
        "PREDICT_QUEUE_ROWS", 20_000, "Rows waiting for one version before 429 is answered", ge=1
    )
    predict_deadline_ms: int = _setting(
        "PREDICT_DEADLINE_MS", 30_000, "A prediction that takes longer is given up with 504", ge=10, le=600_000
    )
    forecast_threads: int = _setting(
        "FORECAST_THREADS", 1, "Forecasts that are made at once, each in a thread; 32 more wait", ge=1, le=64
    )
    recommend_deadline_ms: int = _setting(
        "RECOMMEND_DEADLINE_MS", 100, "After this a slate is what is ready by then", ge=5, le=5000
    )
    slate_cache_mb: int = _setting(
        "SLATE_CACHE_MB", 64, "Memory for slates that are kept to be answered again; 0 keeps none", ge=0, le=65_536
    )
    slate_warm: int = _setting(
        "SLATE_WARM", 200, "Slates computed ahead after a start or a change of models; 0: none", ge=0, le=100_000
    )
    slate_prefetch: int = _setting(
        "SLATE_PREFETCH", 3, "Items of a slate whose pages are made ready while nothing else is to do", ge=0, le=20
    )
    redis_url: str | None = _setting(
        "REDIS_URL",
        None,
        "Redis that processes share slates and features by (extra redis); none: each its own",
        "REDIS_URL",
        repr=False,
    )
    redis_namespace: str = _setting(
        "REDIS_NAMESPACE", "shopkeeper", "First part of every key in Redis, before the id of the shop"
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "LOG_LEVEL", "info", "debug, info, warning or error"
    )

    @field_validator("log_level", "device", mode="before")
    @classmethod
    def _lower(cls, level: Any) -> Any:
        return level.lower() if isinstance(level, str) else level

    @field_validator("upload_url", mode="before")
    @classmethod
    def _with_scheme(cls, url: Any) -> Any:
        return f"s3://{url}" if isinstance(url, str) and url and "://" not in url else url or None

    def allowed_hosts(self) -> tuple[str, ...] | None:
        """Servers that training data may come from; None: all."""
        if self.source_hosts is None:
            return () if self.api_key else None
        return _listed(self.source_hosts)

    def webhook_servers(self) -> tuple[str, ...]:
        """Servers that webhooks may reach whatever their address."""
        return _listed(self.webhook_hosts or "")

    def connection(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """What these settings know of the server of a training source, its password with it."""
        kind = source.get("kind")
        if kind == "oss":
            return self.object_store(str(source.get("path", "")).partition("://")[0])
        if kind not in ("mysql", "doris", "postgres"):
            return {}
        return {name: getattr(self, f"{kind}_{name}") for name in ("host", "port", "user", "password")}

    def object_store(self, scheme: str) -> dict[str, Any]:
        """How a store of `s3` or `oss` is reached: what `sources.objects.object_store` wants beside the address."""
        oss = scheme == "oss"
        own = oss and self.oss_access_key is not None
        return {
            "endpoint": self.oss_endpoint if oss else self.s3_endpoint,
            "region": self.oss_region if oss else self.s3_region,
            "access_key": self.oss_access_key if own else self.s3_access_key,
            "secret_key": self.oss_secret_key if own else self.s3_secret_key,
            "session_token": None if own else self.s3_session_token,
            "addressing": self.object_addressing,
        }


@cache
def settings() -> Settings:
    """The process's settings, read at the first call. Raises Invalid naming every variable that cannot be read."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors()
        told = "; ".join(_told(_variable(str(one["loc"][0])), one["input"], one["msg"]) for one in wrong)
        raise Invalid(told, code="bad_setting", field=_variable(str(wrong[0]["loc"][0]))) from error


def _listed(hosts: str) -> tuple[str, ...]:
    return tuple(host.strip() for host in hosts.split(",") if host.strip())


def _variable(name: str) -> str:
    """The name that was really read, where a setting has several."""
    for one in Settings.model_fields.values():
        names = one.validation_alias.choices if isinstance(one.validation_alias, AliasChoices) else []
        if name in names:
            return next((str(other) for other in names if str(other) in os.environ), name)
    return name


def _told(variable: str, value: Any, message: str) -> str:
    """`SHOPKEEPER_PORT='abc' cannot be used; expected a valid integer`."""
    expected = message.removeprefix("Input should be ").partition(", unable to parse")[0]
    return f"{variable}={value!r} cannot be used; expected {expected}"
