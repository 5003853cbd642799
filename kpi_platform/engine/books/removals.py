"""Files that are gone though an hour holds their lines: noting them, and letting them go.

Belongs here: the changes of the ledger. Does not: listing files, and taking lines from tables,
which the run of an hour does.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import polars as pl

from kpi_platform.engine.books.file_ledger import (
    TABLE,
    FileKind,
    FileRecord,
    FilesChangedError,
    held_files,
    read_files,
    write_files,
)
from kpi_platform.engine.books.hour_queue import enqueue_hours
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.lake import Lake, hours_in

_FILE = [*INGEST_HOUR, "source", "path"]
RAW_TABLES: Mapping[FileKind, str] = {
    "telemetry": "raw_telemetry",
    "console": "raw_console_feed",
    "stream": "raw_stream_feed",
}


def note_missing(
    lake: Lake,
    kind: FileKind,
    hours: Sequence[datetime],
    list_paths: Callable[[Sequence[datetime]], Mapping[datetime, Collection[str]]],
    overwriting: Collection[str],
    may_go: Callable[[datetime], bool],
) -> list[datetime]:
    """Note the files that these hours hold and that are not among the paths listed of them; the
    hours in which there were any. No line changes, and no hour has to be run for it.

    `list_paths`: of hours, asked after the ledger: what is read meanwhile is not taken for gone.
    `overwriting`: sources whose newest listing that had files counts: theirs is an hour's run.
    """
    known = read_files(lake, hours, kind)
    listed = list_paths(hours) if hours else {}
    noted = []
    for hour, files in known.items():
        paths = set(listed[hour])
        waits = {f.source for f in files if f.path in paths and f.source in overwriting}
        state = "forgotten" if may_go(hour) else "held"
        after = [
            replace(file, state=state, identity="", is_young=False)
            if file.state == "read" and file.path not in paths and file.source not in waits
            else file
            for file in files
        ]
        if after != files and _write(lake, kind, hour, files, after):
            noted.append(hour)
    return noted


def _write(
    lake: Lake, kind: FileKind, hour: datetime, before: list[FileRecord], after: list[FileRecord]
) -> bool:
    try:
        write_files(lake, kind, {hour: (before, after)})
    except FilesChangedError:
        # A run of the hour is about to note it, or has read other files.
        return False
    return True


def accept_removals(
    lake: Lake, first: datetime, last: datetime, source: str | None = None
) -> pl.DataFrame:
    """Let go the files that are held in the hours from `first` to `last` (both included), of one
    source or all: rows of `file_ledger` as they were.

    Their lines leave the tables when the hours are run, as they are with the next run whatever it
    was asked for.
    """
    held = held_files(lake, (first, last))
    chosen = held if source is None else held.filter(pl.col("source") == source)
    for kind in chosen["kind"].unique().sort():
        chosen_files = chosen.filter(pl.col("kind") == kind)
        hours = hours_in(chosen_files)
        # First the work, then what makes it necessary: a kill in between costs a look.
        enqueue_hours(lake, RAW_TABLES[kind], hours)
        names = chosen_files.select(*_FILE, goes=True)

        def let_go(rows: pl.DataFrame, names: pl.DataFrame = names) -> pl.DataFrame:
            marked = rows.join(names, on=_FILE, how="left", maintain_order="left")
            goes = (pl.col("state") == "held") & pl.col("goes").fill_null(value=False)
            state = pl.when(goes).then(pl.lit("removed")).otherwise("state")
            return marked.with_columns(state=state).select(rows.columns)

        lake.change_hours(TABLE, let_go, hours, pl.col("kind") == kind, f"kind = '{kind}'")
    return chosen
