"""The history for programs: one call, many events, and the SQL that the docs show."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
import sqlglot

from kpi_platform.history.lookup import versions_as_of
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake import Lake
from kpi_platform.versions import Versions, version_at

PAGE = Path(__file__).parents[2] / "docs" / "versions.md"
START = datetime(2026, 1, 1, tzinfo=UTC)
UTC_TIME = pl.Datetime("us", "UTC")


def _at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


INTERVALS = pl.DataFrame(
    [
        ("p1", "game", "deck", "1.9", _at(1), _at(5)),
        ("p1", "game", "deck", "1.10", _at(5), None),
        ("p1", "game", "phone", "1.9", _at(2), None),
        ("p2", "game", "deck", "1.9", _at(3), None),
    ],
    schema={
        **dict.fromkeys(["player_id", "service_name", "device", "version"], pl.String),
        **dict.fromkeys(["valid_from", "valid_to"], UTC_TIME),
    },
    orient="row",
)
EVENTS = pl.DataFrame(
    [
        (p, "game", d, _at(h))
        for p in ("p1", "p2", "p3")
        for d in ("deck", "phone")
        for h in range(7)
    ],
    schema={**dict.fromkeys(["player_id", "service_name", "device"], pl.String), "at": UTC_TIME},
    orient="row",
)


@pytest.fixture
def lake(tmp_path: Path) -> str:
    uri = str(tmp_path / "lake")
    _write(uri, INTERVALS)
    return uri


def _write(uri: str, intervals: pl.DataFrame) -> None:
    schema = TABLES["user_version_intervals"].polars_schema
    month = pl.col("valid_from").dt.date().dt.month_start().alias("p_valid_from_month")
    Lake(uri).append("user_version_intervals", intervals.with_columns(month).select(schema.names()))


def test_one_call_gives_the_versions_in_effect(lake: str) -> None:
    found = version_at("p1", _at(5), lake=lake)
    assert found.select("device", "version").rows() == [("deck", "1.10"), ("phone", "1.9")]
    assert found.columns == INTERVALS.columns
    assert version_at("p1", _at(5), device="phone", lake=lake)["version"].to_list() == ["1.9"]
    assert version_at("p1", _at(0), lake=lake).is_empty()


def test_a_lake_without_history_knows_no_version(tmp_path: Path) -> None:
    assert version_at("p1", _at(5), lake=str(tmp_path)).is_empty()
    assert Versions(str(tmp_path)).as_of(EVENTS)["version"].null_count() == EVENTS.height


def test_what_was_opened_stands_still_until_it_is_refreshed(lake: str) -> None:
    versions = Versions(lake)
    newer = INTERVALS.head(1).with_columns(player_id=pl.lit("p9"))
    _write(lake, newer)
    assert versions.at("p9", _at(2)).is_empty()
    versions.refresh()
    assert versions.at("p9", _at(2))["version"].to_list() == ["1.9"]


def test_many_events_are_answered_from_the_lake(lake: str) -> None:
    found = Versions(lake).as_of(EVENTS)
    assert found.equals(versions_as_of(EVENTS, INTERVALS))
    assert set(found["version"]) == {None, "1.9", "1.10"}


@pytest.mark.parametrize("dialect", ["duckdb", "redshift", "spark"])
def test_the_sql_in_the_docs_gives_the_same(dialect: str) -> None:
    """DuckDB's own as it stands; the others translated to it, for want of those engines here."""
    (sql,) = re.findall(rf"```sql\n-- {dialect}\n(.+?)```", PAGE.read_text(), re.DOTALL)
    if dialect != "duckdb":
        (sql,) = sqlglot.transpile(sql, read=dialect, write="duckdb")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("events", EVENTS)
        connection.register("user_version_intervals", INTERVALS)
        rows = connection.execute(sql).fetchall()
    expected = versions_as_of(EVENTS, INTERVALS).select(*EVENTS.columns, "version").rows()
    assert sorted(rows, key=str) == sorted(expected, key=str)
