"""Brings a feed's raw table up to date for hours whose files are new, changed or gone.

Belongs here: which files make an hour, which source a row is of, sources that cannot be read, and
the ledger. Does not: how a file becomes rows (`feed_files.py`), and what the rows mean.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Self

import polars as pl
from obstore.exceptions import BaseError

from kpi_platform.arrivals.feeds.feed_files import BAD, READABLE, FeedRead, TextForm
from kpi_platform.engine.hour_ledger import empty_rows, mark_failed, write_ledger
from kpi_platform.engine.hour_queue import enqueue_hours, waiting_hours
from kpi_platform.engine.hour_steps import Done, error_line
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.file_names import writers_reason
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.mapped_values import decode_rows, holds
from kpi_platform.schemas.row_faults import FAULTS, kept_row
from kpi_platform.schemas.source_tables import ConsoleFeed, StreamFeed
from kpi_platform.schemas.sources import Source, Sources
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, hours_expression, hours_in, hours_of
from kpi_platform.storage.landing.landing import Landing, LandingError, LandingFile

VERSION = "2"
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
class _Tally:
    """What was read of one source in one hour."""

    files: int = 0
    truncated_files: int = 0
    unreadable_files: int = 0
    bytes: int = 0
    lines: int = 0
    rows: int = 0
    error: str | None = None
    prints: list[str] = field(default_factory=list)


@dataclass
class HourRead:
    """What was read of one hour: rows, bad lines, and a tally per source."""

    good: list[pl.DataFrame] = field(default_factory=list)
    bad: list[pl.DataFrame] = field(default_factory=list)
    tallies: dict[str, _Tally] = field(default_factory=dict)

    def tally(self, source: str) -> _Tally:
        """What was read of a source so far; nothing yet if it is new."""
        return self.tallies.setdefault(source, _Tally())

    def drop_failed(self) -> None:
        """Leave nothing of sources that failed but their error: half an hour is no hour."""
        failed = {key: tally.error for key, tally in self.tallies.items() if tally.error}
        if failed:
            others = ~pl.col("source").is_in(list(failed))
            self.good = [part.filter(others) for part in self.good]
            self.bad = [part.filter(others) for part in self.bad]
            self.tallies |= {key: _Tally(error=error) for key, error in failed.items()}


class FeedStep(ABC):
    """The hourly work of one kind of feed."""

    table: str
    hours_stand_alone = True
    kind: Literal["console", "stream"]
    stage: str

    def __init__(self, lake: Lake, open_feeds: Callable[[], Landing], sources: Sources) -> None:
        self._lake = lake
        self._open = open_feeds
        self._sources = sources
        self._folders = feed_folders(sources, self.kind)
        self._files: dict[datetime, dict[str, list[LandingFile]]] = {}
        self._errors: dict[str, str] = {}
        self._feeds: Landing | None = None

    @classmethod
    def of(cls, platform: Platform, lake: Lake | None = None) -> Self:
        """The step as the settings have it, in the platform's lake or another."""
        return cls(lake or platform.lake, platform.open_feeds, platform.sources)

    @abstractmethod
    def _made(
        self, rows: pl.DataFrame, owner: tuple[str, str, Source]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The table's rows of a source's rows, and those of no use as `BAD`; ingest hour given."""

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """Names, sizes and ETags of each hour's files, and the mappings they go through."""
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
        return {hour: self._input(hour) for hour in hours}

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
        """Replace the hours' rows, then their quarantine, then their ledger rows."""
        read = {hour: self._read(hour) for hour in hours}
        empty = pl.DataFrame(schema=TABLES[self.table].polars_schema)
        rows = pl.concat([empty, *(part for found in read.values() for part in found.good)])
        self._replace(rows, hours)
        nothing = pl.DataFrame(schema=TABLES["quarantined_events"].polars_schema)
        bad = pl.concat([nothing, *(part for found in read.values() for part in found.bad)])
        if bad.height or self._holds("quarantined_events", hours, pl.col("p_stage") == self.stage):
            self._lake.replace_hours("quarantined_events", bad, hours, f"p_stage = '{self.stage}'")
        ledger = [self._ledger(hour, found.tallies) for hour, found in read.items()]
        if any(part.height for part in ledger):
            write_ledger(self._lake, pl.concat(ledger), hours, self.kind)
        return {
            hour: Done(self._content(part), part.height)
            for hour, part in hours_of(rows, hours).items()
        }

    def _replace(self, rows: pl.DataFrame, hours: Sequence[datetime]) -> None:
        if rows.height or self._holds(self.table, hours):
            self._lake.replace_hours(self.table, rows, hours)

    def _holds(self, table: str, hours: Sequence[datetime], *conditions: pl.Expr) -> bool:
        found = self._lake.scan(table).filter(hours_expression(hours), *conditions)
        return bool(found.select(pl.len()).collect().item())

    def _content(self, rows: pl.DataFrame) -> str:
        return content_fingerprint(rows)

    def _landing(self) -> Landing:
        if self._feeds is None:
            self._feeds = self._open()
        return self._feeds

    def _read(self, hour: datetime) -> HourRead:
        done = HourRead()
        for folder in self._folders:
            part = HourRead()
            try:
                self._read_folder(hour, folder, part)
                part.drop_failed()
            except FAULTS as error:
                # Whatever reading a folder raises is its sources' own: the others are read.
                part = HourRead()
                for _, _, source in folder.sources:
                    part.tally(source.key).error = error_line(error)
            done.good += part.good
            done.bad += part.bad
            done.tallies |= part.tallies
        return done

    def _read_folder(self, hour: datetime, folder: FeedFolder, into: HourRead) -> None:
        if folder.name in self._errors:
            raise LandingError(self._errors[folder.name])
        for file in self._files[hour].get(folder.name, []):
            try:
                self._read_file(hour, folder, file, into)
            except FileNotFoundError:
                # Gone since it was listed: the hour's contents are now those without it.
                continue

    def _read_file(
        self, hour: datetime, folder: FeedFolder, file: LandingFile, into: HourRead
    ) -> None:
        form = TextForm(folder.feed.encoding, folder.feed.separator)
        read = FeedRead(self._landing().stream(file.path), file.path, form)
        for rows, bad in read:
            placed = self._placed(rows, hour, file)
            self._take(folder, placed, bad.with_columns(file_name=pl.lit(file.path)), hour, into)
        for _, _, source in folder.sources:
            tally = into.tally(source.key)
            tally.files += 1
            tally.prints.append(f"{file.path} {file.size} {file.etag}")
        first = into.tally(folder.sources[0][2].key)
        first.bytes += file.size
        first.truncated_files += read.truncated
        first.unreadable_files += read.unreadable

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
    ) -> None:
        """Part the rows among the folder's sources; the first answers for what nobody takes.

        What a source's mapping raises fails that source. Then nobody can tell which of the other
        rows it would have taken: they are not held against the first.
        """
        for owner in folder.sources:
            try:
                rows = self._take_own(rows, owner, hour, into)
            except FAULTS as error:
                into.tally(owner[2].key).error = error_line(error)
        columns = ["reason", "raw_line", "line_number", "file_name"]
        lost = rows.with_columns(reason=pl.lit(NO_SOURCE), raw_line=kept_row(pl.col("row")))
        if any(into.tally(source.key).error for *_, source in folder.sources):
            lost = lost.clear()
        rest = pl.concat([bad.select(columns), lost.select(columns)])
        empty = pl.DataFrame(schema=TABLES[self.table].polars_schema)
        self._count(into, folder.sources[0][2].key, hour, empty, rest)

    def _take_own(
        self, rows: pl.DataFrame, owner: tuple[str, str, Source], hour: datetime, into: HourRead
    ) -> pl.DataFrame:
        """Take the rows that are one source's, and give back the others."""
        source = owner[2]
        only = getattr(source.feed, "only", None)
        mine = pl.repeat(value=True, n=rows.height, eager=True)
        if only is not None and rows.height:
            mine = decode_rows(rows["row"], {only.column}).select(holds(only)).to_series()
        own = rows.filter(mine).with_columns(source=pl.lit(source.key))
        self._count(into, source.key, hour, *self._made(own, owner))
        return rows.filter(~mine)

    def _count(
        self, into: HourRead, source: str, hour: datetime, made: pl.DataFrame, bad: pl.DataFrame
    ) -> None:
        tally = into.tally(source)
        tally.lines += made.height + bad.height
        tally.rows += made.height
        into.good.append(made)
        quarantined = bad.with_columns(
            source=pl.lit(source),
            p_ingest_date_utc=pl.lit(hour.date()),
            p_ingest_hour_utc=pl.lit(hour.hour, pl.Int32),
            p_stage=pl.lit(self.stage),
        )
        into.bad.append(quarantined.select(TABLES["quarantined_events"].polars_schema.names()))

    def _input(self, hour: datetime) -> str:
        files = (
            f"{file.path} {file.size} {file.etag}"
            for found in self._files[hour].values()
            for file in found
        )
        return fingerprint(
            VERSION,
            *(folder.identity() for folder in self._folders),
            repr(self._expected(hour)),
            repr(sorted(self._errors.items())),
            *files,
        )

    def _expected(self, hour: datetime) -> list[str]:
        named = {source.key for folder in self._folders for _, _, source in folder.sources}
        return sorted(named.intersection(self._sources.active_in(hour, self.kind)))

    def _ledger(self, hour: datetime, tallies: Mapping[str, _Tally]) -> pl.DataFrame:
        with_lines = {key for key, tally in tallies.items() if tally.lines}
        names = sorted({*self._expected(hour), *with_lines})
        rows = empty_rows(hour, names, self.kind)
        found = [tallies.get(name, _Tally()) for name in names]
        counts = {
            name: pl.Series([getattr(tally, name) for tally in found], dtype=pl.Int64)
            for name in ("files", "truncated_files", "unreadable_files", "bytes", "lines")
        }
        bad = pl.Series([tally.lines - tally.rows for tally in found], dtype=pl.Int64)
        errors = pl.Series([tally.error for tally in found], dtype=pl.String)
        return rows.with_columns(
            **counts,
            quarantined=bad,
            quarantined_on_read=bad,
            rows=self._known_rows(pl.Series([tally.rows for tally in found], dtype=pl.Int64)),
            fingerprint=pl.Series([_print_of(tally) for tally in found], dtype=pl.String),
            source_error=errors,
            error=errors,
            status=pl.when(errors.is_null()).then(pl.lit("processed")).otherwise(pl.lit("failed")),
        )

    def _known_rows(self, rows: pl.Series) -> pl.Series:
        """What the ledger says of rows now; null: the decoding will tell."""
        return pl.Series([None] * len(rows), dtype=pl.Int64)


def _print_of(tally: _Tally) -> str:
    return fingerprint(*tally.prints) if tally.prints else ""


def is_feed_file(file: LandingFile) -> bool:
    """Whether a file is one that feeds are made of."""
    return not writers_reason(file.path) and READABLE.search(file.path) is not None


NO_BAD = pl.DataFrame(schema={**BAD, "file_name": pl.String()})
