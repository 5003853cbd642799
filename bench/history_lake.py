"""The population of `history_world` as a lake.

Belongs here: writing the tables as upkeep leaves them, and the hours to be measured. Does not:
what is in them.
"""

import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl
from deltalake import DeltaTable, WriterProperties, write_deltalake

from bench.history_world import (
    HOUR,
    Population,
    event_rows,
    part_rows,
    session_rows,
    sighting_rows,
)
from kpi_platform.engine.books.hour_fingerprints import Consumed, record_consumed
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.maintenance import LOOKUP_ROW_GROUP, SORTED_BY

ROWS_AT_A_TIME = 1_500_000
OLD_HOUR = HOUR - timedelta(days=30)
CHANGED = "changed"
BY_HOUR = {
    "sightings": sighting_rows,
    "session_parts": part_rows,
    "sessions": session_rows,
}


def write_world(lake: Lake, population: Population, tables: list[str]) -> None:
    """Write these tables, one file a partition."""
    for table in tables:
        started = time.monotonic()
        rows = 0
        for frame in _frames(population, table):
            _append(lake, table, frame)
            rows += frame.height
        DeltaTable(lake.path(table)).create_checkpoint()
        seconds = time.monotonic() - started
        sys.stderr.write(f"  {table}: {rows:,} rows in {seconds:.0f} s\n")


def write_books(lake: Lake, population: Population) -> None:
    """Write what the steps know of the hours that are done: nothing of the hour to come."""
    hours = [HOUR - timedelta(hours=n + 1) for n in range(population.hours)]
    for table in ("cleaned_events", "sessions", "user_version_history"):
        done = {hour: Consumed(fingerprint(f"{hour}"), fingerprint(""), 1) for hour in hours}
        record_consumed(lake, table, done)


def write_active_hour(lake: Lake, population: Population, active: int, *, is_wide: bool) -> None:
    """Write the events of the hour to be measured."""
    put_events(lake, HOUR, event_rows(population.active(active, is_wide=is_wide)))


def old_events(population: Population, *, is_corrected: bool) -> pl.DataFrame:
    """The events of the hour 30 days ago; `is_corrected`: a tenth is gone, and another tenth says
    another version than it did at first."""
    ago = int((HOUR - OLD_HOUR).total_seconds()) // 3_600
    seen = population.seen(ago, ago - 1)
    if not is_corrected:
        return event_rows(seen)
    tenth = pl.col("n") % 10
    corrected = pl.when(tenth == 1).then(pl.lit("0.9-beta")).otherwise("version")
    return event_rows(seen.filter(tenth != 0).with_columns(version=corrected))


def put_events(lake: Lake, hour: datetime, rows: pl.DataFrame) -> None:
    """Make these the cleaned events of an hour, as the step before would."""
    lake.replace_hours("cleaned_events", rows, [hour])
    text = fingerprint(CHANGED, str(rows.height), str(rows["attributes"].hash().sum()))
    record_consumed(lake, "cleaned_events", {hour: Consumed(text, text, rows.height)})


def _frames(population: Population, table: str) -> Iterator[pl.DataFrame]:
    if table == "user_version_history":
        yield from map(population.history, population.weeks())
    elif table == "user_version_intervals":
        yield from map(population.intervals, population.months())
    else:
        yield from map(BY_HOUR[table], _days(population))


def _days(population: Population) -> Iterator[pl.DataFrame]:
    """The sightings, some whole days at a time, oldest first."""
    end, days, found = population.hours, [], 0
    while end > 0:
        # Up to the midnight before.
        start = max(((end - 1 - HOUR.hour) // 24) * 24 + HOUR.hour, 0)
        day = population.seen(end, start)
        days.append(day)
        found += day.height
        end = start
        if found >= ROWS_AT_A_TIME or end == 0:
            yield pl.concat(days)
            days, found = [], 0


def _append(lake: Lake, table: str, rows: pl.DataFrame) -> None:
    lake.append(table, rows.clear()) if lake.open(table) is None else None
    is_sorted = table in SORTED_BY
    write_deltalake(
        lake.path(table),
        rows.select(TABLES[table].polars_schema.names()),
        mode="append",
        writer_properties=WriterProperties(
            compression="SNAPPY", max_row_group_size=LOOKUP_ROW_GROUP if is_sorted else 250_000
        ),
    )
