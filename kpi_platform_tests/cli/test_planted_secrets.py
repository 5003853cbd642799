"""A secret planted in every setting, in eight spellings: nothing that is said or kept shows it."""

import logging
import os
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.arrivals.studios.capture_step import CaptureStep
from kpi_platform.cli.cli import main
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.texts import hidden_secrets
from kpi_platform.settings import Settings, load_settings
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.studio_databases import StudioWarehouseError
from kpi_platform_tests.arrivals.studios.studio_world import START

FIELDS = Settings.model_fields
# Where the password's two words are, and what stands between them.
SPELLINGS = [
    "postgresql://studio:Pl4nted/Wr0ng@127.0.0.1:1/db",
    "postgresql://studio:Pl4nted@Wr0ng@127.0.0.1:1/db",
    "postgresql://studio:Pl4nted%zzWr0ng@127.0.0.1:1/db",
    "postgresql://studio:Pl4nted Wr0ng@127.0.0.1:1/db",
    "postgresql://studio:Pl4nted[Wr0ng@127.0.0.1:1/db",
    "postgresql:/studio:Pl4nted:Wr0ng@127.0.0.1:1/db",
    "s3://studio:Pl4nted#Wr0ng@127.0.0.1:1/db",
    "http://studio:Pl4nted%2FWr0ng@127.0.0.1:1",
]
SETTINGS = [
    *(str(field.validation_alias or f"KPI_{name.upper()}") for name, field in FIELDS.items()),
    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_REGION", "HTTPS_PROXY", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS",
]  # fmt: skip
SOURCES = """
studios:
  - key: north
    warehouse: {{kind: {kind}, {connection}}}
    games:
      - key: rails
        sources:
          - key: rails-dwh
            schema: s
            tables:
              - {{table: purchases, event: Purchase, event_at: at, key: id, watermark: at}}
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("KPI_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hidden_secrets, "_secrets", {})
    hidden_secrets._pattern.cache_clear()
    monkeypatch.setattr("kpi_platform.storage.studio_databases.retrying.FIRST_WAIT_SECONDS", 0.0)


def shows_secret(text: str) -> bool:
    return "pl4nted" in text.lower() or "wr0ng" in text.lower()


def said_by(
    arguments: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> str:
    """All that a command prints."""
    monkeypatch.setattr("sys.argv", ["kpi", *arguments.split()])
    with pytest.raises(SystemExit):
        main()
    out, err = capfd.readouterr()
    return out + err


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_command_says_a_secret_of_any_setting(
    spelling: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for setting in SETTINGS:
        with monkeypatch.context() as patched:
            patched.setenv(setting, spelling)
            for arguments in ("query --tables", "sources discover", "verify"):
                said = said_by(arguments, patched, capfd)
                assert not shows_secret(said), (setting, arguments, said)
                assert "Traceback" not in said, (setting, arguments, said)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("kind", ["postgres", "redshift"])
def test_nothing_kept_shows_a_studios_password(
    spelling: str,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("NORTH_DSN", spelling)
    monkeypatch.setenv("KPI_SOURCES", "sources.yaml")
    connection = "dsn_env: NORTH_DSN, attempts: 1"
    (tmp_path / "sources.yaml").write_text(SOURCES.format(kind=kind, connection=connection))
    settings = load_settings()
    platform = Platform(settings.model_copy(update={"start_hour": START}))
    step = CaptureStep.of(platform)
    step.run([START])
    rows = Lake(settings.lake).scan("hour_ledger").collect()
    assert rows["status"].to_list() == ["failed"]
    kept = str(rows.to_dicts()) + "".join(
        path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*.json")
    )
    said = said_by("sources discover --json", monkeypatch, capfd) + caplog.text
    assert not shows_secret(kept), kept
    assert not shows_secret(said), said


@pytest.mark.parametrize(
    "connection",
    [
        "host: h, database: d, user: u, password_env: Pl4nted",
        "host: h, database: d, user: u, password_env: Pl4nted/Wr0ng",
        "dsn_env: pl4nted_Wr0ng",
        "password: Pl4nted, dsn_env: X",
        "dsn_env: *Pl4nted",
        "dsn_env: !Pl4nted x",
        "host: h, port: Pl4nted, database: d, user: u",
    ],
)
def test_a_secret_written_into_the_sources_file_is_not_repeated(
    connection: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "sources.yaml").write_text(SOURCES.format(kind="postgres", connection=connection))
    monkeypatch.setenv("KPI_SOURCES", "sources.yaml")
    said = said_by("sources discover", monkeypatch, capfd)
    assert not shows_secret(said), said
    assert "Traceback" not in said


def test_one_studios_trouble_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_SOURCES", "sources.yaml")
    monkeypatch.setenv("SOUTH_DSN", "redshift://u:a[b/c@h:5439/d")
    with (tmp_path / "sources.yaml").open("w") as file:
        file.write(SOURCES.format(kind="redshift", connection="dsn_env: SOUTH_DSN"))
    platform = Platform(load_settings())
    ((studio, _),) = platform.sources.warehouses()
    with pytest.raises(StudioWarehouseError, match=r"^SOUTH_DSN: must be an address as"):
        platform.open_warehouse(studio)


@pytest.mark.parametrize("make", ["mkdir", "mkfifo", "nothing"])
def test_sources_that_are_no_file_are_one_line_and_waited_for_by_none(
    make: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = tmp_path / "sources"
    if make != "nothing":
        getattr(os, make)(place)
    monkeypatch.setenv("KPI_SOURCES", str(place))
    said = said_by("sources discover", monkeypatch, capfd)
    reason = "No such file or directory" if make == "nothing" else "is no file"
    assert said == f"kpi: KPI_SOURCES: {place}: {reason}\n"


def test_without_a_file_of_sources_there_are_none() -> None:
    sources = Platform(load_settings()).sources
    assert list(sources.walk()) == []
    assert sources.frame(["somewhere"])["studio"].to_list() == ["unassigned"]
    assert sources.kinds().select(pl.len()).item() == 0
