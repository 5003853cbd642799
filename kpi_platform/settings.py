"""The platform's settings, read from the environment and a file; nothing else reads either.

Belongs here: names, defaults and validation of settings. Does not: what the values lead to.
"""

import io
import os
import re
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kpi_platform.schemas.sources_file.addresses import AddressError, check_endpoint, parse_place
from kpi_platform.schemas.texts.hidden_secrets import SafeError, remember_secret

PARTITION_FORMAT = "%Y-%m-%d-%H:%M"
ENV_FILE = "KPI_ENV_FILE"
# Trailing windows and cohorts; churn is judged after 28 days.
LONGEST_LOOK_BACK_DAYS = 30
METRIC_OUTLETS = ("emf", "cloudwatch", "otlp", "prometheus")
_PROJECT = Path(__file__).resolve().parent.parent
# Variables of ours and of AWS that are secret as a whole, by a part of their name.
_SECRET_NAMES = re.compile(r"(KPI|AWS)_\w*(PASSWORD|SECRET|TOKEN|KEY)\w*(?<!_FILE)(?<!_ID)$")
# What may hold a user and a password in front of its host.
_HOLDS_USER = re.compile(r"@|://[^/\s]*:(?!\d+(/|$))|(?i:password|secret|token)\s*=")


class SettingsError(SafeError, ValueError):
    """A setting is wrong; the message is one line that names it and never repeats its value."""


class Settings(BaseSettings):
    """Every setting with its default; the environment name is `KPI_` and the field in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="KPI_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    env_file: Path | None = Field(None, description="file of settings, not the project's .env")
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
    alerts: Path | None = Field(None, description="YAML of alert policies, and who gets reports")
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
    keep_lines_days: int | None = Field(
        None, description="telemetry lines go after so many days; unset: they are kept for ever"
    )
    keep_events_days: int | None = Field(
        None, description="events go after so many days; unset: they are kept for ever"
    )
    keep_contributions_days: int | None = Field(None, description="not built: refused")
    retention_hours: int = Field(
        168, ge=1, description="how long replaced versions of a table stay readable"
    )
    query_memory: str = Field(
        "2GB",
        pattern=r"^[1-9][0-9]*(\.[0-9]+)? ?([KMGT]i?B)$",
        description="memory of `kpi query`, as 2GB or 500MiB",
    )
    query_seconds: int = Field(300, ge=1, description="time of `kpi query`")
    log_format: Literal["text", "json"] = Field(
        "text", description="lines for people, or one JSON object a line with ECS names"
    )
    metrics: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="where figures of runs go: emf, cloudwatch, otlp, prometheus, with commas"
    )
    umask: str = Field(
        "077",
        pattern="^[0-7]{1,4}$",
        description="rights that files and folders we make do not give: they hold player ids",
    )

    @field_validator("start_hour", mode="before")
    @classmethod
    def _parse_start_hour(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            parsed = datetime.strptime(value, PARTITION_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            parsed = None
        if parsed is None or parsed.minute:
            raise ValueError("must be a full hour as 2026-01-01-00:00")
        return parsed

    @field_validator("keep_contributions_days", mode="before")
    @classmethod
    def _not_built(cls, value: object) -> object:
        if value is not None:
            raise ValueError(
                "this release lets lines and events go (KPI_KEEP_LINES_DAYS, KPI_KEEP_EVENTS_DAYS):"
                " figures are made of contributions whenever they are made anew, so that these are"
                " kept for ever"
            )
        return value

    @field_validator("keep_lines_days")
    @classmethod
    def _long_enough(cls, value: int | None, known: ValidationInfo) -> int | None:
        late = int(known.data.get("late_limit_days", 0))
        least = max(late, LONGEST_LOOK_BACK_DAYS) + 1
        if value is not None and value < least:
            raise ValueError(
                f"must be at least {least}: lines may come {late} days late (KPI_LATE_LIMIT_DAYS),"
                f" and trailing windows, cohorts and churn reach over {LONGEST_LOOK_BACK_DAYS} days"
            )
        return value

    @field_validator("keep_events_days")
    @classmethod
    def _longer_than_lines(cls, value: int | None, known: ValidationInfo) -> int | None:
        if value is None:
            return value
        lines = known.data.get("keep_lines_days")
        if lines is None:
            raise ValueError("needs KPI_KEEP_LINES_DAYS: lines go before what is made of them")
        if known.data.get("warehouse") != "duckdb":
            raise ValueError("needs KPI_WAREHOUSE=duckdb: what figures are made of is kept from it")
        hours = ("future_limit_hours", "session_silence_hours")
        days = [-(-int(known.data.get(name, 24)) // 24) for name in hours]
        least = lines + int(known.data.get("late_limit_days", 0)) + sum(days) + 2
        if value < least:
            raise ValueError(
                f"must be at least {least}: until then lines may come, or be read anew, that"
                " sessions of these days are made of (KPI_KEEP_LINES_DAYS, KPI_LATE_LIMIT_DAYS,"
                " KPI_FUTURE_LIMIT_HOURS, KPI_SESSION_SILENCE_HOURS)"
            )
        return value

    @field_validator("home", "warehouse_path", "sources", "alerts", mode="before")
    @classmethod
    def _only_a_path(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            path = parse_place(value)
        except AddressError:
            path = "s3://"
        if path.startswith("s3://"):
            raise ValueError("must be a path on this machine")
        return Path(path)

    @field_validator("warehouse_host")
    @classmethod
    def _only_a_host(cls, value: str) -> str:
        if re.search(r"[@\s]|://", value):
            raise ValueError("must be the name of a host alone; user and password have settings")
        return value

    @field_validator("player_id_attributes", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        if not names:
            raise ValueError("needs at least one attribute name")
        return names

    @field_validator("metrics", mode="before")
    @classmethod
    def _split_outlets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
        if unknown := [name for name in names if name not in METRIC_OUTLETS]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(METRIC_OUTLETS)}")
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
    def sources_file(self) -> Path | None:
        """The YAML of studios, games and sources; None if there is none: all is `unassigned`."""
        return self.sources

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
    """The environment's value of a variable that the sources file names; None if blank or unset.

    From then on it is hidden in whatever is said.
    """
    value = os.environ.get(name, "").strip()
    if value:
        remember_secret(name, value)
    return value or None


def load_settings() -> Settings:
    """Read the settings from the environment and the file of settings (`env_file`).

    What the file says of other programs (the standard AWS variables) reaches them too; a variable
    that is set already wins. From then on secrets are hidden in whatever is said, and what this
    process writes is its user's alone (`KPI_UMASK`). Raises SettingsError with one line that names
    the wrong setting.
    """
    _read_env_file()
    _remember_secrets()
    _check_endpoints()
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "KPI_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
    os.umask(int(settings.umask, 8))
    return settings


def log_format() -> str:
    """KPI_LOG_FORMAT, from the environment or the file of settings; `text` if it is neither.

    Asked before any setting can be judged: what is wrong with it, `load_settings` says.
    """
    try:
        _read_env_file()
    except SettingsError:
        return "text"
    return "json" if os.environ.get("KPI_LOG_FORMAT", "").strip() == "json" else "text"


def make_home(settings: Settings) -> Path:
    """The home as an absolute path, made if it is missing.

    Raises SettingsError if nothing can be written there, whatever the reason.
    """
    home = settings.home.absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(b"full?")
    except OSError as error:
        raise SettingsError(
            f"KPI_HOME: {home}: nothing can be written there ({error.strerror or error}): make"
            " room, give its user the right, or name another folder"
        ) from None
    return home


def env_file() -> Path | None:
    """The file of settings: the one that KPI_ENV_FILE names, else the project's `.env`.

    None if there is none. Never the `.env` of whatever folder one stands in. Raises SettingsError
    if the one named is no file.
    """
    named = os.environ.get(ENV_FILE, "").strip()
    path = Path(named) if named else _PROJECT / ".env"
    _remember_secrets()
    if path.is_file():
        return path
    if named:
        raise SettingsError(f"{ENV_FILE}: {path}: no such file")
    return None


def said_of_env_file() -> str:
    """One line on which file of settings is read, and on one that lies here and is not."""
    path, here = env_file(), Path(".env")
    read = f"settings are read from {path}" if path else ""
    if not here.is_file() or (path is not None and path.samefile(here)):
        return read
    left = f"{here.resolve()} is not read: only the project's, or the one that {ENV_FILE} names"
    return f"{read}; {left}" if read else left


def _read_env_file() -> None:
    path = env_file()
    if path is None:
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    if "\0" in text:
        raise SettingsError(f"{path}: holds a NUL character")
    for name, value in dotenv_values(stream=io.StringIO(text)).items():
        # A variable that is set but blank counts as not set, as for every setting.
        if value and not os.environ.get(name, "").strip():
            os.environ[name] = value


def _remember_secrets() -> None:
    for name, value in os.environ.items():
        may_hold = name.startswith(("KPI_", "AWS_")) or name.lower().endswith("_proxy")
        if value.strip() and (
            _SECRET_NAMES.match(name) or (may_hold and _HOLDS_USER.search(value))
        ):
            remember_secret(name, value.strip())


def _check_endpoints() -> None:
    """An endpoint goes to several libraries, each of which repeats it in its errors."""
    for name, value in os.environ.items():
        if name.startswith("AWS_ENDPOINT") and value.strip():
            try:
                check_endpoint(value.strip())
            except AddressError as error:
                raise SettingsError(f"{name}: {error}") from None
