"""The hourly work of `raw_stream_feed` and of `stream_stats`, which is folded from it.

Belongs here: the order of commits that survives a crash, and rows of tables beside those of files.
Does not: reading figures (`stream_figures.py`), which of several statements counts
(`stream_stats.py`), capturing tables.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Self

import polars as pl

from kpi_platform.arrivals.feeds.feed_files import ROWS_AT_A_TIME
from kpi_platform.arrivals.feeds.feed_step import FeedStep, HourRead
from kpi_platform.arrivals.feeds.stream_stats import Statements, stream_stats
from kpi_platform.engine.books.hour_fingerprints import read_consumed
from kpi_platform.engine.books.hour_queue import dequeue_hours, enqueue_hours, waiting_hours
from kpi_platform.engine.current_rows import TABLE as CAPTURED
from kpi_platform.engine.current_rows import current_rows
from kpi_platform.engine.hour_steps import Done
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.diff import diff_rows
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.sources_file.source_tables import StreamFeed
from kpi_platform.schemas.sources_file.sources import Source, Sources
from kpi_platform.schemas.sources_file.stream_figures import captured_stream_rows, stream_rows
from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.texts.row_faults import FAULTS
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.locks import CAPTURE_LOCK, lake_lock
from kpi_platform.storage.landing.landing import Landing

STATS = "stream_stats"


class StreamStep(FeedStep):
    """Figures as they were stated, hour by hour; then the stats of every hour they speak of."""

    table = "raw_stream_feed"
    kind = "stream"
    stage = "read_stream"

    def __init__(
        self,
        lake: Lake,
        open_feeds: Callable[[], Landing],
        sources: Sources,
        future_limit: timedelta,
        kept_days: int | None = None,
    ) -> None:
        super().__init__(lake, open_feeds, sources, kept_days)
        self._future_limit = future_limit
        self._statements = Statements.of(sources)
        self._tables = {
            source.key: (studio, game, source.feed)
            for studio, game, source in sources.walk()
            if isinstance(source.feed, StreamFeed) and source.feed.table is not None
        }

    @classmethod
    def of(cls, platform: Platform, lake: Lake | None = None) -> Self:
        """The step as the settings have it, in the platform's lake or another."""
        settings = platform.settings
        return cls(
            lake or platform.lake,
            platform.open_feeds,
            platform.sources,
            settings.future_limit,
            settings.landing_kept_days,
        )

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        """As of every feed, and what was captured of tables."""
        found = super().inputs(hours)
        if not self._tables:
            return found
        captured = read_consumed(self._lake, CAPTURED, hours)
        marks = [f"{key} {mapping!r}" for key, mapping in sorted(self._tables.items())]
        return {
            hour: fingerprint(mark, captured[hour].content, *marks) if hour in captured else mark
            for hour, mark in found.items()
        }

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' rows, and fold the hours that old or new rows speak of."""
        with ExitStack() as locks:
            locks.enter_context(lake_lock(self._lake.uri, STATS))
            if self._tables:
                # Which version of a row counts must not change while its hour is written.
                locks.enter_context(lake_lock(self._lake.uri, CAPTURE_LOCK))
            done = super().run(hours)
            self._fold_waiting()
        return done

    def fold_waiting(self) -> None:
        """Fold the hours that a run which was killed, or an hour that failed, left in the queue."""
        if waiting_hours(self._lake, STATS)[1]:
            with lake_lock(self._lake.uri, STATS):
                self._fold_waiting()

    def _read(self, hour: datetime) -> HourRead:
        """As of files, and the rows of tables; these are accounted for when events are made."""
        done = super()._read(hour)
        if self._tables:
            for part in current_rows(self._lake, [hour], self._tables).parts(ROWS_AT_A_TIME):
                for (source,), rows in part.partition_by("source", as_dict=True).items():
                    done.good.append(self._captured(rows, str(source)))
        return done

    def _captured(self, rows: pl.DataFrame, source: str) -> pl.DataFrame:
        """The figures of one source's rows. What its mapping raises is its own: the ledger says
        it when the rows are accounted for."""
        studio, game, feed = self._tables[source]
        try:
            return captured_stream_rows(rows, feed, studio, game, self._future_limit)[0]
        except FAULTS:
            return pl.DataFrame(schema=TABLES[self.table].polars_schema)

    def _made(
        self, rows: pl.DataFrame, owner: tuple[str, str, Source]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        studio, game, source = owner
        if not isinstance(source.feed, StreamFeed):
            raise TypeError(f"{source.key} is no stream feed")
        return stream_rows(rows, source.feed, studio, game, self._future_limit)

    def _replace(self, rows: pl.DataFrame, hours: Sequence[datetime]) -> None:
        old = self._lake.read_hours(self.table, hours)
        touched = pl.concat([old["hour"], rows["hour"]]).unique().to_list()
        # Before the change: a run killed after it leaves behind what has to be folded.
        enqueue_hours(self._lake, STATS, touched)
        super()._replace(rows, hours)

    def _fold_waiting(self) -> None:
        batches, hours = waiting_hours(self._lake, STATS)
        if hours:
            rows = self._lake.scan(self.table).filter(pl.col("hour").is_in(hours)).collect()
            known = self._lake.scan(STATS).filter(
                pl.col("p_date_utc").is_in(sorted({hour.date() for hour in hours})),
                pl.col("hour").is_in(hours),
            )
            keys = [*TABLES[STATS].keys, "p_date_utc"]
            stats = stream_stats(rows, self._statements)
            self._lake.apply_changes(STATS, *diff_rows(known.collect(), stats, keys))
        dequeue_hours(self._lake, STATS, batches)

    def _is_same(self, hour: datetime) -> bool:
        # With tables, rows may be others though files are the same.
        return not self._tables and super()._is_same(hour)

    def _known_rows(self, lines: int, rows: int) -> int | None:
        return rows
