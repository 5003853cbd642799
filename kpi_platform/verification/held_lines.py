"""The lines of files that are gone: a build from scratch takes them from where they are stored.

Belongs here: taking them, and saying how many. Does not: reading the files that are there.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.engine.books.file_ledger import HOLDING, FileKind
from kpi_platform.engine.books.removals import RAW_TABLES
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.storage.lake.lake import Lake, hours_of

_BAD = "quarantined_events"
_STAGES = {"telemetry": "read", "console": "read_console", "stream": "read_stream"}
_FILE = [*INGEST_HOUR, "source", "file_name"]


def take_held(
    live: Lake, target: Lake, kind: FileKind, listed: Mapping[datetime, Collection[str]]
) -> None:
    """Take what `live` holds of the files of hours that are not `listed` now, or are held."""
    hours = list(listed)
    known = live.read_hours("file_ledger", hours).filter(
        pl.col("kind") == kind, pl.col("state").is_in(HOLDING), pl.col("lines") > 0
    )
    gone = [
        part.filter((pl.col("state") != "read") | ~pl.col("path").is_in(list(listed[hour])))
        for hour, part in hours_of(known, hours).items()
    ]
    held = pl.concat(gone) if gone else known
    if held.is_empty():
        return
    target.replace_hours("file_ledger", held, hours, f"kind = '{kind}'")
    files = held.select(*INGEST_HOUR, "source", file_name="path").lazy()
    stage = _STAGES[kind]
    for table, where in ((RAW_TABLES[kind], ""), (_BAD, f"p_stage = '{stage}'")):
        rows = live.scan_hours(table, hours).join(files, on=_FILE, how="semi")
        of_stage = rows.filter(pl.col("p_stage") == stage) if where else rows
        names = TABLES[table].polars_schema.names()
        target.replace_hours(table, of_stage.select(names).collect(), hours, where)


def held_counts(target: Lake, hours: Sequence[datetime]) -> dict[datetime, tuple[int, int]]:
    """Per hour how many files were taken from their stored lines, and how many lines those are."""
    files = target.read_hours("file_ledger", hours).filter(pl.col("state").is_in(HOLDING[1:]))
    return {
        hour: (part["path"].n_unique(), int(part["lines"].sum()))
        for hour, part in hours_of(files, hours).items()
        if part.height
    }
