"""The hourly work of `raw_studio_events`: studios' rows captured by windows of their watermark.

Belongs here: what a run reads, trouble of one studio kept from the others, and the ledger. Does
not: which windows (`capture_plan.py`), what is kept of a row (`captured_rows.py`), and which rows
are new (`version_store.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Self

import polars as pl

from kpi_platform.arrivals.drift.drift_step import StudioDrift
from kpi_platform.arrivals.studios.capture_ledger import CaptureLedger
from kpi_platform.arrivals.studios.capture_plan import CapturedSource, captured_sources
from kpi_platform.arrivals.studios.captured_rows import CapturedTable
from kpi_platform.arrivals.studios.rows_ahead import enter_rows_ahead
from kpi_platform.arrivals.studios.studio_notices import KeyWatch, StudioNotices
from kpi_platform.arrivals.studios.studio_reader import OpenWarehouse, StudioReader
from kpi_platform.arrivals.studios.version_store import TABLE, VersionStore, stored_contents
from kpi_platform.engine.books.hour_fingerprints import Consumed, read_consumed, record_consumed
from kpi_platform.engine.books.hour_ledger import mark_failed
from kpi_platform.engine.hour_steps import Done
from kpi_platform.engine.platform import Platform
from kpi_platform.engine.table_order import next_tables
from kpi_platform.orchestration.partitions import HOUR
from kpi_platform.schemas.fingerprints import content_fingerprint, fingerprint
from kpi_platform.schemas.row_versions import VERSION as VERSION_COLUMNS
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.storage.lake.lake import Lake, hours_expression, hours_in
from kpi_platform.storage.studio_databases import StudioWarehouseError, as_studio_error

VERSION = "1"
_AGAIN = " again"


class CaptureStep:
    """One step for all studios; an hour in which one cannot be read goes on without it."""

    table = TABLE
    hours_stand_alone = False

    def __init__(
        self,
        lake: Lake,
        sources: Sources,
        open_warehouse: OpenWarehouse,
        start_hour: datetime,
        future_limit: timedelta = timedelta(days=1),
    ) -> None:
        self._lake = lake
        self._plan = captured_sources(sources, start_hour)
        self._ledger = CaptureLedger(lake)
        # Without streams in tables no feed has to look at what was captured.
        has_streams = any(each.source.kind == "stream" for each in self._plan)
        self._followers = [t for t in next_tables(TABLE) if has_streams or t != "raw_stream_feed"]
        self._readers = {
            each.studio.key: StudioReader(each.studio, open_warehouse) for each in self._plan
        }
        self._known: Mapping[datetime, Consumed] = {}
        self._dimensions_done = False
        self._future_limit = future_limit
        self.drifts: dict[str, StudioDrift] = {}
        self.notices = StudioNotices()
        # Whose warehouse the last look asked for rows.
        self._asked: set[str] = set()
        self._mended: set[datetime] = set()

    @classmethod
    def of(cls, platform: Platform) -> Self:
        """The step as the settings have it."""
        settings = platform.settings
        return cls(
            platform.lake,
            platform.sources,
            platform.open_warehouse,
            settings.start_hour,
            settings.future_limit,
        )

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """What is captured, and, for hours captured before, whether a look finds anything new."""
        self._known = read_consumed(self._lake, TABLE, hours)
        setup = {hour: self._setup(hour) for hour in hours}
        same = [h for h, known in self._known.items() if known.input.startswith(setup[h])]
        if same and self._plan and self._finds_news(same):
            flipped = {
                h: setup[h] if self._known[h].input != setup[h] else setup[h] + _AGAIN for h in same
            }
            return setup | flipped
        return setup | {hour: self._known[hour].input for hour in same}

    def weight(self, hour: datetime) -> int:
        """Hours count alike: nobody knows what a window holds before it is read."""
        return 1

    def fail(self, hour: datetime, error: str) -> None:
        """Mark the hour as failed in the ledger."""
        mark_failed(self._lake, hour, error, [])

    def take_mended(self) -> list[datetime]:
        """The hours, told once, in which a source had failed that was now read: what their checks
        said of it is no longer so."""
        mended, self._mended = self._mended, set()
        return sorted(mended)

    def close(self) -> None:
        """End the connections to all studios."""
        for reader in self._readers.values():
            reader.close()

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Add what is new in the hours' windows, then their ledger rows.

        Windows of other hours that are read again add to those hours, which are queued for the
        tables after this one.
        """
        with closing(VersionStore(self._lake, hours, self._followers)) as store:
            store.touch_stored([hour for hour in hours if hour not in self._known])
            errors = dict(self._read_all(hours, store.add, store.read_again))
            store.flush()
        mended = self._ledger.write(self._plan, hours, self._asked, errors)
        self._mended |= mended.difference(hours)
        self._refresh_dimensions()
        touched = {*hours, *store.changed}
        contents = stored_contents(self._lake, touched)
        self._record_others(touched.difference(hours), contents)
        return {hour: self._done(hour, contents) for hour in hours}

    def _done(self, hour: datetime, contents: Mapping[datetime, tuple[str, int]]) -> Done:
        content, rows = contents.get(hour, ("", 0))
        return Done(content, rows)

    def _record_others(
        self, hours: set[datetime], contents: Mapping[datetime, tuple[str, int]]
    ) -> None:
        known = read_consumed(self._lake, TABLE, hours)
        changed = {
            hour: Consumed(item.input, *contents[hour])
            for hour, item in known.items()
            if contents[hour] != (item.content, item.rows)
        }
        record_consumed(self._lake, TABLE, changed)

    def _setup(self, hour: datetime) -> str:
        active = [each.identity() for each in self._plan if each.source.active_in(hour)]
        return fingerprint(VERSION, *active)

    def _finds_news(self, hours: Sequence[datetime]) -> bool:
        """Whether the windows of these hours hold a version, or a source, that was not there."""
        news = False

        def look(versions: pl.DataFrame) -> None:
            nonlocal news
            if not news:
                news = self._has_new(versions)

        errors = dict(self._read_all(hours, look, lambda: None))
        return news or self._ledger.would_mend(self._plan, hours, self._asked, errors)

    def _has_new(self, versions: pl.DataFrame) -> bool:
        hours = versions.select("p_ingest_date_utc", "p_ingest_hour_utc").unique()
        stored = (
            # Only these hours' files: a damaged one of another hour is not theirs.
            self._lake.scan_hours(TABLE, hours_in(hours))
            .select(VERSION_COLUMNS)
            .join(hours.lazy(), on=hours.columns, how="semi")
        )
        new = versions.lazy().join(stored, on=VERSION_COLUMNS, how="anti", nulls_equal=True)
        return bool(new.select(pl.len()).collect().item())

    def _read_all(
        self,
        hours: Sequence[datetime],
        take: Callable[[pl.DataFrame], None],
        read_again: Callable[[], None],
    ) -> Iterator[tuple[str, str]]:
        """Read every source's windows; yields the sources that failed and why."""
        self._asked.clear()
        self._look()
        ahead = max(datetime.now(UTC), max(hours) + HOUR) + self._future_limit
        failed = self._ledger.failed_hours()
        near = {hour for each in self._plan for hour in each.reread(hours)}
        captured = {*self._ledger.captured_among(near), *hours}
        for each in self._plan:
            ranges = each.ranges(hours, captured, failed.get(each.key, ()))
            kept = captured | set(failed.get(each.key, ()))
            with self._readers[each.studio.key].held():
                problems = [
                    problem
                    for table in each.tables
                    if table.mapping.watermark is not None
                    for problem in self._read_table(each, table, ranges, kept, take, read_again)
                ]
                self._count_ahead(each, ahead)
            self._enter_ahead(each)
            if ranges:
                self._asked.add(each.key)
            if problems:
                yield each.key, "; ".join(dict.fromkeys(problems))

    def _look(self) -> None:
        """Compare every studio's warehouse with what was found right before, once per run."""
        for studio, reader in self._readers.items():
            if studio not in self.drifts and not reader.down:
                sources = [each.source for each in self._plan if each.studio.key == studio]
                # What cannot be reached is told by each of its sources when they are read.
                with suppress(StudioWarehouseError):
                    self.drifts[studio] = reader.look(self._lake, sources)

    def _read_table(
        self,
        each: CapturedSource,
        table: CapturedTable,
        ranges: Sequence[tuple[datetime | None, datetime]],
        kept: set[datetime],
        take: Callable[[pl.DataFrame], None],
        read_again: Callable[[], None],
    ) -> Iterator[str]:
        reader = self._readers[each.studio.key]
        watch = KeyWatch()

        def restart() -> None:
            watch.begin()
            read_again()

        reader.on_restart = restart
        try:
            for window in ranges:
                watch.begin()
                for rows in reader.read(table, window):
                    with as_studio_error():
                        versions = table.versions(rows)
                    watch.add(versions["row_key"])
                    # What lies in an hour that never ran is left to that hour's own run.
                    left = set(hours_in(versions)) - kept
                    take(versions.filter(~hours_expression(left)) if left else versions)
                watch.end()
        except StudioWarehouseError as error:
            yield str(error)
        self.notices.saw_repeated((each.key, table.table), watch.repeated)

    def _count_ahead(self, each: CapturedSource, limit: datetime) -> None:
        """Count, once per run, the rows that lie so far ahead that no window takes them.

        By the wall clock, as a backfill of old hours has all newer rows ahead of it: it only warns.
        """
        for table in each.tables:
            name = (each.key, table.table)
            if table.mapping.watermark is not None and name not in self.notices.ahead:
                self.notices.ahead[name] = self._readers[each.studio.key].count_ahead(table, limit)

    def _enter_ahead(self, each: CapturedSource) -> None:
        counts = {
            table: rows
            for (source, table), rows in self.notices.ahead.items()
            if source == each.key
        }
        enter_rows_ahead(self._lake, each.key, counts)

    def _refresh_dimensions(self) -> None:
        """Replace every table without a watermark by what it holds now, once per run."""
        if self._dimensions_done:
            return
        self._dimensions_done = True
        for each in self._plan:
            with self._readers[each.studio.key].held():
                for table in each.tables:
                    if table.mapping.watermark is None:
                        self._refresh_dimension(each, table)

    def _refresh_dimension(self, each: CapturedSource, table: CapturedTable) -> None:
        try:
            with as_studio_error():
                parts = [
                    table.dimension(rows)
                    for rows in self._readers[each.studio.key].read(table, (None, table.first_hour))
                ]
        except StudioWarehouseError:
            # The source's own read tells of it; the rows of before stay.
            return
        stored = self._lake.scan("studio_dimensions")
        is_own = (pl.col("source") == table.source) & (pl.col("table_name") == table.table)
        known = stored.filter(is_own).collect()
        rows = pl.concat([known.clear(), *parts])
        if content_fingerprint(rows) != content_fingerprint(known):
            source, name = (text.replace("'", "''") for text in (table.source, table.table))
            self._lake.replace(
                "studio_dimensions", rows, f"source = '{source}' AND table_name = '{name}'"
            )
