"""Brings a feed's raw table up to date for hours whose files are new, changed or gone.

Belongs here: which files make an hour, which source a row is of, sources that cannot be read, and
the ledger. Does not: how a file becomes rows (`feed_files.py`), and what the rows mean.
"""

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, Self

import polars as pl
from obstore.exceptions import BaseError

from kpi_platform.arrivals.feeds.feed_files import BAD, READABLE, FeedRead, TextForm
from kpi_platform.arrivals.file_hashes import UNOPENABLE, Hashing
from kpi_platform.arrivals.hour_files import (
    ADOPTED,
    HourFiles,
    Seen,
    believe,
    held_records,
    judge_files,
    look_at_young,
    recounted,
    take_same,
    with_past,
)
from kpi_platform.arrivals.ledger_rows import ledger_rows
from kpi_platform.arrivals.stored_lines import BAD as BAD_LINES
from kpi_platform.arrivals.stored_lines import StoredLines, with_rows
from kpi_platform.engine.admission import NO_MARKS, admit
from kpi_platform.engine.books.file_ledger import (
    FileRecord,
    FilesChangedError,
    read_files,
    write_files,
)
from kpi_platform.engine.books.hour_fingerprints import newest_hour, read_consumed
from kpi_platform.engine.books.hour_ledger import mark_failed, read_ledger, write_ledger
from kpi_platform.engine.books.hour_queue import enqueue_hours, waiting_hours
from kpi_platform.engine.hour_steps import Done, error_line
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.sources_file.mapped_values import decode_rows, holds
from kpi_platform.schemas.sources_file.source_tables import ConsoleFeed, StreamFeed
from kpi_platform.schemas.sources_file.sources import Source, Sources
from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.texts.file_names import writers_reason
from kpi_platform.schemas.texts.row_faults import FAULTS, kept_row
from kpi_platform.storage.lake.lake import Lake, hours_in, hours_of
from kpi_platform.storage.landing.landing import Landing, LandingError, LandingFile

VERSION = "2"
_TRIES = 3
# What a store that cannot be reached raises: the sources of a folder fail with it, nobody else.
_UNREADABLE = (LandingError, BaseError, OSError)
# A row of a shared folder that no source's `only` takes.
NO_SOURCE = "no_source"


@dataclass(frozen=True)
class FeedFolder:
    """A folder and the sources that share it, as (studio, game, source)."""

    name: str
    sources: tuple[tuple[str, str, Source], ...]

    @property
    def feed(self) -> ConsoleFeed | StreamFeed:
        """The feed that says how the folder's files are written: that of its first source."""
        feed = self.sources[0][2].feed
        assert feed is not None  # noqa: S101 (folders are made of feeds)
        return feed

    def identity(self) -> str:
        """Everything that decides what its files become."""
        parts = (f"{studio} {game} {s.key} {s.feed!r}" for studio, game, s in self.sources)
        return fingerprint(self.name, *parts)


def feed_folders(sources: Sources, kind: Literal["console", "stream"]) -> list[FeedFolder]:
    """The folders of the feeds of a kind, by name."""
    shared: dict[str, list[tuple[str, str, Source]]] = {}
    for studio, game, source in sources.walk():
        if source.feed is not None and source.kind == kind and source.feed.folder is not None:
            shared.setdefault(source.feed.folder, []).append((studio, game, source))
    return [FeedFolder(name, tuple(found)) for name, found in sorted(shared.items())]


@dataclass
class HourRead:
    """What was read of one hour: rows, bad lines, the records of its files, and per source why it
    could not be read."""

    good: list[pl.DataFrame] = field(default_factory=list)
    bad: list[pl.DataFrame] = field(default_factory=list)
    records: list[FileRecord] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


class FeedStep(ABC):
    """The hourly work of one kind of feed."""

    table: str
    hours_stand_alone = True
    kind: Literal["console", "stream"]
    stage: str

    def __init__(
        self,
        lake: Lake,
        open_feeds: Callable[[], Landing],
        sources: Sources,
        kept_days: int | None = None,
    ) -> None:
        self._lake = lake
        self._open = open_feeds
        self._sources = sources
        self._folders = feed_folders(sources, self.kind)
        self._owners_of = {
            folder.name: {
                source.key: fingerprint(VERSION, folder.identity(), source.key)
                for _, _, source in folder.sources
            }
            for folder in self._folders
        }
        self._kept_days = kept_days
        self._oldest_kept: datetime | None = None
        self._trusted: set[datetime] = set()
        self._found: dict[datetime, HourFiles] = {}
        self._hashed: dict[str, str] = {}
        self._files: dict[datetime, dict[str, list[LandingFile]]] = {}
        self._errors: dict[str, str] = {}
        self._feeds: Landing | None = None

    @classmethod
    def of(cls, platform: Platform, lake: Lake | None = None) -> Self:
        """The step as the settings have it, in the platform's lake or another."""
        days = platform.settings.landing_kept_days
        return cls(lake or platform.lake, platform.open_feeds, platform.sources, days)

    @abstractmethod
    def _made(
        self, rows: pl.DataFrame, owner: tuple[str, str, Source]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The table's rows of a source's rows, and those of no use as `BAD`; ingest hour given."""

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """How each hour's files look, those that are held, and the mappings they go through."""
        self._trusted = set(read_consumed(self._lake, self.table, hours))
        newest = newest_hour(self._lake, self.table) if self._kept_days is not None else None
        if newest is not None:
            self._oldest_kept = newest + timedelta(hours=1) - timedelta(days=self._kept_days or 0)
        self._list(hours)
        self._judge(hours)
        return {hour: self._input(hour) for hour in hours}

    def _list(self, hours: Sequence[datetime]) -> None:
        self._files = {hour: {} for hour in hours}
        self._errors = {}
        for folder in self._folders:
            try:
                listed = self._landing().list_hours(folder.name, hours)
            except _UNREADABLE as error:
                self._errors[folder.name] = error_line(error)
                continue
            for hour, files in listed.items():
                found = sorted(files, key=lambda file: file.path)
                self._files[hour][folder.name] = [file for file in found if is_feed_file(file)]

    def _judge(self, hours: Sequence[datetime]) -> None:
        known = read_files(self._lake, hours, self.kind)
        self._hashed = {}
        unknown = with_rows(self._lake, self.table, [h for h in hours if not known[h]])
        for hour in hours:
            judged = self._judged(hour, known[hour])
            if hour in unknown:
                judged.missing += self._adopted(hour)
            self._found[hour] = judged

    def _judged(self, hour: datetime, known: Sequence[FileRecord]) -> HourFiles:
        """Judge the hour's files; those of a folder that cannot be listed stay as they are, those
        of a folder that no feed names any more leave."""
        believed = list(known)
        if hour not in self._trusted and known:
            # The table may hold anything of the hour.
            counts = self._stored(hour).counts()
            believed = [believe(record, counts) for record in known]
        unlisted = [r for r in believed if r.is_current and _folder(r.path) in self._errors]
        listed = [file for files in self._files[hour].values() for file in files]
        found = judge_files(
            listed,
            [record for record in believed if record not in unlisted],
            self._owners,
            self._sources.overwriting(),
            may_go=self._may_go(hour),
            is_trusted=hour in self._trusted,
        )
        found.known = list(known)
        found.kept += unlisted
        strangers = [r for r in found.missing if r.source not in self._owners(r.path)]
        found.missing = [record for record in found.missing if record not in strangers]
        found.leaving += [replace(record, state="removed") for record in strangers]
        self._hashed |= look_at_young(found, listed, self._landing)
        return found

    def _adopted(self, hour: datetime) -> list[FileRecord]:
        """The files whose rows an earlier release read and that are gone, as the tables tell."""
        there = {file.path for files in self._files[hour].values() for file in files}
        state = "forgotten" if self._may_go(hour) else "held"
        return [
            recounted(FileRecord(source, path, self.kind, ADOPTED, state), counted)
            for (source, path), counted in sorted(self._stored(hour).counts().items())
            # Rows of tables are no files'.
            if path not in there and source in self._owners(path)
        ]

    def _owners(self, path: str) -> dict[str, str]:
        """The sources that share a file, and the settings under which it is read."""
        return self._owners_of.get(_folder(path), {})

    def _stored(self, hour: datetime) -> StoredLines:
        return StoredLines(self._lake, hour, self.table, self.stage)

    def _may_go(self, hour: datetime) -> bool:
        return self._oldest_kept is not None and hour < self._oldest_kept

    def request_failed_hours(self) -> None:
        """Queue the hours in which a folder could not be read: they come along with the next."""
        failed = self._lake.scan("hour_ledger").filter(
            pl.col("kind") == self.kind, pl.col("source_error").is_not_null()
        )
        hours = set(hours_in(failed.collect()))
        _, waiting = waiting_hours(self._lake, self.table)
        enqueue_hours(self._lake, self.table, hours.difference(waiting))

    def weight(self, hour: datetime) -> int:
        """Bytes of the hour's files."""
        return sum(file.size for files in self._files[hour].values() for file in files)

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, [])

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' rows, then their quarantine, then their ledger rows.

        Files that only look different, or are gone, change no row.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._run(hours)
            except FilesChangedError:
                self._trusted.difference_update(hours)
                self._list(hours)
                self._judge(hours)
        return self._run(hours)

    def _run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        for hour in hours:
            take_same(self._found[hour], self._owners, self._landing)
        same = {hour for hour in hours if self._is_same(hour)}
        read = {hour: self._read(hour) for hour in hours}
        changed = [hour for hour in hours if hour not in same]
        empty = pl.DataFrame(schema=TABLES[self.table].polars_schema)
        rows = pl.concat([empty, *(part for found in read.values() for part in found.good)])
        if changed:
            self._replace(pl.concat([empty, *(p for h in changed for p in read[h].good)]), changed)
            self._write_bad({hour: read[hour] for hour in changed})
        after = {hour: self._records(hour, found) for hour, found in read.items()}
        before = {hour: self._found[hour].known for hour in hours}
        write_files(self._lake, self.kind, {h: (before[h], after[h]) for h in hours})
        self._write_ledger(after, read, same)
        return {
            hour: Done(self._content(part), part.height, is_unchanged=hour in same)
            for hour, part in hours_of(rows, hours).items()
        }

    def _is_same(self, hour: datetime) -> bool:
        found = self._found[hour]
        return hour in self._trusted and bool(found.known) and not (found.look or found.leaving)

    def _write_bad(self, read: Mapping[datetime, HourRead]) -> None:
        nothing = pl.DataFrame(schema=TABLES[BAD_LINES].polars_schema)
        bad = pl.concat([nothing, *(part for found in read.values() for part in found.bad)])
        hours = list(read)
        if bad.height or self._holds(BAD_LINES, hours, pl.col("p_stage") == self.stage):
            self._lake.replace_hours(BAD_LINES, bad, hours, f"p_stage = '{self.stage}'")

    def _records(self, hour: datetime, read: HourRead) -> list[FileRecord]:
        now = read.records
        if not self._is_same(hour) and self.kind != "stream":
            now = [record.waiting() if record.lines else record for record in now]
        return with_past(self._found[hour], now)

    def _write_ledger(
        self,
        after: Mapping[datetime, Sequence[FileRecord]],
        read: Mapping[datetime, HourRead],
        same: Collection[datetime],
    ) -> None:
        hours = list(after)
        known = hours_of(read_ledger(self._lake, hours, self.kind), hours)
        ledger = [
            self._ledger(hour, files, known[hour], read[hour].errors)
            for hour, files in after.items()
        ]
        if any(part.height for part in (*ledger, *known.values())):
            write_ledger(self._lake, pl.concat(ledger), hours, self.kind, same)

    def _replace(self, rows: pl.DataFrame, hours: Sequence[datetime]) -> None:
        if rows.height or self._holds(self.table, hours):
            self._lake.replace_hours(self.table, rows, hours)

    def _holds(self, table: str, hours: Sequence[datetime], *conditions: pl.Expr) -> bool:
        found = self._lake.scan_hours(table, hours).filter(*conditions)
        return bool(found.select(pl.len()).collect().item())

    def _content(self, rows: pl.DataFrame) -> str:
        return content_fingerprint(rows)

    def _landing(self) -> Landing:
        if self._feeds is None:
            self._feeds = self._open()
        return self._feeds

    def _read(self, hour: datetime) -> HourRead:
        done = HourRead()
        found = self._found[hour]
        self._keep([*found.kept, *found.missing], hour, done)
        for folder in self._folders:
            error = self._errors.get(folder.name)
            part = HourRead()
            looked = [seen for seen in found.look if _folder(seen.file.path) == folder.name]
            try:
                for seen in looked if error is None else ():
                    self._read_file(hour, folder, seen, part)
            except FAULTS as raised:
                # Whatever reading a folder raises is its sources' own: the others are read.
                error = error_line(raised)
            if error is not None:
                part = HourRead(errors={source.key: error for _, _, source in folder.sources})
            self._keep_failed(part, [record for seen in looked for record in seen.known], hour)
            done.good += part.good
            done.bad += part.bad
            done.records += part.records
            done.errors |= part.errors
        return done

    def _keep_failed(self, part: HourRead, known: Sequence[FileRecord], hour: datetime) -> None:
        """Leave of sources that failed what is known of their files: half an hour is no hour."""
        if not part.errors:
            return
        failed = pl.col("source").is_in(sorted(part.errors))
        stale = HourRead()
        self._keep([record for record in known if record.source in part.errors], hour, stale)
        part.good = [rows.filter(~failed) for rows in part.good]
        part.good += [rows.filter(failed) for rows in stale.good]
        part.bad = [rows.filter(~failed) for rows in part.bad]
        part.bad += [rows.filter(failed) for rows in stale.bad]
        others = [record for record in part.records if record.source not in part.errors]
        part.records = [*others, *stale.records]

    def _keep(self, records: Sequence[FileRecord], hour: datetime, into: HourRead) -> None:
        """Take what the tables hold of files that stay."""
        into.records += records
        paths = sorted({record.path for record in records if record.holds_lines})
        if paths:
            names = TABLES[self.table].polars_schema.names()
            into.good += [part.select(names) for part in self._stored(hour).rows(paths)]
            into.bad.append(self._stored(hour).quarantined(paths))

    def _read_file(self, hour: datetime, folder: FeedFolder, seen: Seen, into: HourRead) -> None:
        file = seen.file
        form = TextForm(folder.feed.encoding, folder.feed.separator)
        content = Hashing(self._landing().stream(file.path))
        is_young = file.is_young(time.time_ns())
        read = FeedRead(content, file.path, form)
        part = HourRead()
        counts: dict[str, Counter[str]] = {}
        try:
            for rows, bad in read:
                placed = self._placed(rows, hour, file)
                named = bad.with_columns(file_name=pl.lit(file.path))
                self._take(folder, placed, named, hour, part, counts)
            digest = content.finish()
        except UNOPENABLE:
            if counts:
                raise
            read.unreadable, digest = True, ""
        if content.is_gone:
            state = "forgotten" if self._may_go(hour) else "held"
            self._keep(held_records(seen, state, ""), hour, into)
            return
        if read.unreadable and any(record.holds_lines for record in seen.known):
            self._keep(held_records(seen, "held", file.identity), hour, into)
            return
        into.good += part.good
        into.bad += part.bad
        into.errors |= part.errors
        for source, read_by in self._owners(file.path).items():
            counted = counts.get(source, Counter())
            into.records.append(
                FileRecord(
                    source,
                    file.path,
                    self.kind,
                    read_by,
                    "unreadable" if read.unreadable else "read",
                    content.bytes if digest else file.size,
                    digest,
                    lines=counted.total(),
                    rows=self._known_rows(counted.total(), counted["rows"]),
                    quarantined=counted["bad"],
                    quarantined_on_read=counted["bad"],
                    suppressed=counted["suppressed"],
                    sealed=counted["sealed"],
                    is_truncated=read.truncated,
                    identity=file.identity,
                    is_young=is_young,
                    arrived_at=file.arrived_at,
                )
            )

    def _placed(self, rows: pl.DataFrame, hour: datetime, file: LandingFile) -> pl.DataFrame:
        return rows.with_columns(
            file_name=pl.lit(file.path),
            p_ingest_date_utc=pl.lit(hour.date()),
            p_ingest_hour_utc=pl.lit(hour.hour, pl.Int32),
        )

    def _take(
        self,
        folder: FeedFolder,
        rows: pl.DataFrame,
        bad: pl.DataFrame,
        hour: datetime,
        into: HourRead,
        counts: dict[str, Counter[str]],
    ) -> None:
        """Part the rows among the folder's sources; the first answers for what nobody takes.

        What a source's mapping raises fails that source. Then nobody can tell which of the other
        rows it would have taken: they are not held against the first.
        """
        for owner in folder.sources:
            try:
                rows = self._take_own(rows, owner, hour, into, counts)
            except FAULTS as error:
                into.errors[owner[2].key] = error_line(error)
        columns = ["reason", "raw_line", "line_number", "file_name"]
        lost = rows.with_columns(reason=pl.lit(NO_SOURCE), raw_line=kept_row(pl.col("row")))
        if into.errors:
            lost = lost.clear()
        rest = pl.concat([bad.select(columns), lost.select(columns)])
        empty = pl.DataFrame(schema=TABLES[self.table].polars_schema)
        self._count(into, counts, folder.sources[0][2].key, hour, empty, rest)

    def _take_own(
        self,
        rows: pl.DataFrame,
        owner: tuple[str, str, Source],
        hour: datetime,
        into: HourRead,
        counts: dict[str, Counter[str]],
    ) -> pl.DataFrame:
        """Take the rows that are one source's, and give back the others."""
        source = owner[2]
        only = getattr(source.feed, "only", None)
        is_of_source = pl.repeat(value=True, n=rows.height, eager=True)
        if only is not None and rows.height:
            is_of_source = decode_rows(rows["row"], {only.column}).select(holds(only)).to_series()
        own = rows.filter(is_of_source).with_columns(source=pl.lit(source.key))
        admitted = admit(own, NO_MARKS)
        made, useless = self._made(admitted.lines, owner)
        aside = {"suppressed": admitted.suppressed.height, "sealed": admitted.sealed.height}
        counts.setdefault(source.key, Counter()).update(aside)
        self._count(into, counts, source.key, hour, made, useless)
        return rows.filter(~is_of_source)

    def _count(
        self,
        into: HourRead,
        counts: dict[str, Counter[str]],
        source: str,
        hour: datetime,
        made: pl.DataFrame,
        bad: pl.DataFrame,
    ) -> None:
        counts.setdefault(source, Counter()).update(rows=made.height, bad=bad.height)
        into.good.append(made)
        quarantined = bad.with_columns(
            source=pl.lit(source),
            p_ingest_date_utc=pl.lit(hour.date()),
            p_ingest_hour_utc=pl.lit(hour.hour, pl.Int32),
            p_stage=pl.lit(self.stage),
        )
        into.bad.append(quarantined.select(TABLES[BAD_LINES].polars_schema.names()))

    def _input(self, hour: datetime) -> str:
        return fingerprint(
            VERSION,
            *(folder.identity() for folder in self._folders),
            repr(self._expected(hour)),
            repr(sorted(self._errors.items())),
            *self._found[hour].marks(self._hashed),
        )

    def _expected(self, hour: datetime) -> list[str]:
        named = {source.key for folder in self._folders for _, _, source in folder.sources}
        return sorted(named.intersection(self._sources.active_in(hour, self.kind)))

    def _ledger(
        self,
        hour: datetime,
        files: Sequence[FileRecord],
        known: pl.DataFrame,
        errors: Mapping[str, str],
    ) -> pl.DataFrame:
        """The hour's rows: of sources that are active, that have lines, or that failed."""
        with_lines = {file.source for file in files if file.lines}
        names = {*self._expected(hour), *with_lines}
        named = [file for file in files if file.source in names]
        rows = ledger_rows(hour, self.kind, named, known, sorted(names), self._looks(hour))
        # What is said of a file counts once, for the first source of its folder.
        first = pl.col("source").is_in(sorted({f.sources[0][2].key for f in self._folders}))
        once = ("bytes", "truncated_files", "unreadable_files")
        told = pl.Series([errors.get(source) for source in rows["source"]], dtype=pl.String)
        return rows.with_columns(
            *(pl.when(first).then(name).otherwise(0).alias(name) for name in once),
            source_error=told,
            error=told,
            status=pl.when(told.is_null()).then(pl.lit("processed")).otherwise(pl.lit("failed")),
        )

    def _looks(self, hour: datetime) -> dict[str, str]:
        """Per source a hash of its files as they were listed, by which sensors know them."""
        return {
            source.key: fingerprint(*(f"{f.path} {f.size} {f.etag}" for f in files))
            for folder in self._folders
            if (files := self._files[hour].get(folder.name, []))
            for _, _, source in folder.sources
        }

    def _known_rows(self, lines: int, rows: int) -> int | None:
        """What the ledger says of rows now; null: the decoding will tell."""
        return None if lines else 0


def _folder(path: str) -> str:
    return path.split("/", 1)[0]


def is_feed_file(file: LandingFile) -> bool:
    """Whether a file is one that feeds are made of."""
    return not writers_reason(file.path) and READABLE.search(file.path) is not None


NO_BAD = pl.DataFrame(schema={**BAD, "file_name": pl.String()})
