"""Reads files of an hour to rows of `raw_telemetry`, quarantined lines and records of the ledger.

Belongs here: one file's way into the tables, and the stored lines of files that cannot be opened
any more. Does not: which files are read (`hour_files.py`), how a file becomes rows (`parse.py`).
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from kpi_platform.arrivals.file_hashes import UNOPENABLE, Hashing
from kpi_platform.arrivals.hour_files import HourFiles, Seen, held_records
from kpi_platform.arrivals.stored_lines import StoredLines
from kpi_platform.arrivals.telemetry.parse import Origin, parse_blocks
from kpi_platform.engine.admission import NO_MARKS, Marks, admit
from kpi_platform.engine.file_ledger import FileRecord
from kpi_platform.storage.landing.landing import Landing


@dataclass
class HourReading:
    """An hour's files while they are read: the records so far, and the lines of no use.

    `stored`: what the tables hold of it; None if nothing is known of the hour.
    """

    landing: Landing
    stored: StoredLines | None
    files: HourFiles
    marks: Marks = NO_MARKS
    records: list[FileRecord] = field(default_factory=list)
    quarantined: list[pl.DataFrame] = field(default_factory=list)

    def keep(
        self, records: Sequence[FileRecord], renamed: dict[str, str]
    ) -> Iterator[pl.DataFrame]:
        """The stored rows of files that stay, under the source that each now belongs to."""
        stored = self.stored
        paths = [record.path for record in records if record.holds_lines]
        if stored is None or not paths:
            return
        names = pl.col("file_name").replace_strict(renamed, default=pl.col("source"))
        source = names if renamed else pl.col("source")
        for rows in stored.rows(paths):
            yield rows.with_columns(source=source)
        self.quarantined.append(stored.quarantined(paths).with_columns(source=source))

    def read(
        self, seen: Seen, origin: Origin, read_by: str, *, may_go: bool
    ) -> Iterator[pl.DataFrame]:
        """The rows of a file, block by block; of one that cannot be opened, what it held before."""
        record = FileRecord(origin.source, seen.file.path, "telemetry", read_by)
        content = Hashing(self.landing.stream(seen.file.path))
        # Before it is opened: whatever changes from here on is seen by its looks.
        is_young = seen.file.is_young(time.time_ns())
        bad: list[pl.DataFrame] = []
        lines = 0
        try:
            for block in parse_blocks(content, origin):
                lines += block.lines
                good, useless = (
                    admit(part, self.marks) for part in (block.rows, block.quarantined)
                )
                state = "unreadable" if block.unreadable else "read"
                record = replace(
                    record,
                    is_truncated=block.truncated,
                    state=state,
                    suppressed=record.suppressed + good.suppressed + useless.suppressed,
                    sealed=record.sealed + good.sealed + useless.sealed,
                )
                bad.append(useless.lines)
                if good.lines.height:
                    yield good.lines
            record = replace(record, content_hash=content.finish(), bytes=content.bytes)
        except UNOPENABLE as error:
            if lines:
                raise
            record = replace(record, state="unreadable", bytes=seen.file.size)
            if isinstance(error, FileNotFoundError):
                yield from self._hold(seen, "forgotten" if may_go else "held", "")
                return
        if record.state == "unreadable" and any(known.holds_lines for known in seen.known):
            yield from self._hold(seen, "held", seen.file.identity)
            return
        self.quarantined += bad
        unused = sum(part.height for part in bad)
        self.records.append(
            replace(
                record,
                lines=lines,
                rows=None if lines else 0,
                quarantined=unused,
                quarantined_on_read=unused,
                identity=seen.file.identity,
                is_young=is_young,
            )
        )

    def _hold(self, seen: Seen, state: str, identity: str) -> Iterator[pl.DataFrame]:
        """What the file held before, which stays; `identity`: how it looks now."""
        held = held_records(seen, state, identity)
        self.records += held
        yield from self.keep(held, {})
