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
    span_of_kpi,
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
    named = (pl.lit("all").alias(name) for name in ("studio", "game", "platform"))
    return frame.with_columns(*named, definition_version=pl.lit("1"))


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


def test_a_value_that_appears_where_all_was_said_to_be_there_is_restated() -> None:
    """A refund by late payers, a game heard of late: who read the day read that there is none."""
    day, month = date(2026, 1, 1), date(2026, 1, 2)
    old = [("dau", day, 1, True), ("dau", month, 1, True), ("mau_calendar", month, 1, False)]
    new = [*old, ("arppu_usd", day, 3, True), ("monthly_payers", month, 4, True)]
    new += [("retention_classic_d7", day, 0.5, True)]
    game = values([("dau", day, 1, True)]).with_columns(studio=pl.lit("s"), game=pl.lit("g"))

    found = restatements(values(old), pl.concat([values(new), game]), NO_HOURS, AT)

    # The month, and day 7 of the cohort, had not been complete: theirs are the first values.
    assert found.select("kpi", "studio", "old_value", "new_value").rows() == [
        ("arppu_usd", "all", None, 3.0),
        ("dau", "s", None, 1.0),
    ]
    # A KPI that a release adds restates nothing.
    whole = restatements(values(old), values(new), NO_HOURS, AT, is_whole=True)
    assert whole.height == 0


def test_a_cause_is_named() -> None:
    day = date(2026, 1, 1)
    old, new = values([("dau", day, 1, True)]), values([("dau", day, 2, True)])
    otherwise = new.with_columns(definition_version=pl.lit("2"))
    changed = hours((FIRST, day))

    causes = [
        restatements(old, rows, changes, AT)["cause"].to_list()
        for rows, changes in ((new, changed), (new, NO_HOURS), (otherwise, changed))
    ]

    assert causes == [["hours"], ["settings"], ["definition"]]


def test_every_kpi_of_the_table_is_complete_with_its_own_dates() -> None:
    kpis = pl.DataFrame(
        {"kpi": ["dau", "wau", "stickiness", "churn_28", "ltv_d30_usd", "installs"]}
    )
    spans = kpis.select(span=span_of_kpi())["span"].to_list()
    assert spans == ["day", "week", "month", "churn", "d30", "console"]


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
