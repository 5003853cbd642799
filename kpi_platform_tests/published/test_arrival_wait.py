"""How long files waited for their figures: an hour by its newest file, hours by the longest."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.engine.books.file_ledger import FileRecord, write_files
from kpi_platform.published.arrival_wait import longest_wait
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import LandingFile

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOURS = [datetime(2026, 3, day, 5, tzinfo=UTC) for day in (8, 9, 10)]


def of_minutes(*minutes: float | None, state: str = "read") -> list[FileRecord]:
    """Files that came so many minutes ago."""
    return [
        FileRecord(
            *("a", f"{state}{number}.tsv", "telemetry", "", state),
            arrived_at=None if each is None else NOW - timedelta(minutes=each),
        )
        for number, each in enumerate(minutes)
    ]


@pytest.mark.parametrize(
    ("files", "seconds"),
    [
        ([of_minutes(5), [], []], 300),
        # A late file of an hour that was published long ago.
        ([of_minutes(2000, 3), [], []], 180),
        # The hour that waited longest.
        ([of_minutes(2000, 3), of_minutes(10, 9), of_minutes(1)], 540),
        # A backfill, a file that an earlier release read, one that was refused or is not there.
        ([of_minutes(20_000), of_minutes(None), of_minutes(4, state="refused")], None),
        ([[], [], []], None),
    ],
)
def test_the_wait_is_the_longest_of_the_hours(
    tmp_path: Path, files: list[list[FileRecord]], seconds: float | None
) -> None:
    lake = Lake(str(tmp_path))
    write_files(lake, "telemetry", {hour: ([], of) for hour, of in zip(HOURS, files, strict=True)})
    assert longest_wait(lake, pl.Series(HOURS), NOW) == seconds
    # Only of the hours that changed.
    assert longest_wait(lake, pl.Series([HOURS[0] - timedelta(hours=1)]), NOW) is None
    assert longest_wait(lake, pl.Series([], dtype=pl.Datetime("us", "UTC")), NOW) is None


def test_a_ledger_that_cannot_be_read_says_nothing_and_stops_nothing(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    write_files(lake, "telemetry", {HOURS[0]: ([], of_minutes(5))})
    for file in (tmp_path / "file_ledger").rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:100])
    assert longest_wait(lake, pl.Series(HOURS), NOW) is None


def test_a_copy_arrives_when_it_is_made_and_not_when_its_original_was() -> None:
    object_in_s3 = LandingFile("a/2026/03/10/05/x.tsv", 1, "tag", NOW)
    copy = LandingFile(
        "a/2026/03/10/05/x.tsv", 1, "", NOW, int(NOW.timestamp()) * 10**9 + 5 * 10**9
    )
    assert object_in_s3.arrived_at == NOW
    assert copy.arrived_at == NOW + timedelta(seconds=5)
