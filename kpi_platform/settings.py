"""The platform's settings, read from the environment and `.env`; nothing else reads either.

Belongs here: names, defaults and validation of settings. Does not: what the values lead to.
"""

import os
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PARTITION_FORMAT = "%Y-%m-%d-%H:%M"


class SettingsError(ValueError):
    """A setting is wrong; the message is one line that names it."""


class Settings(BaseSettings):
    """Every setting with its default; the environment name is `KPI_` and the field in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="KPI_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(Path(".kpi"), description="state of the embedded default")
    landing_uri: str = Field("", description="telemetry files: a folder or s3://bucket/prefix")
    feeds_uri: str = Field("", description="files of console and stream feeds: a folder or s3://")
    lake_uri: str = Field("", description="root of the Delta tables: a folder or s3://...")
    warehouse: Literal["duckdb", "postgres", "redshift"] = Field("duckdb", description="dbt target")
    warehouse_path: Path | None = Field(None, description="the embedded KPI database")
    warehouse_host: str = Field("localhost", description="of PostgreSQL or Redshift")
    warehouse_port: int | None = Field(None, description="default: 5432, Redshift 5439")
    warehouse_user: str = Field("kpi", description="who owns the marts there")
    warehouse_password: SecretStr = Field(SecretStr(""), description="of that user")
    warehouse_database: str = Field("kpi", description="the database there")
    warehouse_staging_uri: str = Field(
        "", description="s3://bucket/prefix through which Redshift is loaded"
    )
    warehouse_iam_role: str = Field("", description="the role by which Redshift reads it")
    sources: Path | None = Field(None, description="YAML of studios, games and their sources")
    start_hour: datetime = Field(
        datetime(2026, 1, 1, tzinfo=UTC), description="first hourly partition, as 2026-01-01-00:00"
    )
    player_id_attributes: Annotated[tuple[str, ...], NoDecode] = Field(
        ("PlayerId", "UserId", "AccountId"), description="attributes that name a player, in order"
    )
    session_silence_hours: int = Field(24, ge=1, description="silence that ends a session")
    late_limit_days: int = Field(30, ge=0, description="older events are quarantined as too late")
    future_limit_hours: int = Field(24, ge=0, description="later events are quarantined as future")
    quarantine_share_threshold: float = Field(
        0.05, ge=0, le=1, description="share of an hour's lines above which a check warns"
    )
    small_hour_share: float = Field(
        0.2, ge=0, le=1, description="share of the same hour before under which a check warns"
    )
    freshness_limit_hours: int = Field(
        3, ge=1, description="age of the newest complete hour above which a check warns"
    )
    sensor_look_back_hours: int = Field(
        72, ge=1, description="ingest hours that the arrival sensor lists at each tick"
    )
    chunk_megabytes: int = Field(
        64, ge=1, description="files of a range are worked through in chunks of about this size"
    )
    landing_kept_days: int | None = Field(
        None, ge=0, description="files of older hours may go from the landing zone without a word"
    )
    retention_hours: int = Field(
        168, ge=1, description="how long replaced versions of a table stay readable"
    )

    @field_validator("start_hour", mode="before")
    @classmethod
    def _parse_start_hour(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parsed = datetime.strptime(value, PARTITION_FORMAT).replace(tzinfo=UTC)
        if parsed.minute:
            raise ValueError("must be a full hour")
        return parsed

    @field_validator("player_id_attributes", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        if not names:
            raise ValueError("needs at least one attribute name")
        return names

    @property
    def landing(self) -> str:
        """Where telemetry files arrive: a folder or `s3://bucket/prefix`."""
        return self.landing_uri or str(self.home / "landing")

    @property
    def feeds(self) -> str:
        """Where the files of console and stream feeds arrive: a folder or `s3://bucket/prefix`."""
        return self.feeds_uri or str(self.home / "feeds")

    @property
    def lake(self) -> str:
        """Root of the Delta tables: a folder or `s3://bucket/prefix`."""
        return self.lake_uri or str(self.home / "lake")

    @property
    def warehouse_file(self) -> Path:
        """The embedded DuckDB database."""
        return self.warehouse_path or self.home / "warehouse.duckdb"

    @property
    def sources_file(self) -> Path:
        """The YAML of studios, games and sources; the demo's unless set."""
        return self.sources or Path(__file__).parent / "simulator" / "sources.yaml"

    @cached_property
    def session_silence(self) -> timedelta:
        """A session id silent for longer than this and heard again is a new session."""
        return timedelta(hours=self.session_silence_hours)

    @cached_property
    def retention(self) -> timedelta:
        """How long a version of a table stays readable after it was replaced."""
        return timedelta(hours=self.retention_hours)

    @cached_property
    def late_limit(self) -> timedelta:
        """How long before its ingest hour an event may have happened."""
        return timedelta(days=self.late_limit_days)

    @cached_property
    def future_limit(self) -> timedelta:
        """How long after its ingest hour an event may claim to have happened."""
        return timedelta(hours=self.future_limit_hours)


def secret(name: str) -> str | None:
    """The environment's value of a variable that the sources file names; None if blank or unset."""
    return os.environ.get(name, "").strip() or None


def load_settings() -> Settings:
    """Read the settings from the environment and `.env`.

    What `.env` says of other programs (the standard AWS variables) reaches them too; a variable
    that is set already wins. Raises SettingsError with one line that names the wrong setting.
    """
    load_dotenv(".env", override=False)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "KPI_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg']} (got {first['input']!r})") from None
