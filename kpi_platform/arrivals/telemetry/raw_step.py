"""Brings `raw_telemetry` up to date for hours whose files are new, changed or gone.

Belongs here: what of an hour is written anew, and the order of commits. Does not: which files are
read (`hour_files.py`), and how they become rows (`hour_reading.py`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Self

import polars as pl
from deltalake.exceptions import DeltaError

from kpi_platform.arrivals.closed_hours import CLOSED_MARK, closed_sources
from kpi_platform.arrivals.hour_files import (
    ADOPTED,
    HourFiles,
    believe,
    judge_files,
    look_at_young,
    recounted,
    take_same,
    with_past,
)
from kpi_platform.arrivals.ledger_rows import ledger_rows
from kpi_platform.arrivals.stored_lines import BAD, StoredLines, with_rows
from kpi_platform.arrivals.telemetry.dropped_files import (
    as_they_were_owned,
    can_be_read_anew,
    corrections,
    judge_dropped,
    read_all,
    refuse,
    refused_days,
)
from kpi_platform.arrivals.telemetry.hour_reading import FilesReading, NotThereAnewError, ToRead
from kpi_platform.arrivals.telemetry.parsing.parse import Origin
from kpi_platform.engine.admission import Marks
from kpi_platform.engine.books.file_ledger import (
    FileRecord,
    FilesChangedError,
    hour_content,
    read_files,
    write_files,
)
from kpi_platform.engine.books.hour_fingerprints import newest_hour, read_consumed
from kpi_platform.engine.books.hour_ledger import mark_failed, read_ledger, write_ledger
from kpi_platform.engine.books.kept_days import closed_days
from kpi_platform.engine.books.seals import LateFiles, dropped_hours, forget_dropped, refused_lines
from kpi_platform.engine.hour_steps import Done
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.sources_file.sources import UNASSIGNED, Sources
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, hours_of, named
from kpi_platform.storage.lake.spool import Spool
from kpi_platform.storage.landing.landing import Landing, LandingFile

VERSION = "4"
_TRIES = 3
# A longer list of names costs more than to write the hour anew.
_MOST_NAMES = 200


@dataclass(frozen=True)
class ArrivalLimits:
    """How far an event's time may lie before and after its ingest hour."""

    late: timedelta
    future: timedelta


class RawStep:
    """The hourly work of `raw_telemetry`, its quarantined lines and the ledgers' first figures."""

    table = "raw_telemetry"
    hours_stand_alone = True

    def __init__(
        self,
        lake: Lake,
        landing: Landing,
        sources: Sources,
        limits: ArrivalLimits,
        kept_days: int | None = None,
    ) -> None:
        self._lake = lake
        self._landing = landing
        self._sources = sources
        self._limits = limits
        self._listings = sources.overwriting()
        self._kept_days = kept_days
        self._listed: dict[datetime, list[LandingFile]] = {}
        self._files: dict[datetime, HourFiles] = {}
        self._hashed: dict[str, str] = {}
        self._owners_of: dict[str, dict[str, str]] = {}
        self._closed: dict[datetime, set[str]] = {}
        self._found: list[str] = []
        self._trusted: set[datetime] = set()
        self._oldest_kept: datetime | None = None
        self._late = LateFiles(lake, frozenset(), {}, (limits.late, limits.future))
        self._dropped: set[datetime] = set()
        self._anew: set[datetime] = set()
        self._hopeless: set[datetime] = set()

    @classmethod
    def of(cls, platform: Platform, lake: Lake | None = None) -> Self:
        """The step as the settings have it, in the platform's lake or another."""
        settings = platform.settings
        limits = ArrivalLimits(settings.late_limit, settings.future_limit)
        return cls(
            lake or platform.lake,
            platform.landing,
            platform.sources,
            limits,
            settings.landing_kept_days,
        )

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """How each hour's files look, those that are held, and the settings that decide."""
        consumed = read_consumed(self._lake, self.table, hours)
        newest = newest_hour(self._lake, self.table) if self._kept_days is not None else None
        if newest is not None:
            kept = timedelta(days=self._kept_days or 0)
            self._oldest_kept = newest + timedelta(hours=1) - kept
        self._list(hours)
        self._judge(hours, consumed)
        return {hour: self._input(hour) for hour in hours}

    def weight(self, hour: datetime) -> int:
        """Bytes of the hour's files."""
        return sum(file.size for file in self._listed[hour])

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, self._expected(hour))

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the rows of the hours' changed files, then their read-stage quarantine, then
        their ledger rows.

        Files that only look different, or are gone, change no row.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._run(hours)
            except FilesChangedError as error:
                if isinstance(error, NotThereAnewError):
                    self._hopeless.add(error.hour)
                # Neither what the ledger says nor what the table holds is known any more.
                self._list(hours)
                self._judge(hours, ())
        return self._run(hours)

    def _run(self, hours: Sequence[datetime]) -> dict[datetime, Done]:
        if dropped_hours(self._lake, hours) != self._dropped.intersection(hours):
            raise FilesChangedError("lines of these hours went, or came back, meanwhile")
        for hour in hours:
            take_same(self._files[hour], self._owners_then(hour), lambda: self._landing)
        # Asked now: they may have been closed since the files were judged.
        closed = closed_days(self._lake)
        if closed:
            self._hopeless |= {hour for hour in hours if hour < closed.before}
        self._anew = {hour for hour in hours if hour in self._dropped and self._corrected(hour)}
        self._dropped -= self._anew
        same = {hour for hour in hours if self._is_same(hour)}
        read = {
            hour: [*self._files[hour].kept, *self._files[hour].missing] for hour in same
        } | self._write([hour for hour in hours if hour not in same])
        # From here on their lines can be read back, as those of any hour.
        forget_dropped(self._lake, self._anew)
        after = {hour: self._records(hour, read[hour]) for hour in hours}
        write_files(
            self._lake,
            "telemetry",
            {hour: (self._files[hour].known, after[hour]) for hour in hours},
        )
        self._write_ledger(after, same)
        return {hour: self._done(hour, after[hour], is_unchanged=hour in same) for hour in hours}

    def _corrected(self, hour: datetime) -> bool:
        """Whether an hour whose lines are gone is to be read anew as a whole; if files came in
        place of others and it cannot be, they are refused."""
        found = self._files[hour]
        if not corrections(found):
            return False
        if hour not in self._hopeless and can_be_read_anew(found, self._landing):
            read_all(found, self._listed[hour])
            return True
        refuse(found, self._owners, self._listings, self._landing)
        return False

    def _list(self, hours: Sequence[datetime]) -> None:
        self._listed = {hour: [] for hour in hours}
        self._closed = {hour: set() for hour in hours}
        folders = self._landing.folders()
        self._found = sorted({self._sources.source_of_folder(folder) for folder in folders})
        for of_folder in self._landing.list_folders(folders, hours).values():
            for hour, files in of_folder.items():
                self._listed[hour] += [file for file in files if file.is_readable]
                self._closed[hour] |= closed_sources(files, self._sources)

    def _judge(self, hours: Sequence[datetime], trusted: Iterable[datetime]) -> None:
        """Judge the hours' files; of those not `trusted` the table may hold anything."""
        known = read_files(self._lake, hours, "telemetry")
        self._late = LateFiles.of(self._lake, hours, self._late.reach)
        self._dropped = dropped_hours(self._lake, hours)
        # Whatever a run that was killed left there, it is not the rows that records tell of.
        self._trusted = {*trusted, *self._dropped}
        self._hashed = {}
        unknown = with_rows(self._lake, self.table, [h for h in hours if not known[h]])
        for hour in hours:
            found = self._judged(hour, known[hour])
            if hour in unknown:
                stored = StoredLines(self._lake, hour).counts()
                found.missing += self._adopted(hour, stored)
                found.stored = frozenset(path for _, path in stored)
            if hour in self._trusted:
                self._hashed |= look_at_young(found, self._listed[hour], lambda: self._landing)
            self._files[hour] = found

    def _judged(self, hour: datetime, known: Sequence[FileRecord]) -> HourFiles:
        may_go, overwriting = self._may_go(hour), self._listings
        if hour in self._dropped:
            listed = self._listed[hour]
            return judge_dropped(listed, known, self._owners, overwriting, may_go=may_go)
        believed = list(known)
        is_trusted = hour in self._trusted
        if not is_trusted and known:
            counts = StoredLines(self._lake, hour).counts()
            believed = [believe(record, counts) for record in known]
        found = judge_files(
            self._listed[hour],
            believed,
            self._owners,
            overwriting,
            may_go=may_go,
            is_trusted=is_trusted,
        )
        found.known = list(known)
        found.missing = [
            replace(record, source=self._source(record.path)) for record in found.missing
        ]
        return found

    def _adopted(
        self, hour: datetime, stored: Mapping[tuple[str, str], tuple[int, int]]
    ) -> list[FileRecord]:
        """The files whose lines an earlier release read and that are gone, as the tables tell."""
        listed = {file.path for file in self._listed[hour]}
        state = "forgotten" if self._may_go(hour) else "held"
        return [
            recounted(FileRecord(source, path, "telemetry", ADOPTED, state), counted)
            for (source, path), counted in sorted(stored.items())
            if path not in listed
        ]

    def _is_same(self, hour: datetime) -> bool:
        found = self._files[hour]
        return not (found.look or found.leaving or self._moved(hour)) and bool(
            found.known or hour in self._trusted
        )

    def _moved(self, hour: datetime) -> dict[str, str]:
        """Files whose lines stay, though they are gone, under another source than they had."""
        if hour in self._dropped:
            return {}
        before = {record.path: record.source for record in self._files[hour].known}
        return {
            record.path: record.source
            for record in self._files[hour].missing
            if before.get(record.path, record.source) != record.source
        }

    def _write(self, hours: Sequence[datetime]) -> dict[datetime, list[FileRecord]]:
        """Write hours of which much is known file by file, the others whole; their records."""
        paths = {hour: self._few_paths(hour) for hour in hours}
        whole = [hour for hour in hours if paths[hour] is None]
        records: dict[datetime, list[FileRecord]] = {}
        if whole:
            records |= self._write_some(whole, None)
        for hour, few in paths.items():
            if few is not None:
                records |= self._write_some([hour], few)
        return records

    def _write_some(
        self, hours: Sequence[datetime], few: list[str] | None
    ) -> dict[datetime, list[FileRecord]]:
        """Write hours whole, or few files of one."""
        where = "" if few is None else named("file_name", few)
        marks = Marks(sealed=refused_lines(self._refused(hours)))
        with Spool(TABLES[BAD].polars_schema) as spool:
            reading = FilesReading(self._landing, spool, marks)

            def frames() -> Iterator[pl.DataFrame]:
                nonlocal reading
                spool.clear()
                reading = FilesReading(self._landing, spool, marks)
                # Opened now: while Delta writes, it cannot open a table.
                stored = {hour: self._stored(hour) for hour in hours}
                return self._rows(hours, reading, stored, is_whole=few is None)

            try:
                self._lake.stream_hours(self.table, frames, hours, where)
            except DeltaError as error:
                if reading.not_there is not None:
                    raise NotThereAnewError(reading.not_there) from error
                raise
            if reading.quarantined or self._has_bad(hours, few):
                where = "p_stage = 'read'" + (f" AND {where}" if where else "")
                self._lake.stream_hours(BAD, spool.frames, hours, where)
        return {hour: reading.records[hour] for hour in hours}

    def _refused(self, hours: Sequence[datetime]) -> dict[str, frozenset[date]]:
        """Per file that is to be read the sealed days whose lines it may not bring; that it came
        after them is noted."""
        refused: dict[str, frozenset[date]] = {}
        for hour in hours:
            came = refused_days(self._files[hour], hour, self._late, self._owners, self._listings)
            self._late.note(hour, came)
            refused |= came
        return refused

    def _stored(self, hour: datetime) -> StoredLines | None:
        found = self._files[hour]
        is_known = any(r.holds_lines for r in (*found.known, *found.missing))
        return StoredLines(self._lake, hour) if is_known else None

    def _few_paths(self, hour: datetime) -> list[str] | None:
        """The files that are to be written by themselves; None if the hour is written whole."""
        found = self._files[hour]
        stays = any(record.holds_lines for record in (*found.kept, *found.missing))
        paths = {*(s.file.path for s in found.look), *(r.path for r in found.leaving)}
        if not stays or hour not in self._trusted or self._moved(hour):
            return None
        return sorted(paths) if len(paths) <= _MOST_NAMES else None

    def _with_closed(self, rows: pl.DataFrame, hour: datetime, known: pl.DataFrame) -> pl.DataFrame:
        """Ledger rows with what is closed: once seen, it counts."""
        before = known.filter(pl.col("is_closed").fill_null(value=False))["source"].to_list()
        closed = sorted({*before, *self._closed[hour]})
        is_closed = pl.col("source").is_in(closed)
        return rows.with_columns(is_closed=pl.when(is_closed).then(pl.lit(value=True)))

    def _rows(
        self,
        hours: Sequence[datetime],
        reading: FilesReading,
        stored: Mapping[datetime, StoredLines | None],
        *,
        is_whole: bool,
    ) -> Iterator[pl.DataFrame]:
        for hour in hours:
            stays = [*self._files[hour].kept, *self._files[hour].missing]
            reading.records[hour] += stays
            if is_whole:
                yield from reading.keep(stays, stored[hour], self._moved(hour))
        yield from reading.read(self._to_read(hours, stored))

    def _to_read(
        self, hours: Sequence[datetime], stored: Mapping[datetime, StoredLines | None]
    ) -> Iterator[ToRead]:
        formats = self._sources.formats()
        limits = (self._limits.late, self._limits.future)
        for hour in hours:
            for seen in self._files[hour].look:
                path = seen.file.path
                ((source, read_by),) = self._owners(path).items()
                written = formats.get(seen.file.folder, "auto")
                origin = Origin(source, path, hour, *limits, written)
                is_anew = hour in self._anew
                yield ToRead(seen, origin, read_by, stored[hour], self._may_go(hour), is_anew)

    def _has_bad(self, hours: Sequence[datetime], few: list[str] | None) -> bool:
        stored = self._lake.scan_hours(BAD, hours).filter(pl.col("p_stage") == "read")
        if few is not None:
            stored = stored.filter(pl.col("file_name").is_in(few))
        return bool(stored.head(1).collect().height)

    def _records(self, hour: datetime, now: list[FileRecord]) -> list[FileRecord]:
        """The hour's records after the run; what became of its lines is only kept if lines were
        added and none went."""
        found = self._files[hour]
        is_known = hour in self._dropped or self._is_same(hour)
        if not is_known and not self._only_added(hour, now):
            now = [record.waiting() if record.lines else record for record in now]
        return with_past(found, now)

    def _only_added(self, hour: datetime, now: Sequence[FileRecord]) -> bool:
        found = self._files[hour]
        lost = any(known.holds_lines for seen in found.look for known in seen.known)
        return (
            hour in self._trusted
            and self._few_paths(hour) is not None
            and not found.leaving
            and not lost
            and any(record.rows is None for record in now)
        )

    def _write_ledger(
        self, after: Mapping[datetime, Sequence[FileRecord]], same: Collection[datetime]
    ) -> None:
        hours = list(after)
        known = hours_of(read_ledger(self._lake, hours, "telemetry"), hours)
        rows = [
            self._with_closed(
                ledger_rows(
                    hour, "telemetry", files, known[hour], self._expected(hour), self._looks(hour)
                ),
                hour,
                known[hour],
            )
            for hour, files in after.items()
        ]
        known_ones = {*same, *self._dropped}
        added = {h for h in hours if h in known_ones or self._only_added(h, after[h])}
        write_ledger(self._lake, pl.concat(rows), hours, "telemetry", added)

    def _done(self, hour: datetime, files: Sequence[FileRecord], *, is_unchanged: bool) -> Done:
        rows = sum(file.raw_rows for file in files if file.is_current)
        if hour in self._dropped:
            rows = 0
        return Done(hour_content(files), rows, is_unchanged=is_unchanged)

    def _owners(self, path: str) -> dict[str, str]:
        """The source of a file, and the settings under which it is read."""
        folder = path.split("/", 1)[0]
        if folder not in self._owners_of:
            source = self._sources.source_of_folder(folder)
            written = self._sources.formats().get(folder, "auto")
            read_by = fingerprint(VERSION, repr(self._limits), source, written)
            self._owners_of[folder] = {source: read_by}
        return self._owners_of[folder]

    def _owners_then(self, hour: datetime) -> Callable[[str], Mapping[str, str]]:
        """The same; of files whose lines are gone, as it was when they were read."""
        if hour in self._dropped:
            return as_they_were_owned(self._files[hour].known, self._owners)
        return self._owners

    def _source(self, path: str) -> str:
        (source,) = self._owners(path)
        return source

    def _may_go(self, hour: datetime) -> bool:
        return self._oldest_kept is not None and hour < self._oldest_kept

    def _input(self, hour: datetime) -> str:
        found = self._files[hour]
        if hour in self._dropped:
            # No setting and no version of ours has such an hour run again.
            return fingerprint("dropped", *found.marks(self._hashed), *sorted(self._closed[hour]))
        folders = {file.folder for file in self._listed[hour]}
        folders |= {record.path.split("/", 1)[0] for record in found.missing}
        mapping = [(folder, self._owners(folder)) for folder in sorted(folders)]
        return fingerprint(
            VERSION,
            repr(self._limits),
            repr(mapping),
            repr(self._expected(hour)),
            *found.marks(self._hashed),
            *sorted(self._closed[hour]),
        )

    def _expected(self, hour: datetime) -> list[str]:
        """Sources that get a ledger row even if they delivered nothing.

        Where none is configured for the hour, those with a folder stand in, or, if no warehouse
        or feed is active either, one for nobody: an hour that was looked at must not look like
        one that never ran.
        """
        held = {record.source for record in self._files[hour].missing}
        telemetry = sorted(self._sources.active_in(hour, "telemetry") or {*self._found, *held})
        return telemetry or ([] if self._sources.active_in(hour) else [UNASSIGNED])

    def _looks(self, hour: datetime) -> dict[str, str]:
        """Per source a hash of its files as they were listed, by which sensors know them."""
        by_source: dict[str, list[LandingFile]] = {}
        for file in self._listed[hour]:
            by_source.setdefault(self._source(file.path), []).append(file)
        looks = {
            source: fingerprint(*(f"{file.path} {file.size} {file.etag}" for file in files))
            for source, files in by_source.items()
        }
        closed = {source: looks.get(source, fingerprint()) for source in self._closed[hour]}
        return looks | {source: look + CLOSED_MARK for source, look in closed.items()}
