"""Every setting: name, default, help. Read once from the environment, then frozen. `docs/settings.md` is this table."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


def _names(name: str, *aliases: str) -> AliasChoices:
    return AliasChoices(f"SHOPKEEPER_{name}", *aliases)


class Settings(BaseSettings):
    """Environment variables `SHOPKEEPER_<NAME>`; a few names of older systems are read as aliases."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    home: Annotated[Path, Field(description="Folder of this shop: database, artifacts, logs. One home = one shop")] = (
        Field(Path("var"), validation_alias=_names("HOME"))
    )
    host: Annotated[str, Field(description="Address to listen on; other than loopback needs an API key")] = Field(
        "127.0.0.1", validation_alias=_names("HOST", "HOST")
    )
    port: Annotated[int, Field(ge=0, le=65535, description="Port of the API; 0 takes a free one")] = Field(
        8080, validation_alias=_names("PORT", "PORT")
    )
    console_port: Annotated[int, Field(ge=0, le=65535, description="Port of the console; 0 takes a free one")] = Field(
        8501, validation_alias=_names("CONSOLE_PORT")
    )
    api_key: Annotated[str | None, Field(description="Key with all scopes; none: open on loopback only")] = Field(
        None, validation_alias=_names("API_KEY", "RELOAD_API_KEY"), repr=False
    )
    backend_base_url: Annotated[str | None, Field(description="Where console and client find the API")] = Field(
        None, validation_alias=_names("URL", "BACKEND_BASE_URL")
    )
    timezone: Annotated[str, Field(description="Time zone of a new shop: a day is a local day")] = Field(
        "UTC", validation_alias=_names("TIMEZONE")
    )
    currency: Annotated[str, Field(description="Currency of a new shop, ISO 4217")] = Field(
        "EUR", validation_alias=_names("CURRENCY")
    )
    live_speed: Annotated[
        float, Field(ge=0, le=100_000, description="Bundled shop: shop seconds released per second; 0 stops the stream")
    ] = Field(60.0, validation_alias=_names("LIVE_SPEED"))
    body_limit: Annotated[int, Field(ge=1024, description="Largest request body, bytes")] = Field(
        MIB, validation_alias=_names("BODY_LIMIT")
    )
    batch_body_limit: Annotated[int, Field(ge=1024, description="Largest body of events and predictions, bytes")] = (
        Field(16 * MIB, validation_alias=_names("BATCH_BODY_LIMIT"))
    )
    upload_limit: Annotated[int, Field(ge=1024, description="Largest uploaded file, bytes")] = Field(
        1024 * MIB, validation_alias=_names("UPLOAD_LIMIT")
    )
    write_queue: Annotated[int, Field(ge=1, description="Writes waiting for the disk before 429 is answered")] = Field(
        10_000, validation_alias=_names("WRITE_QUEUE")
    )
    job_workers: Annotated[int, Field(ge=1, le=16, description="Jobs that run at the same time")] = Field(
        1, validation_alias=_names("JOB_WORKERS")
    )
    job_threads: Annotated[int, Field(ge=0, description="Threads of one job's libraries; 0: the cores it may use")] = (
        Field(0, validation_alias=_names("JOB_THREADS"))
    )
    job_time_limit_s: Annotated[int, Field(ge=1, description="A job that runs longer is ended as failed")] = Field(
        3600, validation_alias=_names("JOB_TIME_LIMIT_S")
    )
    job_memory_limit_mb: Annotated[int, Field(ge=128, description="A job that takes more memory is ended")] = Field(
        8192, validation_alias=_names("JOB_MEMORY_LIMIT_MB")
    )
    drain_s: Annotated[float, Field(ge=0, description="Seconds running requests get to finish at shutdown")] = Field(
        10.0, validation_alias=_names("DRAIN_S")
    )
    recommend_deadline_ms: Annotated[int, Field(ge=5, le=5000, description="Then the slate is what is ready")] = Field(
        100, validation_alias=_names("RECOMMEND_DEADLINE_MS")
    )
    log_level: Annotated[str, Field(description="debug, info, warning or error")] = Field(
        "info", validation_alias=_names("LOG_LEVEL")
    )


@cache
def settings() -> Settings:
    """The process's settings, read at the first call."""
    return Settings()
