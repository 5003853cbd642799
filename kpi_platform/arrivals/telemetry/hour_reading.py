"""Reads files of hours to rows of `raw_telemetry`, quarantined lines and records of the ledger.

Belongs here: the way of files into the tables, and the stored lines of those that cannot be opened
any more. Does not: which files are read (`hour_files.py`), how a file becomes rows (`parse.py`).
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from kpi_platform.arrivals.file_hashes import Hashing
from kpi_platform.arrivals.hour_files import Seen, held_records
from kpi_platform.arrivals.stored_lines import StoredLines
from kpi_platform.arrivals.telemetry.parsing.parse import (
    FileCounts,
    Origin,
    TelemetryFile,
    parse_files,
)
from kpi_platform.engine.admission import NO_MARKS, Marks, admit
from kpi_platform.engine.books.file_ledger import FileRecord, FilesChangedError
from kpi_platform.storage.lake.spool import Spool
from kpi_platform.storage.landing.landing import Landing


@dataclass(frozen=True)
class ToRead:
    """A file that is to be read: how, under which settings, and what the tables hold of its hour
    (None if nothing). `may_go`: it may be gone without a word. `is_anew`: what the tables held of
    it is gone, so that it has to be readable."""

    seen: Seen
    origin: Origin
    read_by: str
    stored: StoredLines | None
    may_go: bool
    is_anew: bool = False


class NotThereAnewError(FilesChangedError):
    """A file of an hour that is to be read anew as a whole cannot be read."""

    def __init__(self, hour: datetime) -> None:
        super().__init__(f"a file of {hour:%Y-%m-%d %H:%M} cannot be read")
        self.hour = hour


@dataclass
class _Opened:
    """A file while it is read."""

    file: ToRead
    content: Hashing
    is_young: bool
    counts: FileCounts


class FilesReading:
    """Files of hours while they are read: their `records` per hour, and lines of no use in
    `spool`, of which there are `quarantined`; `not_there`: an hour that cannot be read anew for
    want of a file."""

    def __init__(self, landing: Landing, spool: Spool, marks: Marks = NO_MARKS) -> None:
        self.records: dict[datetime, list[FileRecord]] = defaultdict(list)
        self.quarantined = 0
        self.not_there: datetime | None = None
        self._landing = landing
        self._spool = spool
        self._marks = marks
        self._opened: list[_Opened] = []
        self._kept_out: dict[str, tuple[int, int]] = {}

    def keep(
        self, records: Sequence[FileRecord], stored: StoredLines | None, renamed: dict[str, str]
    ) -> Iterator[pl.DataFrame]:
        """The stored rows of files that stay, under the source that each now belongs to."""
        paths = [record.path for record in records if record.holds_lines]
        if stored is None or not paths:
            return
        names = pl.col("file_name").replace_strict(renamed, default=pl.col("source"))
        source = names if renamed else pl.col("source")
        for rows in stored.rows(paths):
            yield rows.with_columns(source=source)
        self._put_aside(stored.quarantined(paths).with_columns(source=source))

    def read(self, files: Iterable[ToRead]) -> Iterator[pl.DataFrame]:
        """The rows of files, small ones together; of those that cannot be opened, what they held
        before."""
        for part in parse_files(self._open(files)):
            for counts in part.counts:
                opened = self._opened[counts.place]
                opened.counts = opened.counts.plus(counts)
            rows = self._admitted(part.rows, self._marks)
            # A reason of reading comes before the day.
            self._put_aside(self._admitted(part.quarantined, replace(self._marks, sealed=None)))
            if rows.height:
                yield rows
        for opened in self._opened:
            yield from self._finished(opened)

    def _open(self, files: Iterable[ToRead]) -> Iterator[TelemetryFile]:
        for file in files:
            # Before it is opened: whatever changes from here on is seen by its looks.
            is_young = file.seen.file.is_young(time.time_ns())
            content = Hashing(self._landing.stream(file.seen.file.path))
            nothing = FileCounts(len(self._opened), 0, 0)
            self._opened.append(_Opened(file, content, is_young, nothing))
            yield TelemetryFile(file.origin, content)

    def _put_aside(self, bad: pl.DataFrame) -> None:
        self.quarantined += bad.height
        self._spool.add(bad)

    def _admitted(self, lines: pl.DataFrame, marks: Marks) -> pl.DataFrame:
        found = admit(lines, marks)
        for place, out in enumerate((found.suppressed, found.sealed)):
            for path, count in out.group_by("file_name").len().iter_rows() if out.height else ():
                counts = list(self._kept_out.get(path, (0, 0)))
                counts[place] += count
                self._kept_out[path] = (counts[0], counts[1])
        return found.lines

    def _finished(self, opened: _Opened) -> Iterator[pl.DataFrame]:
        seen, counts = opened.file.seen, opened.counts
        hour = opened.file.origin.ingest_hour
        is_unreadable = counts.unreadable and not counts.lines
        if opened.file.is_anew and (opened.content.is_gone or is_unreadable):
            # Whoever writes the rows may raise something else in its place.
            self.not_there = hour
            raise NotThereAnewError(hour)
        if opened.content.is_gone:
            state = "forgotten" if opened.file.may_go else "held"
            yield from self._hold(opened.file, hour, held_records(seen, state, ""))
            return
        if is_unreadable and any(known.holds_lines for known in seen.known):
            held = held_records(seen, "held", seen.file.identity)
            yield from self._hold(opened.file, hour, held)
            return
        self.records[hour].append(self._record(opened, is_unreadable=is_unreadable))

    def _hold(
        self, file: ToRead, hour: datetime, held: Sequence[FileRecord]
    ) -> Iterator[pl.DataFrame]:
        """What the file held before, which stays."""
        self.records[hour] += held
        yield from self.keep(held, file.stored, {})

    def _record(self, opened: _Opened, *, is_unreadable: bool) -> FileRecord:
        seen, counts = opened.file.seen, opened.counts
        suppressed, sealed = self._kept_out.get(seen.file.path, (0, 0))
        unused = counts.quarantined
        record = FileRecord(
            opened.file.origin.source, seen.file.path, "telemetry", opened.file.read_by
        )
        return replace(
            record,
            state="unreadable" if is_unreadable else "read",
            bytes=seen.file.size if counts.error else opened.content.bytes,
            content_hash="" if counts.error else opened.content.finish(),
            lines=counts.lines,
            rows=None if counts.lines else 0,
            quarantined=unused,
            quarantined_on_read=unused,
            suppressed=suppressed,
            sealed=sealed,
            is_truncated=counts.truncated or (counts.unreadable and not is_unreadable),
            identity=seen.file.identity,
            is_young=opened.is_young,
            arrived_at=seen.file.arrived_at,
        )
