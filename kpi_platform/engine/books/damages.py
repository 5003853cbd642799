"""What of the lake's tables cannot be read, or is not there though the books say so.

Belongs here: looking through all of them, and the lake without what is damaged. Does not: one
table's files (`storage/lake/damage.py`), and mending.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time

import polars as pl

from kpi_platform.engine.books.hour_fingerprints import TABLE as FINGERPRINTS
from kpi_platform.engine.books.seals import DROPPED
from kpi_platform.engine.pinned_lake import PinnedLake, pin
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.storage.lake.damage import Damage, damaged_files
from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.lake import Lake

LOST = "an entry of its log"
# Tables whose rows of an hour are counted in the books, and the step that counted them.
_COUNTED_BY = {
    **{table: table for table in ("raw_telemetry", "raw_console_feed", "raw_stream_feed")},
    **{table: table for table in ("raw_studio_events", "cleaned_events")},
    "session_parts": "sessions",
    "sightings": "user_version_history",
}

Found = Mapping[str, Sequence[Damage]]
"""Per table of the lake what is damaged of it."""


def damages_of(lake: Lake) -> dict[str, list[Damage]]:
    """What cannot be read of each table, and hours of which rows are missing though a finished
    run wrote them: the log's entry of that run was lost. Reads every file.

    Raises LakeError if the lake cannot be reached.
    """
    damages = {table: damaged_files(lake, table) for table in TABLES}
    readable = pin_readable(lake, damages)
    for table, step in _COUNTED_BY.items():
        if not damages[table]:
            damages[table] += _lost(readable, table, step)
    return damages


def pin_readable(lake: Lake, found: Found) -> PinnedLake:
    """The lake at one moment, without the files that cannot be read."""
    return pin(lake, {table: [item.file for item in each] for table, each in found.items() if each})


def _lost(lake: Lake, table: str, step: str) -> list[Damage]:
    """Hours of which the log names fewer rows than the step that wrote them recorded."""
    told = lake.scan(FINGERPRINTS).filter(pl.col("table_name") == step).collect()
    snapshot = lake.open(table)
    there = pl.DataFrame(schema={**dict(told.select(INGEST_HOUR).schema), "there": pl.Int64})
    if snapshot is not None and (files := files_of(snapshot)).height:
        counted = files.group_by(INGEST_HOUR).agg(there=pl.col("num_records").cast(pl.Int64).sum())
        there = counted.cast(pl.Schema(there.schema))
    both = told.join(there, on=INGEST_HOUR, how="left").with_columns(pl.col("there").fill_null(0))
    fewer = both.filter(pl.col("there") < pl.col("rows")).sort(INGEST_HOUR)
    if table == "raw_telemetry" and fewer.height:
        # Retention took them.
        fewer = fewer.join(lake.scan(DROPPED).collect(), on=INGEST_HOUR, how="anti")
    return [
        _damage(table, datetime.combine(day, time(hour), UTC), there, rows)
        for day, hour, there, rows in fewer.select(*INGEST_HOUR, "there", "rows").iter_rows()
    ]


def _damage(table: str, hour: datetime, there: int, rows: int) -> Damage:
    reason = f"it was lost: {there:,} of the {rows:,} rows that were written are there"
    return Damage(table, LOST, reason, hour, hour)
