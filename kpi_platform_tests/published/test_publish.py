"""Marts reach `published/` whole once, then by the periods that changed; the books say how far."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from kpi_platform.published.publish import (
    Publication,
    marts_to_publish,
    publication_rows,
    publish,
)
from kpi_platform.storage.kpi_database.marts import EmbeddedMarts
from kpi_platform.storage.lake.lake import Lake

DAILY = Publication("kpi_daily", "date", "date")
HOURLY = Publication("kpi_hourly", "hour", "hour")
WHOLE = Publication("dim_version", "all")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A warehouse with three small marts."""
    con = duckdb.connect()
    con.execute("create schema marts")
    con.execute(
        "create table marts.kpi_daily as from (values (date '2026-01-01', 5, true),"
        " (date '2026-01-02', 6, true), (date '2026-01-03', 7, false)) t(date, dau, is_complete)"
    )
    con.execute(
        "create table marts.kpi_hourly as from (values (timestamp '2026-01-01 05:00', 5, false))"
        " t(hour, sessions, is_complete)"
    )
    con.execute("create table marts.dim_version as select 'it''s' as version")
    return con


def _read(lake: Lake, table: str) -> pl.DataFrame:
    rows = lake.published(table)
    assert rows is not None
    return rows.collect()


def _publish(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    publications: Sequence[Publication],
    changed: dict[str, list[datetime]],
) -> list[str]:
    return [item.table for item in publish(lake, EmbeddedMarts(con), publications, changed)]


def test_the_first_publication_is_whole(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    lake = Lake(str(tmp_path))
    assert _publish(lake, con, [DAILY, HOURLY, WHOLE], {}) == [
        "kpi_daily",
        "kpi_hourly",
        "dim_version",
    ]
    assert _read(lake, "kpi_daily").sort("date")["dau"].to_list() == [5, 6, 7]
    assert _read(lake, "kpi_hourly")["hour"].to_list() == [datetime(2026, 1, 1, 5, tzinfo=UTC)]


def test_only_changed_periods_are_replaced(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    lake = Lake(str(tmp_path))
    _publish(lake, con, [DAILY, HOURLY], {})
    # Day 1 changes in the mart too, but is not named: it must stay as it was published.
    con.execute("update marts.kpi_daily set dau = dau * 10")
    con.execute("update marts.kpi_hourly set sessions = 50")
    changed = {"kpi_daily": [datetime(2026, 1, 2)], "kpi_hourly": [datetime(2026, 1, 1, 5)]}  # noqa: DTZ001
    assert _publish(lake, con, [DAILY, HOURLY], changed) == ["kpi_daily", "kpi_hourly"]
    assert _read(lake, "kpi_daily").sort("date")["dau"].to_list() == [5, 60, 7]
    assert _read(lake, "kpi_hourly")["sessions"].to_list() == [50]


def test_a_period_that_vanished_from_the_mart_vanishes(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(str(tmp_path))
    _publish(lake, con, [DAILY], {})
    con.execute("delete from marts.kpi_daily where date = '2026-01-03'")
    _publish(lake, con, [DAILY], {"kpi_daily": [datetime(2026, 1, 3)]})  # noqa: DTZ001
    assert _read(lake, "kpi_daily")["date"].max() == date(2026, 1, 2)


def test_nothing_changed_writes_nothing(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> None:
    lake = Lake(str(tmp_path))
    _publish(lake, con, [DAILY], {})
    assert _publish(lake, con, [DAILY], {}) == []


def test_a_rebuilt_project_is_published_whole(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(str(tmp_path))
    _publish(lake, con, [DAILY], {})
    con.execute("alter table marts.kpi_daily add column wau integer")
    assert _publish(lake, con, [DAILY], {"*": []}) == ["kpi_daily"]
    assert "wau" in _read(lake, "kpi_daily").columns


def test_complete_through_is_the_end_of_the_last_complete_period(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    done = publish(Lake(str(tmp_path)), EmbeddedMarts(con), [DAILY, HOURLY, WHOLE], {})
    at = datetime(2026, 1, 4, tzinfo=UTC)
    rows = publication_rows(done, at)
    assert dict(rows.select("table", "complete_through").iter_rows()) == {
        "kpi_daily": datetime(2026, 1, 3, tzinfo=UTC),
        "kpi_hourly": None,
        "dim_version": None,
    }


def test_no_table_is_complete_through_an_hour_that_is_waited_for(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    """An hour that never ran has no row that could say so."""
    con.execute("update marts.kpi_hourly set is_complete = true")
    stream = Publication("kpi_daily", "date", "date", kind="stream")

    def through(publication: Publication, **awaited: datetime) -> datetime | None:
        [done] = publish(Lake(str(tmp_path)), EmbeddedMarts(con), [publication], {"*": []}, awaited)
        return done.complete_through

    day, hour = datetime(2026, 1, 2, 9), datetime(2026, 1, 1, 5)  # noqa: DTZ001
    assert through(DAILY) == datetime(2026, 1, 3, tzinfo=UTC)
    assert through(DAILY, telemetry=day) == datetime(2026, 1, 2, tzinfo=UTC)
    assert through(stream, telemetry=day) == datetime(2026, 1, 3, tzinfo=UTC)
    assert through(HOURLY, telemetry=hour) is None
    assert through(HOURLY, telemetry=day) == datetime(2026, 1, 1, 6, tzinfo=UTC)


def test_models_say_how_they_are_published() -> None:
    config = {"meta": {"publish": {"period": "date", "column": "date"}}}
    manifest = {
        "nodes": {
            "a": {"name": "kpi_daily", "config": config},
            "b": {"name": "stg_sessions", "config": {"meta": {}}},
            "c": {"name": "a_test", "config": {}},
        }
    }
    assert marts_to_publish(manifest) == [DAILY]
