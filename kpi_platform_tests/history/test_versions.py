"""The history for programs: one call, many events, and the SQL that the docs show."""

import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import duckdb
import polars as pl
import pytest
import sqlglot

from kpi_platform.history.lookup import version_at as pure_version_at
from kpi_platform.history.lookup import versions_as_of
from kpi_platform.history.timeline import user_version_intervals
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, LakeError
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
    Lake(uri).append("user_version_intervals", user_version_intervals(intervals))


def test_one_call_gives_the_versions_in_effect(lake: str) -> None:
    found = version_at("p1", _at(5), lake=lake)
    assert found.select("device", "version").rows() == [("deck", "1.10"), ("phone", "1.9")]
    assert found.columns == INTERVALS.columns
    assert version_at("p1", _at(5), device="phone", lake=lake)["version"].to_list() == ["1.9"]
    assert version_at("p1", _at(0), lake=lake).is_empty()


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(hours=9), timedelta(hours=-8)])
def test_at_the_turn_of_a_month_the_same_is_found_as_in_all_intervals(
    tmp_path: Path, offset: timedelta
) -> None:
    bounds = [datetime(2026, month, day, tzinfo=UTC) for month in (1, 2, 3) for day in (1, 28)]
    rows = [("p1", "game", "deck", f"1.{n}", a, b) for n, (a, b) in enumerate(pairwise(bounds))]
    current = ("p1", "game", "deck", "2.0", bounds[-1], None)
    known = pl.DataFrame([*rows, current], schema=INTERVALS.schema, orient="row")
    _write(str(tmp_path), known)
    versions = Versions(str(tmp_path))
    near = [bound + n * timedelta(microseconds=1) for bound in bounds for n in (-1, 0, 1)]
    for at in (moment.astimezone(timezone(offset)) for moment in near):
        assert versions.at("p1", at).equals(pure_version_at(known, "p1", at)), at


def test_a_place_without_tables_is_no_lake(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(LakeError, match=rf"^KPI_LAKE_URI: {place}: holds no tables"):
            version_at("p1", _at(5), lake=str(place))


def test_a_lake_without_history_knows_no_version(tmp_path: Path) -> None:
    Lake(str(tmp_path)).append("sessions", pl.DataFrame(schema=TABLES["sessions"].polars_schema))
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
