"""The hourly work of `raw_stream_feed` and of `stream_stats`, which is folded from it.

Belongs here: the order of commits that survives a crash. Does not: reading figures, and which of
several statements counts (`stream_rows.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from kpi_platform.arrivals.feed_step import FeedStep
from kpi_platform.arrivals.stream_rows import stream_rows, stream_stats
from kpi_platform.schemas.diff import diff_rows
from kpi_platform.schemas.source_tables import StreamFeed
from kpi_platform.schemas.sources import Source, Sources
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.hour_queue import dequeue_hours, enqueue_hours, waiting_hours
from kpi_platform.storage.hour_steps import Done
from kpi_platform.storage.lake import Lake
from kpi_platform.storage.landing import Landing
from kpi_platform.storage.locks import lake_lock

VERSION = "1"
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
    ) -> None:
        super().__init__(lake, open_feeds, sources)
        self._future_limit = future_limit

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' rows, and fold the hours that old or new rows speak of."""
        with lake_lock(self._lake.uri, STATS):
            done = super().run(hours)
            self._fold_waiting()
        return done

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
            self._lake.apply_changes(STATS, *diff_rows(known.collect(), stream_stats(rows), keys))
        dequeue_hours(self._lake, STATS, batches)

    def _known_rows(self, rows: pl.Series) -> pl.Series:
        return rows
