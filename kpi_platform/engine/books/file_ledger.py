"""The ledger of files: what each ingest hour consists of, file by file, and what became of it.

Belongs here: reading and writing `file_ledger`, and what follows from its rows alone. Does not:
listing and reading files.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Literal

import polars as pl

from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.storage.lake.lake import Lake, hours_of

TABLE = "file_ledger"
FileKind = Literal["telemetry", "console", "stream"]
# Of which lines stand in the tables.
HOLDING = ("read", "held", "forgotten")
# Which are, or were last, under their name.
CURRENT = (*HOLDING, "unreadable")
# Came in place of others to an hour whose lines are gone: as if it never came.
REFUSED = "refused"
_SCHEMA = TABLES[TABLE].polars_schema


class FilesChangedError(OSError):
    """Another run changed the same hour's files meanwhile."""


@dataclass(frozen=True)
class FileRecord:
    """A file of an hour and source: a row of `file_ledger` without its hour."""

    source: str
    path: str
    kind: FileKind
    read_by: str
    state: str = "read"
    bytes: int = 0
    content_hash: str = ""
    lines: int = 0
    rows: int | None = None
    quarantined: int = 0
    quarantined_on_read: int = 0
    duplicates: int = 0
    left_out: int = 0
    suppressed: int = 0
    sealed: int = 0
    is_truncated: bool = False
    identity: str = ""
    is_young: bool = False
    arrived_at: datetime | None = None

    @property
    def is_current(self) -> bool:
        """Whether it is, or was last, the file of its name."""
        return self.state in CURRENT

    @property
    def holds_lines(self) -> bool:
        """Whether lines of it stand in the tables; those of a file that was let go, until the
        hour is run."""
        return self.lines > 0

    @property
    def raw_rows(self) -> int:
        """The rows that its raw table has of it."""
        return self.lines - self.quarantined_on_read - self.suppressed - self.sealed

    def waiting(self) -> "FileRecord":
        """The file as before its lines were decoded."""
        return replace(
            self, rows=None, quarantined=self.quarantined_on_read, duplicates=0, left_out=0
        )

    def past(self, state: str) -> "FileRecord":
        """The file without its lines: `replaced` or `removed`."""
        return FileRecord(
            self.source,
            self.path,
            self.kind,
            self.read_by,
            state,
            self.bytes,
            self.content_hash,
            rows=0,
        )


def settled(
    record: FileRecord, identity: str, arrived_at: datetime, *, is_young: bool
) -> FileRecord:
    """The record of a file that is there, looks like this now, and holds what it held."""
    state = record.state if record.state == "unreadable" else "read"
    return replace(record, state=state, identity=identity, is_young=is_young, arrived_at=arrived_at)


_NAMES = [field.name for field in fields(FileRecord)]


def read_files(
    lake: Lake, hours: Iterable[datetime], kind: FileKind
) -> dict[datetime, list[FileRecord]]:
    """The files of each hour of one kind of source; every hour given is a key."""
    wanted = list(hours)
    rows = lake.scan_hours(TABLE, wanted).filter(pl.col("kind") == kind).collect()
    return {hour: records(part) for hour, part in hours_of(rows, wanted).items()}


def records(rows: pl.DataFrame) -> list[FileRecord]:
    """Rows of `file_ledger` as records, by source and path."""
    ordered = rows.sort("source", "path", "content_hash").select(_NAMES)
    return [FileRecord(**row) for row in ordered.iter_rows(named=True)]


def frame_of(hour: datetime, files: Sequence[FileRecord]) -> pl.DataFrame:
    """Records of an hour as rows of `file_ledger`."""
    columns = {
        name: pl.Series(name, [getattr(file, name) for file in files], dtype=_SCHEMA[name])
        for name in _NAMES
    }
    return pl.DataFrame(columns).select(
        pl.lit(hour.date()).alias(INGEST_HOUR[0]),
        pl.lit(hour.hour, pl.Int32).alias(INGEST_HOUR[1]),
        *(name for name in _SCHEMA.names() if name not in INGEST_HOUR),
    )


def write_files(
    lake: Lake,
    kind: FileKind,
    planned: Mapping[datetime, tuple[Sequence[FileRecord], Sequence[FileRecord]]],
) -> None:
    """Replace the files of hours of one kind: per hour what was known of it and what is now.

    Raises FilesChangedError if an hour is no longer as it was known: another run came between.
    """
    changed = {hour: after for hour, (before, after) in planned.items() if before != after}
    if not changed:
        return
    hours = list(changed)

    def change(stored: pl.DataFrame) -> pl.DataFrame:
        for hour, part in hours_of(stored, hours).items():
            if records(part) != list(planned[hour][0]):
                raise FilesChangedError(f"another run changed the files of {hour:%Y-%m-%d %H:%M}")
        return pl.concat([frame_of(hour, after) for hour, after in changed.items()])

    lake.change_hours(TABLE, change, hours, pl.col("kind") == kind, f"kind = '{kind}'")


def count_files(
    lake: Lake, hours: Sequence[datetime], change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """Change what is counted of the files of these hours, whoever adds files meanwhile."""
    if hours and lake.scan_hours(TABLE, hours).head(1).collect().height:
        lake.change_hours(TABLE, change, hours)


def hour_content(files: Iterable[FileRecord]) -> str:
    """A hash of what the lines of an hour are: of the contents of its files, and of the settings
    under which they were read."""
    return fingerprint(
        *sorted(
            f"{file.source} {file.path} {file.content_hash} {file.read_by} {file.lines}"
            for file in files
            if file.state in HOLDING and file.lines
        )
    )


def held_files(lake: Lake, span: tuple[datetime, datetime] | None = None) -> pl.DataFrame:
    """The rows of files that are held: from the first to the last hour (both included), or all."""
    rows = lake.scan(TABLE).filter(pl.col("state") == "held")
    if span is not None:
        day, number = (pl.col(name) for name in INGEST_HOUR)
        hour = day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=number)
        # The days are partitions: others are not read.
        rows = rows.filter(day.is_between(span[0].date(), span[1].date()), hour.is_between(*span))
    return rows.sort(*INGEST_HOUR, "source", "path").collect()
