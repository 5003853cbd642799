"""Values that had been published as complete and changed, and the hours behind the change."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from kpi_platform.published.publish import Publication, publication_rows, publish, restate
from kpi_platform.published.restatements import (
    KPI_RESTATEMENTS,
    RESTATEMENTS_SCHEMA,
    restatements,
)
from kpi_platform.storage.kpi_database.marts import EmbeddedMarts
from kpi_platform.storage.lake.lake import Lake

AT = datetime(2026, 3, 1, tzinfo=UTC)
FIRST, SECOND = datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 2, 20, 7, tzinfo=UTC)
VALUES = Publication("kpi_values", "date", "period", ("kpi_daily",))
NO_HOURS = pl.DataFrame(schema={"ingest_hour": pl.Datetime("us", "UTC"), "date": pl.Date()})


def values(rows: Iterable[tuple[str, date, float, bool]]) -> pl.DataFrame:
    """Rows of kpi_values of the portfolio."""
    frame = pl.DataFrame(
        list(rows),
        {"kpi": pl.String, "period": pl.Date, "value": pl.Float64, "is_complete": pl.Boolean},
        orient="row",
    )
    return frame.with_columns(pl.lit("all").alias(name) for name in ("studio", "game", "platform"))


def hours(*rows: tuple[datetime, date]) -> pl.DataFrame:
    """Ingest hours with a date that changed in each."""
    return pl.DataFrame(list(rows), NO_HOURS.schema, orient="row")


def test_only_complete_values_that_differ_or_vanish_are_restated() -> None:
    day = date(2026, 1, 1)
    old = [("dau", day, 1, True), ("wau", day, 2, True), ("mau", day, 3, False)]
    new = [("dau", day, 1, True), ("mau", day, 4, True)]

    found = restatements(values(old), values(new), NO_HOURS, AT)

    assert found.schema == RESTATEMENTS_SCHEMA
    assert found.select("kpi", "old_value", "new_value", "caused_by_hours").rows() == [
        ("wau", 2.0, None, [])
    ]


def test_a_value_is_due_to_the_hours_with_events_near_its_period() -> None:
    near, far, neither = date(2026, 1, 20), date(2026, 2, 19), date(2025, 6, 1)
    old = [("dau", day, 1, True) for day in (near, far, neither)]
    new = [("dau", day, 2, True) for day in (near, far, neither)]
    changed = hours((FIRST, date(2026, 1, 1)), (SECOND, far))

    found = restatements(values(old), values(new), changed, AT)

    assert dict(found.select("period", "caused_by_hours").iter_rows()) == {
        near: [FIRST, SECOND],
        far: [SECOND],
        # Whose first day moved that far, any of the hours may have moved.
        neither: [FIRST, SECOND],
    }


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A warehouse with two complete days of one KPI."""
    con = duckdb.connect()
    con.execute("create schema marts")
    con.execute(
        "create table marts.kpi_values as select 'dau' as kpi, period, 'all' as studio,"
        " 'all' as game, 'all' as platform, 5::double as value, true as is_complete, '1' as"
        " definition_version from (values (date '2026-01-01'), (date '2026-01-02')) t(period)"
    )
    return con


def restated(lake: Lake) -> list[tuple[date, float, float]]:
    """What the books hold."""
    books = lake.published(KPI_RESTATEMENTS)
    assert books is not None
    rows = books.select("period", "old_value", "new_value").sort("period", "old_value").collect()
    return [(row[0], row[1], row[2]) for row in rows.iter_rows()]


def test_the_books_exist_from_the_first_publication_on(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(str(tmp_path))
    assert restate(lake, EmbeddedMarts(con), VALUES, {}, NO_HOURS, AT) == 0
    assert restated(lake) == []


def test_an_interrupted_publication_enters_a_restatement_once(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    lake, marts = Lake(str(tmp_path)), EmbeddedMarts(con)
    changed = {"kpi_daily": [datetime(2026, 1, 2)]}  # noqa: DTZ001
    restate(lake, marts, VALUES, {}, NO_HOURS, AT)
    done = publish(lake, marts, [VALUES], {})
    lake.add_published("publications", publication_rows(done, AT))
    con.execute("update marts.kpi_values set value = 7")

    for minute in (1, 2):
        at = AT.replace(minute=minute)
        assert restate(lake, marts, VALUES, changed, hours((SECOND, date(2026, 1, 2))), at) == 1
    assert restated(lake) == [(date(2026, 1, 2), 5.0, 7.0)]

    done = publish(lake, marts, [VALUES], changed)
    lake.add_published("publications", publication_rows(done, AT.replace(minute=3)))
    con.execute("update marts.kpi_values set value = 8")
    restate(lake, marts, VALUES, changed, NO_HOURS, AT.replace(minute=4))
    assert restated(lake) == [(date(2026, 1, 2), 5.0, 7.0), (date(2026, 1, 2), 7.0, 8.0)]


def test_an_unchanged_warehouse_restates_nothing(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    lake, marts = Lake(str(tmp_path)), EmbeddedMarts(con)
    restate(lake, marts, VALUES, {}, NO_HOURS, AT)
    publish(lake, marts, [VALUES], {})

    assert restate(lake, marts, VALUES, {}, NO_HOURS, AT) == 0
    assert restate(lake, marts, VALUES, {"*": []}, NO_HOURS, AT) == 0
