"""The whole path on a real S3 server: upload, sensor, daemon, and published tables read back."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.storage.local_servers.local_s3 import S3Server
from kpi_platform_tests.orchestration.home import PLAYERS, Home, new_home
from kpi_platform_tests.orchestration.servers import running_dagster, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("servers")]
HOUR = timedelta(hours=1)
LAST = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 2 * HOUR
START = LAST - 5 * HOUR


@pytest.fixture
def home(tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A platform whose landing zone and lake are in buckets of this test."""
    bucket = s3_server.create_bucket(f"hours-{tmp_path.name.replace('_', '-').lower()}")
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    places = {"KPI_LANDING_URI": f"{bucket}/landing", "KPI_LAKE_URI": f"{bucket}/lake"}
    yield new_home(tmp_path / "home", START, **places, **s3_server.environment())


def _upload(home: Home, server: S3Server, hour: datetime) -> None:
    home.put(hour)
    path = home.landing_file(hour)
    bucket = home.settings["KPI_LANDING_URI"].split("/")[2]
    key = f"landing/{path.relative_to(home.folder / 'landing').as_posix()}"
    server.client().upload_file(str(path), bucket, key)


def _read(home: Home, server: S3Server, table: str) -> pl.DataFrame:
    """A table as a consumer reads it: by its s3:// address and nothing else of ours."""
    address = f"{home.settings['KPI_LAKE_URI']}/{table}"
    return pl.read_delta(address, storage_options=server.environment())


def test_files_uploaded_to_s3_become_published_tables(home: Home, s3_server: S3Server) -> None:
    hours = [LAST - 2 * HOUR, LAST - HOUR, LAST]
    for hour in hours:
        _upload(home, s3_server, hour)
    with running_dagster(home) as webserver:
        webserver.start_sensor("telemetry_arrivals_sensor")

        def is_published() -> bool:
            client = s3_server.client()
            bucket = home.settings["KPI_LAKE_URI"].split("/")[2]
            found = client.list_objects_v2(Bucket=bucket, Prefix="lake/published/publications/")
            return bool(found["KeyCount"])

        wait_for(is_published, "the marts are published to S3", seconds=240)
    history = _read(home, s3_server, "user_version_history")
    assert history.height == PLAYERS
    assert set(history["current_version"]) == {f"1.{LAST.hour}"}
    hourly = _read(home, s3_server, "published/kpi_hourly").filter(pl.col("studio") == "all")
    assert dict(hourly.select("hour", "active_players").iter_rows()) == dict.fromkeys(
        hours, PLAYERS
    )
    ledger = _read(home, s3_server, "hour_ledger").filter(pl.col("files") > 0)
    assert set(ledger["lines"]) == {PLAYERS + 1}
    assert ledger["rows"].sum() + ledger["quarantined"].sum() == ledger["lines"].sum()


def test_two_hours_written_at_once_lose_nothing(home: Home, s3_server: S3Server) -> None:
    hours = [LAST - HOUR, LAST]
    for hour in hours:
        _upload(home, s3_server, hour)
    tables = "key:raw_telemetry or key:cleaned_events or key:quarantined_events or "
    tables += "key:hour_ledger or key:sessions or key:user_version_history"
    tables += " or key:user_version_intervals"
    # Dagster's own SQLite files are made once: two processes that make them at once may collide.
    with home.instance() as instance:
        assert instance.get_runs() == []
    runs = [
        subprocess.Popen(
            home.command(tables, hour, hour),
            cwd=home.folder,
            env=home.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for hour in hours
    ]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    ends = ["\n".join(output.splitlines()[-4:]) for output in outputs]
    assert [run.returncode for run in runs] == [0, 0], "\n---\n".join(ends)
    events = _read(home, s3_server, "cleaned_events")
    assert events.height == PLAYERS * len(hours)
    assert _read(home, s3_server, "sessions").height == PLAYERS * len(hours)
    intervals = _read(home, s3_server, "user_version_intervals")
    assert intervals.height == PLAYERS * len(hours)
    assert _read(home, s3_server, "hour_ledger").height == len(hours)


def test_a_bucket_that_does_not_exist_ends_in_one_line_that_names_the_setting(
    tmp_path: Path, s3_server: S3Server
) -> None:
    places = {"KPI_LANDING_URI": "s3://no-such-bucket/landing"}
    home = new_home(tmp_path / "home", START, **places, **s3_server.environment())
    run = home.materialize("key:raw_telemetry", LAST, LAST)
    assert run.returncode != 0
    assert "KPI_LANDING_URI: s3://no-such-bucket/landing: " in run.stdout


def test_bad_credentials_end_in_one_line_that_names_the_setting(
    tmp_path: Path, s3_server: S3Server
) -> None:
    bucket = s3_server.create_bucket("locked")
    wrong = s3_server.environment() | {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    home = new_home(tmp_path / "home", START, KPI_LANDING_URI=f"{bucket}/landing", **wrong)
    run = home.materialize("key:raw_telemetry", LAST, LAST)
    assert run.returncode != 0
    assert f"KPI_LANDING_URI: {bucket}/landing: " in run.stdout
    assert "not-the-secret" not in run.stdout
