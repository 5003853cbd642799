"""Since when a value is complete; and runs that are killed between two commits of a publication."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest import mock

import duckdb
import polars as pl
import pytest

from kpi_platform.published.publish import (
    LOADS_STAMP,
    PUBLICATIONS,
    VALUES,
    Publication,
    moment_of_entries,
    publication_rows,
    publish,
    restate,
    stamps_of,
)
from kpi_platform.published.restatements import KPI_RESTATEMENTS
from kpi_platform.published.value_books import KPI_VALUE_BOOKS, value_entries
from kpi_platform.storage.kpi_database.marts import EmbeddedMarts
from kpi_platform.storage.lake.delta.month_files import MonthFiles
from kpi_platform.storage.lake.lake import Lake

AT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = date(2026, 1, 1)
DAILY = Publication("kpi_daily", "date", "date")
VALUE_ROWS = Publication(VALUES, "date", "period", ("kpi_daily",))
CHANGED = {"kpi_daily": [datetime(2026, 1, 1)]}  # noqa: DTZ001
NO_HOURS = pl.DataFrame(schema={"ingest_hour": pl.Datetime("us", "UTC"), "date": pl.Date()})


class KilledError(Exception):
    """The run ends here, and nothing of it goes on."""


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A warehouse with a complete day of two KPIs."""
    con = duckdb.connect()
    con.execute("create schema marts")
    con.execute(
        "create table marts.kpi_values as select kpi, date '2026-01-01' as period, 'all' as studio,"
        " 'all' as game, 'all' as platform, 5::double as value, true as is_complete,"
        " '1' as definition_version from (values ('dau'), ('sessions')) t(kpi)"
    )
    con.execute(
        "create table marts.kpi_daily as select date '2026-01-01' as date, 5 as dau,"
        " true as is_complete"
    )
    return con


def run(lake: Lake, con: duckdb.DuckDBPyConnection, at: datetime) -> None:
    """What the asset does, in its order."""
    marts, now = EmbeddedMarts(con), moment_of_entries(lake, VALUES, at)
    restate(lake, marts, VALUE_ROWS, CHANGED, NO_HOURS, now)
    done = publish(lake, marts, [DAILY, VALUE_ROWS], CHANGED, {}, stamps_of(now, 1))
    lake.add_published(PUBLICATIONS, publication_rows(done, now))


@contextmanager
def killed_before_commit(number: int) -> Iterator[None]:
    """A run that ends before it makes its commit of this number, counted from 0."""
    commits = iter(range(100))

    def before(real: Callable[..., object]) -> Callable[..., object]:
        def commit(*args: object, **named: object) -> object:
            if next(commits) == number:
                raise KilledError
            return real(*args, **named)

        return commit

    with (
        mock.patch.object(Lake, "publish", before(Lake.publish)),
        mock.patch.object(MonthFiles, "replace", before(MonthFiles.replace)),
        mock.patch.object(Lake, "add_published", before(Lake.add_published)),
    ):
        yield


def told(lake: Lake, table: str) -> list[tuple[object, ...]]:
    """What a book says, without the moments."""
    books = lake.published(table)
    assert books is not None
    moments = {"restated_at", "known_since", "caused_by_hours"}
    rows = books.drop(moments.intersection(books.collect_schema().names())).collect()
    return sorted(rows.rows(), key=repr)


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("is_corrected_again", [False, True])
def test_a_run_killed_between_two_commits_leaves_books_that_the_next_completes(
    tmp_path: Path, con: duckdb.DuckDBPyConnection, number: int, *, is_corrected_again: bool
) -> None:
    """Corrections 5 to 7 and on to 8 for one KPI; readers saw the 7 only if it was published."""
    lake, twin = Lake(str(tmp_path / "lake")), Lake(str(tmp_path / "twin"))
    for each in (lake, twin):
        run(each, con, AT)
    con.execute("update marts.kpi_values set value = 7")

    with killed_before_commit(number), pytest.raises(KilledError):
        run(lake, con, AT + timedelta(minutes=1))
    was_seen = number > 3
    if was_seen or not is_corrected_again:
        run(twin, con, AT + timedelta(minutes=1))
    if is_corrected_again:
        con.execute("update marts.kpi_values set value = 8 where kpi = 'dau'")
    for each in (lake, twin):
        run(each, con, AT + timedelta(minutes=2))

    for table in (KPI_RESTATEMENTS, KPI_VALUE_BOOKS, VALUES):
        assert told(lake, table) == told(twin, table), table
    books = lake.published(PUBLICATIONS)
    assert books is not None
    newest = books.filter(pl.col("table") == VALUES).select(pl.col("delta_version").max()).collect()
    assert newest.item() == lake.version(f"published/{VALUES}")


def test_what_was_entered_for_a_correction_that_was_taken_back_goes(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(str(tmp_path))
    run(lake, con, AT)
    con.execute("update marts.kpi_values set value = 7")
    with killed_before_commit(2), pytest.raises(KilledError):
        run(lake, con, AT + timedelta(minutes=1))
    con.execute("update marts.kpi_values set value = 5")

    run(lake, con, AT + timedelta(minutes=2))

    assert told(lake, KPI_RESTATEMENTS) == []


def test_moments_go_on_whatever_the_clock_says(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(str(tmp_path))
    for value, minute in ((5, 9), (6, 1), (7, 0)):
        con.execute(f"update marts.kpi_values set value = {value} where kpi = 'dau'")
        run(lake, con, AT + timedelta(minutes=minute))

    books = lake.published(KPI_VALUE_BOOKS)
    assert books is not None
    entries = books.filter(pl.col("kpi") == "dau").sort("known_since").collect()
    assert entries["value"].to_list() == [5, 6, 7]
    assert lake.published_stamp(VALUES, LOADS_STAMP) == 1


def test_an_entry_is_made_when_a_value_is_complete_becomes_another_or_is_so_no_longer() -> None:
    columns = ["kpi", "value", "is_complete", "definition_version"]

    def rows(*found: tuple[str, float, bool, str]) -> pl.DataFrame:
        frame = pl.DataFrame(list(found), columns, orient="row")
        grain = {name: pl.lit("all") for name in ("studio", "game", "platform")}
        return frame.with_columns(period=pl.lit(DAY), **grain)

    old = rows(
        *(("same", 1, True, "1"), ("other", 1, True, "1"), ("defined", 1, True, "1")),
        *(("gone", 1, True, "1"), ("again", 1, True, "1"), ("first", 1, False, "1")),
    )
    new = rows(
        *(("same", 1, True, "1"), ("other", 2, True, "1"), ("defined", 1, True, "2")),
        *(("again", 1, False, "1"), ("first", 2, True, "1"), ("running", 1, False, "1")),
    )

    assert value_entries(old, new, AT).select(columns).rows() == [
        ("again", None, False, "1"),
        ("defined", 1, True, "2"),
        ("first", 2, True, "1"),
        ("gone", None, False, "1"),
        ("other", 2, True, "1"),
    ]


def test_a_book_of_an_earlier_release_gets_its_new_columns(
    tmp_path: Path, con: duckdb.DuckDBPyConnection
) -> None:
    lake = Lake(str(tmp_path))
    run(lake, con, AT)
    con.execute("update marts.kpi_values set value = 7")
    run(lake, con, AT + timedelta(minutes=1))
    books = lake.published(KPI_RESTATEMENTS)
    assert books is not None
    lake.publish(KPI_RESTATEMENTS, books.drop("cause").collect(), None)
    con.execute("update marts.kpi_values set value = 8")

    run(lake, con, AT + timedelta(minutes=2))

    assert [row[-1] for row in told(lake, KPI_RESTATEMENTS)].count("settings") == 2
    assert len(told(lake, KPI_RESTATEMENTS)) == 4
