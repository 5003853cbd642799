"""Reads files of an hour to rows of `raw_telemetry`, quarantined lines and records of the ledger.

Belongs here: one file's way into the tables, and the stored lines of files that cannot be opened
any more. Does not: which files are read (`hour_files.py`), how a file becomes rows (`parse.py`).
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl
from obstore.exceptions import PermissionDeniedError

from kpi_platform.arrivals.hour_files import HourFiles, Seen
from kpi_platform.arrivals.telemetry.parse import Origin, parse_blocks
from kpi_platform.engine.file_ledger import FileRecord
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing, LandingFile

LINES_AT_A_TIME = 100_000
# What one file can be alone in; whatever else goes wrong is the place's fault and fails the hour.
UNOPENABLE = (FileNotFoundError, PermissionError, IsADirectoryError, PermissionDeniedError)
BAD, RAW = "quarantined_events", "raw_telemetry"
_STAGE = pl.col("p_stage") == "read"


class Hashing:
    """Passes a file's bytes on and hashes them on the way."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._digest = hashlib.sha256()
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._digest.update(block)
            self.bytes += len(block)
            yield block

    def finish(self) -> str:
        """The hash of all bytes, those that nobody asked for included."""
        for _ in self:
            pass
        return self._digest.hexdigest()


def hash_file(landing: Landing, path: str) -> str:
    """The hash of a file's bytes. Raises one of UNOPENABLE."""
    return Hashing(landing.stream(path)).finish()


@dataclass
class StoredLines:
    """The lines of files of an hour as the tables hold them."""

    lake: Lake
    hour: datetime

    def rows(self, paths: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Rows of `raw_telemetry`, some at a time."""
        chosen = self.lake.scan_hours(RAW, [self.hour]).filter(pl.col("file_name").is_in(paths))
        yield from chosen.collect_batches(chunk_size=LINES_AT_A_TIME, maintain_order=False)

    def quarantined(self, paths: Sequence[str]) -> pl.DataFrame:
        """Rows of `quarantined_events` that were found when the files were read."""
        chosen = self.lake.scan_hours(BAD, [self.hour]).filter(
            _STAGE, pl.col("file_name").is_in(paths)
        )
        return chosen.collect()

    def counts(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Per source and file: all lines, and those of them that are quarantined."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for table, condition in ((RAW, pl.lit(value=True)), (BAD, _STAGE)):
            rows = self.lake.scan_hours(table, [self.hour]).filter(condition)
            counted = rows.group_by("source", "file_name").agg(pl.len()).collect()
            for source, path, lines in counted.iter_rows():
                all_lines, bad = found.get((source, path), (0, 0))
                found[source, path] = all_lines + lines, bad + lines * (table == BAD)
        return found


@dataclass
class HourReading:
    """An hour's files while they are read: the records so far, and the lines of no use."""

    landing: Landing
    stored: StoredLines
    files: HourFiles
    records: list[FileRecord] = field(default_factory=list)
    quarantined: list[pl.DataFrame] = field(default_factory=list)

    def keep(
        self, records: Sequence[FileRecord], renamed: dict[str, str]
    ) -> Iterator[pl.DataFrame]:
        """The stored rows of files that stay, under the source that each now belongs to."""
        paths = [record.path for record in records if record.holds_lines]
        names = pl.col("file_name").replace_strict(renamed, default=pl.col("source"))
        source = names if renamed else pl.col("source")
        for rows in self.stored.rows(paths) if paths else ():
            yield rows.with_columns(source=source)
        if paths:
            self.quarantined.append(self.stored.quarantined(paths).with_columns(source=source))

    def read(
        self, seen: Seen, origin: Origin, read_by: str, *, may_go: bool
    ) -> Iterator[pl.DataFrame]:
        """The rows of a file, block by block; of one that cannot be opened, what it held before."""
        record = FileRecord(origin.source, seen.file.path, "telemetry", read_by)
        content = Hashing(self.landing.stream(seen.file.path))
        # Before it is opened: whatever changes from here on is seen by its looks.
        is_young = seen.file.is_young(time.time_ns())
        bad: list[pl.DataFrame] = []
        lines = rows = 0
        try:
            for block in parse_blocks(content, origin):
                lines, rows = lines + block.lines, rows + block.rows.height
                record = replace(
                    record, is_truncated=block.truncated, state=_state(block.unreadable)
                )
                bad.append(block.quarantined)
                if block.rows.height:
                    yield block.rows
            record = replace(record, content_hash=content.finish(), bytes=content.bytes)
        except UNOPENABLE as error:
            if lines:
                raise
            record = replace(record, state="unreadable", bytes=seen.file.size)
            if isinstance(error, FileNotFoundError):
                yield from self._gone(seen, may_go=may_go)
                return
        if record.state == "unreadable" and any(known.holds_lines for known in seen.known):
            yield from self._hold(seen, "held", seen.file)
            return
        self.quarantined += bad
        self.records.append(
            replace(
                record,
                lines=lines,
                rows=None if lines else 0,
                quarantined=lines - rows,
                quarantined_on_read=lines - rows,
                identity=seen.file.identity,
                is_young=is_young,
            )
        )

    def _gone(self, seen: Seen, *, may_go: bool) -> Iterator[pl.DataFrame]:
        if seen.was is not None and seen.was.state != "unreadable":
            yield from self._hold(seen, "forgotten" if may_go else "held", None)

    def _hold(self, seen: Seen, state: str, file: LandingFile | None) -> Iterator[pl.DataFrame]:
        """What the file held before, which stays; `file` as it looks now, None if it is gone."""
        identity = "" if file is None else file.identity
        held = [replace(r, state=state, identity=identity, is_young=False) for r in seen.known]
        self.records += held
        yield from self.keep(held, {})


def _state(is_unreadable: bool) -> str:
    return "unreadable" if is_unreadable else "read"
