"""Freshness from small ledgers: what counts as complete, and who is late."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from kpi_platform.monitoring.freshness import Freshness, judge_freshness
from kpi_platform.schemas.tables import TABLES

DAY = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = DAY + timedelta(hours=6, minutes=30)
LEDGER = TABLES["hour_ledger"].polars_schema

Row = tuple[int, str, str, int]


KNOWN = {
    **dict.fromkeys(("source", "studio", "game"), pl.String),
    **dict.fromkeys(("since", "until"), pl.Datetime("us", "UTC")),
    "kind": pl.String,
    "is_running": pl.Boolean,
}


def judge(*rows: Row, now: datetime = NOW, ended: Sequence[str] = ()) -> Freshness:
    """Rows are (hour of the day, source, status, lines); sources are active since the day began."""
    ledger = pl.DataFrame(
        [
            {
                "p_ingest_date_utc": DAY.date(),
                "p_ingest_hour_utc": hour,
                "source": source,
                "status": status,
                "lines": lines,
                "files": min(lines, 1),
                "rows": lines if status == "processed" else None,
            }
            for hour, source, status, lines in rows
        ],
        schema={name: LEDGER[name] for name in LEDGER.names()},
    )
    sources = {source: None for _, source, _, _ in rows} | dict.fromkeys(ended, NOW - 3 * HOUR)
    known = pl.DataFrame(
        [(name, "s", "g", DAY, until, "telemetry", False) for name, until in sources.items()],
        KNOWN,
        orient="row",
    )
    return judge_freshness(ledger, known, now)


def test_the_age_is_counted_from_the_end_of_the_newest_complete_hour() -> None:
    found = judge((3, "a", "processed", 5), (4, "a", "processed", 5))
    assert found == Freshness(DAY + 4 * HOUR, DAY + 4 * HOUR, {}, timedelta(hours=1, minutes=30))
    assert found.is_within(timedelta(minutes=90))
    assert not found.is_within(timedelta(minutes=89))


def test_running_an_old_hour_again_makes_nothing_fresh() -> None:
    newest_first = judge((5, "a", "processed", 5), (1, "a", "processed", 5))
    assert newest_first.complete == DAY + 5 * HOUR


def test_empty_hours_do_not_hide_a_source_that_fell_silent() -> None:
    rows: list[Row] = [(2, "a", "processed", 5), (2, "b", "processed", 5)]
    rows += [(hour, "a", "processed", 5) for hour in (3, 4)]
    rows += [(hour, "b", "processed", 0) for hour in (3, 4)]
    found = judge(*rows)
    assert (found.processed, found.complete, found.late) == (
        DAY + 4 * HOUR,
        DAY + 2 * HOUR,
        {"b": DAY + 3 * HOUR},
    )
    assert "b: if it has ended, set until: 2026-03-10T03:00:00Z" in found.advice()
    assert judge(*rows, ended=["b"]).complete == DAY + 4 * HOUR


def test_an_empty_hour_is_complete_as_soon_as_a_later_one_has_data() -> None:
    found = judge((3, "a", "processed", 0), (4, "a", "processed", 1), (5, "a", "failed", 9))
    assert found.complete == DAY + 4 * HOUR


@pytest.mark.parametrize("rows", [[], [(3, "a", "failed", 5)], [(3, "a", "processed", 0)]])
def test_without_a_complete_hour_nothing_is_recent(rows: list[Row]) -> None:
    found = judge(*rows)
    assert found.complete is None
    assert not found.is_within(timedelta(days=10_000))
