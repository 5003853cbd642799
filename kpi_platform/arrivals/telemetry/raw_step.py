"""Brings `raw_telemetry` up to date for hours whose files are new, changed or gone.

Belongs here: which files make an hour, in bounded memory, and the ledger's first figures. Does
not: how a file becomes rows, which is `parse.py`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Self

import polars as pl

from kpi_platform.arrivals.closed_hours import CLOSED_MARK, closed_sources
from kpi_platform.arrivals.telemetry.parse import (
    FileCounts,
    Origin,
    TelemetryFile,
    parse_files,
)
from kpi_platform.engine.hour_fingerprints import Consumed, read_consumed
from kpi_platform.engine.hour_ledger import (
    empty_rows,
    mark_failed,
    read_ledger,
    write_ledger,
)
from kpi_platform.engine.hour_steps import Done
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.sources import UNASSIGNED, Sources
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, hours_of
from kpi_platform.storage.lake.spool import Spool
from kpi_platform.storage.landing.landing import Landing, LandingFile

VERSION = "3"


@dataclass(frozen=True)
class ArrivalLimits:
    """How far an event's time may lie before and after its ingest hour."""

    late: timedelta
    future: timedelta


@dataclass
class _Tally:
    """What was read of one source in one hour."""

    files: int = 0
    truncated_files: int = 0
    unreadable_files: int = 0
    bytes: int = 0
    lines: int = 0
    rows: int = 0
    contents: list[str] = field(default_factory=list)

    def add(self, counts: FileCounts, file: "_Reading") -> None:
        """Count a file that was read to its end."""
        self.files += 1
        self.bytes += file.content.bytes
        self.lines += counts.lines
        self.rows += counts.rows
        self.truncated_files += counts.truncated
        self.unreadable_files += counts.unreadable
        self.contents.append(file.content.content(file.file))


class _Hashing:
    """Passes a file's bytes on and hashes them on the way."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.is_gone = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for block in self._blocks:
                self._digest.update(block)
                self.bytes += len(block)
                yield block
        except FileNotFoundError:
            # Gone since it was listed: the hour's contents are now those without it.
            self.is_gone = True

    def content(self, file: LandingFile) -> str:
        """What identifies the file's contribution: its path and its contents."""
        for _ in self:
            pass
        return f"{file.path}\n{self._digest.hexdigest()}"


class _Reading(NamedTuple):
    """A file that is being read, and whose it is."""

    file: LandingFile
    hour: datetime
    source: str
    content: _Hashing


class RawStep:
    """The hourly work of `raw_telemetry`, its quarantined lines and the start of the ledger."""

    table = "raw_telemetry"
    hours_stand_alone = True

    def __init__(
        self, lake: Lake, landing: Landing, sources: Sources, limits: ArrivalLimits
    ) -> None:
        self._lake = lake
        self._landing = landing
        self._sources = sources
        self._limits = limits
        self._files: dict[datetime, list[LandingFile]] = {}
        self._closed: dict[datetime, set[str]] = {}
        self._found: list[str] = []
        self._consumed: Mapping[datetime, Consumed] = {}

    @classmethod
    def of(cls, platform: Platform, lake: Lake | None = None) -> Self:
        """The step as the settings have it, in the platform's lake or another."""
        settings = platform.settings
        limits = ArrivalLimits(settings.late_limit, settings.future_limit)
        return cls(lake or platform.lake, platform.landing, platform.sources, limits)

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """Names, sizes and ETags of each hour's files, and the settings that decide about them."""
        self._consumed = read_consumed(self._lake, self.table, hours)
        self._files = {hour: [] for hour in hours}
        self._closed = {hour: set() for hour in hours}
        folders = self._landing.folders()
        self._found = sorted({self._sources.source_of_folder(folder) for folder in folders})
        for folder in folders:
            for hour, files in self._landing.list_hours(folder, hours).items():
                self._files[hour] += [file for file in files if file.is_readable]
                self._closed[hour] |= closed_sources(files, self._sources)
        return {hour: self._input(hour) for hour in hours}

    def weight(self, hour: datetime) -> int:
        """Bytes of the hour's files."""
        return sum(file.size for file in self._files[hour])

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, self._expected(hour))

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' rows, then their read-stage quarantine, then their ledger rows.

        An hour whose files were written again with the same contents is not written.
        """
        same = [hour for hour in hours if self._is_same(hour)]
        changed = [hour for hour in hours if hour not in same]
        if same:
            self._refresh_ledger(same)
        done = {
            hour: Done(known.content, known.rows, is_unchanged=True)
            for hour, known in self._consumed.items()
            if hour in same
        }
        return done | (self._replace(changed) if changed else {})

    def _refresh_ledger(self, hours: Sequence[datetime]) -> None:
        """Note how the files look now, and sources that became active: no line has changed."""
        refreshed = []
        for hour, known in hours_of(read_ledger(self._lake, hours, "telemetry"), hours).items():
            new = empty_rows(hour, set(self._expected(hour)) - set(known["source"]))
            rows = pl.concat([known, new.select(known.columns)])
            looks = [self._source_fingerprint(hour, source) for source in rows["source"]]
            rows = rows.with_columns(fingerprint=pl.Series(looks, dtype=pl.String))
            refreshed.append(self._with_closed(rows, hour, known))
        write_ledger(self._lake, pl.concat(refreshed), hours, "telemetry")

    def _replace(self, hours: Sequence[datetime]) -> dict[datetime, Done]:
        counted: list[tuple[FileCounts, _Reading]] = []
        quarantine = "quarantined_events"
        with Spool(TABLES[quarantine].polars_schema) as spool:

            def frames() -> Iterator[pl.DataFrame]:
                spool.clear()
                counted.clear()
                yield from self._rows(hours, spool, counted)

            self._lake.stream_hours(self.table, frames, hours)
            self._lake.stream_hours(quarantine, spool.frames, hours, "p_stage = 'read'")
        tallies: dict[datetime, dict[str, _Tally]] = {hour: defaultdict(_Tally) for hour in hours}
        for counts, reading in counted:
            if not reading.content.is_gone:
                tallies[reading.hour][reading.source].add(counts, reading)
        known = self._known_closed(hours)
        rows = pl.concat(
            [
                self._with_closed(self._ledger(hour, tallies[hour]), hour, known[hour])
                for hour in hours
            ]
        )
        write_ledger(self._lake, rows, hours, "telemetry")
        return {hour: self._done(tallies[hour]) for hour in hours}

    def _known_closed(self, hours: Sequence[datetime]) -> dict[datetime, pl.DataFrame]:
        """The ledger's rows, by which it knows of closed hours; none where nobody closes any."""
        if not self._sources.running():
            return dict.fromkeys(hours, pl.DataFrame(schema=TABLES["hour_ledger"].polars_schema))
        return hours_of(read_ledger(self._lake, hours, "telemetry"), hours)

    def _with_closed(self, rows: pl.DataFrame, hour: datetime, known: pl.DataFrame) -> pl.DataFrame:
        """Ledger rows with what is closed: once seen, it counts."""
        before = known.filter(pl.col("is_closed").fill_null(value=False))["source"].to_list()
        closed = sorted({*before, *self._closed[hour]})
        is_closed = pl.col("source").is_in(closed)
        return rows.with_columns(is_closed=pl.when(is_closed).then(pl.lit(value=True)))

    def _rows(
        self,
        hours: Sequence[datetime],
        spool: Spool,
        counted: list[tuple[FileCounts, _Reading]],
    ) -> Iterator[pl.DataFrame]:
        """The rows of the hours' files; adds lines of no use to `spool`, and each file's counts."""
        readings: list[_Reading] = []
        for part in parse_files(self._opened(hours, readings)):
            spool.add(part.quarantined)
            for counts in part.counts:
                if counts.place < len(counted):
                    before, reading = counted[counts.place]
                    counted[counts.place] = before.plus(counts), reading
                else:
                    counted.append((counts, readings[counts.place]))
            if part.rows.height:
                yield part.rows

    def _opened(
        self, hours: Sequence[datetime], readings: list[_Reading]
    ) -> Iterator[TelemetryFile]:
        """The hours' files, one after the other; each is added to `readings` too."""
        formats = self._sources.formats()
        for hour in hours:
            for file in self._files[hour]:
                source = self._sources.source_of_folder(file.folder)
                content = _Hashing(self._landing.stream(file.path))
                readings.append(_Reading(file, hour, source, content))
                written = formats.get(file.folder, "auto")
                limits = (self._limits.late, self._limits.future)
                yield TelemetryFile(Origin(source, file.path, hour, *limits, written), content)

    def _is_same(self, hour: datetime) -> bool:
        """Whether the files, though listed differently, hold what the table already has."""
        known = self._consumed.get(hour)
        if known is None:
            return False
        readings = [(file, _Hashing(self._landing.stream(file.path))) for file in self._files[hour]]
        try:
            contents = [content.content(file) for file, content in readings]
        except PermissionError:
            return False
        is_gone = any(content.is_gone for _, content in readings)
        return not is_gone and self._content(contents) == known.content

    def _content(self, contents: Sequence[str]) -> str:
        folders = {content.split("/", 1)[0] for content in contents}
        return fingerprint(
            VERSION, repr(self._limits), repr(self._mapping(folders)), *sorted(contents)
        )

    def _mapping(self, folders: Iterable[str]) -> list[tuple[str, str, str]]:
        """Which source each of the folders belongs to, and how it is written: others cannot change
        what an hour holds."""
        formats = self._sources.formats()
        return [
            (folder, self._sources.source_of_folder(folder), formats.get(folder, "auto"))
            for folder in sorted(folders)
        ]

    def _input(self, hour: datetime) -> str:
        return fingerprint(
            VERSION,
            repr(self._limits),
            repr(self._mapping({file.folder for file in self._files[hour]})),
            repr(self._expected(hour)),
            *sorted(self._closed[hour]),
            *(f"{file.path} {file.size} {file.etag}" for file in self._files[hour]),
        )

    def _expected(self, hour: datetime) -> list[str]:
        """Sources that get a ledger row even if they delivered nothing.

        Where none is configured for the hour, those with a folder stand in, or, if no warehouse
        or feed is active either, one for nobody: an hour that was looked at must not look like
        one that never ran.
        """
        telemetry = sorted(self._sources.active_in(hour, "telemetry")) or self._found
        return telemetry or ([] if self._sources.active_in(hour) else [UNASSIGNED])

    def _done(self, tallies: Mapping[str, _Tally]) -> Done:
        contents = [content for tally in tallies.values() for content in tally.contents]
        return Done(self._content(contents), sum(tally.rows for tally in tallies.values()))

    def _ledger(self, hour: datetime, tallies: Mapping[str, _Tally]) -> pl.DataFrame:
        rows = empty_rows(hour, {*self._expected(hour), *tallies})
        read = pl.DataFrame(
            [
                {
                    "source": source,
                    "files": tally.files,
                    "truncated_files": tally.truncated_files,
                    "unreadable_files": tally.unreadable_files,
                    "bytes": tally.bytes,
                    "lines": tally.lines,
                    "quarantined_on_read": tally.lines - tally.rows,
                    "quarantined": tally.lines - tally.rows,
                    "rows": None,
                    "fingerprint": self._source_fingerprint(hour, source),
                }
                for source, tally in sorted(tallies.items())
            ],
            schema_overrides={"rows": pl.Int64, "source": pl.String, "fingerprint": pl.String},
        )
        return rows if read.is_empty() else rows.update(read, on="source", include_nulls=True)

    def _source_fingerprint(self, hour: datetime, source: str) -> str:
        looks = fingerprint(
            *(
                f"{file.path} {file.size} {file.etag}"
                for file in self._files[hour]
                if self._sources.source_of_folder(file.folder) == source
            )
        )
        return looks + CLOSED_MARK if source in self._closed[hour] else looks
