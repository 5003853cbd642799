"""Which captured rows count is asked of the hours that may know, not of the whole table."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from kpi_platform.arrivals.studios.capture_ledger import CaptureLedger
from kpi_platform.engine.books.hour_fingerprints import Consumed, record_consumed
from kpi_platform.engine.current_rows import current_rows
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake

TABLE = "raw_studio_events"
START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [START + timedelta(days=day) for day in range(6)]


def _lake(folder: Path) -> Lake:
    lake = Lake(str(folder))
    for number, hour in enumerate(HOURS):
        row = {
            "source": "s",
            "table_name": "t",
            # The first row is changed once, on the third day.
            "row_key": "0" if number == 2 else str(number),
            "watermark_at": hour,
            "content_hash": number,
            "row": "{}",
            "p_ingest_date_utc": hour.date(),
            "p_ingest_hour_utc": hour.hour,
        }
        lake.append(TABLE, pl.DataFrame([row], TABLES[TABLE].polars_schema))
        record_consumed(lake, TABLE, {hour: Consumed("i", "c", 1)})
    return lake


def _remove(folder: Path, table: str, *days: datetime) -> None:
    """Take the files of these days away: whoever opens one fails."""
    for day in days:
        for file in (folder / table).rglob(f"p_ingest_date_utc={day:%Y-%m-%d}/**/*.parquet"):
            file.unlink()


def test_only_hours_that_may_hold_the_same_rows_are_opened(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    _remove(tmp_path, TABLE, HOURS[1], HOURS[3], HOURS[4], HOURS[5])
    rows = current_rows(lake, HOURS[:1])
    assert rows.own["content_hash"].to_list() == [0]
    assert rows.current.is_empty(), "a newer version counts"
    assert current_rows(lake, HOURS[2:3]).current["content_hash"].to_list() == [2]


def test_whether_hours_were_captured_is_asked_of_their_days_alone(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    _remove(tmp_path, "hour_fingerprints", *HOURS[:4])
    asked = [HOURS[4], HOURS[4] + timedelta(hours=1), HOURS[5]]
    assert CaptureLedger(lake).captured_among(asked) == {HOURS[4], HOURS[5]}
