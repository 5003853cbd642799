"""The curve over many hourly updates of a small population, with and without upkeep.

Belongs here: making the updates and writing the curve. Does not: a bar; the issue asks to see it.
"""

import csv
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import polars as pl

from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.books.hour_fingerprints import Consumed, record_consumed
from kpi_platform.engine.hour_steps import work_through
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.maintenance import maintain

START = datetime(2026, 1, 1, tzinfo=UTC)
PLAYERS = 1_000
ACTIVE = 50
UPKEEP_EVERY = 24
WINDOW = 24
# Without upkeep an update soon opens thousands of files: a quarter of the curve tells enough.
WITHOUT = 4
RULES = PlayerIdRules(("PlayerId",))
Row = tuple[str, int, float, float, int, int, int, int]
COLUMNS = (
    "upkeep",
    "updates",
    "seconds_of_an_update",
    "cpu_seconds_of_an_update",
    "files_in_hourly_tables",
    "files_in_folded_tables",
    "files_on_disk",
    "bytes_on_disk",
)


def main(out: Path, updates: int) -> None:
    """Write `out` (CSV): per day of updates the median seconds of one, by the clock and of the
    processors (all threads, what else the machine does left out), and the files there are."""
    with out.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for is_kept in (True, False):
            folder = out.with_suffix(".lake")
            for row in _curve(folder, updates if is_kept else updates // WITHOUT, is_kept=is_kept):
                rows.writerow(row)
                file.flush()
                sys.stderr.write(" ".join(str(value) for value in row) + "\n")
            shutil.rmtree(folder)


def _curve(folder: Path, updates: int, *, is_kept: bool) -> Iterator[Row]:
    shutil.rmtree(folder, ignore_errors=True)
    lake = Lake(str(folder))
    seconds = []
    for number in range(updates):
        hour = START + timedelta(hours=number)
        lake.replace_hours("cleaned_events", _events(hour, number), [hour])
        consumed = Consumed(fingerprint(str(number)), fingerprint(str(number)), 2 * ACTIVE)
        record_consumed(lake, "cleaned_events", {hour: consumed})
        started = time.monotonic(), time.process_time()
        for step in (SessionsStep(lake, RULES, timedelta(hours=24)), HistoryStep(lake, RULES)):
            for reports in work_through(lake, step, [hour], 10**9):
                assert reports[0].status == "written", reports
        seconds.append((time.monotonic() - started[0], time.process_time() - started[1]))
        if is_kept and number % UPKEEP_EVERY == UPKEEP_EVERY - 1:
            # Nothing is older than an hour here: a retention of none shows what a week leaves.
            assert not [item.error for item in maintain(lake, timedelta()) if item.error]
        if number % WINDOW == WINDOW - 1:
            yield _row(lake, folder, number + 1, seconds[-WINDOW:], is_kept=is_kept)


def _row(
    lake: Lake,
    folder: Path,
    updates: int,
    seconds: Sequence[tuple[float, float]],
    *,
    is_kept: bool,
) -> Row:
    hourly, folded = (
        sum(len(table.file_uris()) for name in tables if (table := lake.open(name)))
        for tables in _kinds(lake)
    )
    files = [path for path in folder.rglob("*") if path.is_file()]
    took, worked = (round(median(of), 4) for of in zip(*seconds, strict=True))
    size = sum(path.stat().st_size for path in files)
    kept = "daily" if is_kept else "none"
    return kept, updates, took, worked, hourly, folded, len(files), size


def _kinds(lake: Lake) -> tuple[list[str], list[str]]:
    """The tables that keep a file per hour, and those that are folded over all hours."""
    hourly = [n for n in lake.tables() if TABLES[n].partition_by[:2] == INGEST_HOUR]
    return hourly, [n for n in lake.tables() if n not in hourly]


def _events(hour: datetime, number: int) -> pl.DataFrame:
    """An hour in which some players sign in and are seen; their versions rise day by day."""
    ids = pl.int_range(ACTIVE, eager=True).alias("i")
    player = ((pl.col("i") * 7 + number * 13) % PLAYERS).cast(pl.String)
    base = pl.DataFrame(ids).select(
        player=pl.concat_str(pl.lit("P"), player),
        session_id=pl.format("s{}-{}", pl.lit(number), "i"),
        event_at=pl.lit(hour) + pl.duration(seconds=pl.col("i")),
    )
    signs_in = pl.concat_str(pl.lit('{"PlayerId":"'), "player", pl.lit('"}'))
    seen = pl.lit(f'{{"Version":"1.{number // 24}","Device":"deck"}}')
    rows = pl.concat(
        base.with_columns(event_name=pl.lit(name), transaction_id=pl.lit(txn), attributes=text)
        for name, txn, text in (("SessionStart", 1, signs_in), ("SoftwareVersion", 2, seen))
    ).with_columns(
        event_id=pl.concat_str("session_id", "event_name"),
        source=pl.lit("game"),
        studio=pl.lit("studio"),
        game=pl.lit("game"),
        service_name=pl.lit("Client"),
        p_ingest_date_utc=pl.lit(hour.date()),
        p_ingest_hour_utc=pl.lit(hour.hour),
    )
    schema = TABLES["cleaned_events"].polars_schema
    return rows.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
