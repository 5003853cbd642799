"""Adds versions of studios' rows to `raw_studio_events`, each once, and queues what that moves.

Belongs here: what is new, and the order of commits that survives a crash. Does not: reading the
studios.

The table only grows, so it does not matter in which order, or how often, versions are captured. A
newer version takes the event out of the hour of the version before it: that hour is queued for
`cleaned_events` before the newer version is committed.

Versions are committed by a thread of its own while the next ones are read.
"""

from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import polars as pl

from kpi_platform.arrivals.studios.version_copies import drop_copies
from kpi_platform.engine.books.hour_fingerprints import forget_consumed
from kpi_platform.engine.books.hour_queue import enqueue_hours
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.row_versions import ROW, VERSION, may_hold, touched_hours
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.lake import Lake, hours_in
from kpi_platform.storage.lake.locks import CAPTURE_LOCK, lake_lock

TABLE = "raw_studio_events"
# What is held before it is committed; meanwhile as much again is being committed, and as much waits
# for that, so that a commit that takes its time does not hold up the reading.
ROWS_AT_A_TIME = 500_000
BYTES_AT_A_TIME = 32 << 20
_COMMITS_UNDER_WAY = 2


class VersionStore:
    """What one run adds. `own`: the hours that the run brings up to date itself; `followers`: the
    tables that are made of the versions that count."""

    def __init__(self, lake: Lake, own: Collection[datetime], followers: Collection[str]) -> None:
        self.changed: set[datetime] = set()
        self.added = 0
        self._lake = lake
        self._own = set(own)
        self._followers = followers
        self._buffer: list[pl.DataFrame] = []
        self._rows = self._bytes = 0
        self._writer = ThreadPoolExecutor(1, "versions")
        self._writing: deque[Future[None]] = deque()
        # Per source whether nothing of it was stored before this run, as of a table's version.
        self._is_first: dict[str, bool] = {}
        self._at: int | None = -1
        self._comes_again = False
        # Hours whose rows were not compared with each other.
        self._unseen: set[datetime] = set()

    def add(self, versions: pl.DataFrame) -> None:
        """Take versions (columns of `raw_studio_events`); those known already are no news."""
        self._buffer.append(versions)
        self._rows += versions.height
        self._bytes += int(versions.estimated_size())
        if self._rows >= ROWS_AT_A_TIME or self._bytes >= BYTES_AT_A_TIME:
            self._hand_over()

    def read_again(self) -> None:
        """Rows taken before may come again: from now on each is looked up."""
        self._comes_again = True

    def flush(self) -> None:
        """Commit what was taken."""
        self._hand_over()
        self._wait_for_all_but(0)
        if self._unseen:
            with lake_lock(self._lake.uri, CAPTURE_LOCK):
                drop_copies(self._lake, TABLE, sorted(self._unseen))
        self._unseen.clear()

    def close(self) -> None:
        """End the thread; what was not flushed is left out."""
        self._writer.shutdown(cancel_futures=True)

    def _hand_over(self) -> None:
        """Let the thread commit what is held; wait if it has too much to do already."""
        self._wait_for_all_but(_COMMITS_UNDER_WAY - 1)
        if self._buffer:
            self._writing.append(self._writer.submit(self._store, self._buffer))
        self._buffer, self._rows, self._bytes = [], 0, 0

    def _wait_for_all_but(self, count: int) -> None:
        while len(self._writing) > count:
            self._writing.popleft().result()

    def _store(self, parts: list[pl.DataFrame]) -> None:
        rows = pl.concat(parts)
        if rows.is_empty():
            return
        with lake_lock(self._lake.uri, CAPTURE_LOCK):
            if self._are_first(rows):
                self._commit(rows, set())
                self._at = self._lake.version(TABLE)
                self._unseen |= set(hours_in(rows))
                return
            rows = rows.unique(VERSION)
            known = self._known(rows)
            new = rows.join(known, on=VERSION, how="anti", nulls_equal=True)
            if new.height:
                self._commit(new, set(hours_in(touched_hours(new, known))))

    def _are_first(self, rows: pl.DataFrame) -> bool:
        """Whether nothing of these sources was stored before this run, nor by others since."""
        if self._comes_again:
            return False
        version = self._lake.version(TABLE)
        if version != self._at:
            self._is_first, self._at = {}, version
        for source in rows["source"].unique():
            if source not in self._is_first:
                stored = self._lake.scan(TABLE).filter(pl.col("source") == source)
                self._is_first[source] = stored.head(1).collect().is_empty()
        return all(self._is_first[source] for source in rows["source"].unique())

    def touch_stored(self, hours: Collection[datetime]) -> None:
        """Queue what the stored versions of these hours displaced: a run that was killed may have
        left that undone."""
        rows = self._lake.scan_hours(TABLE, hours).select(VERSION).collect()
        if rows.height:
            self._unseen |= set(hours_in(rows))
            known = self._known(rows).join(rows, on=VERSION, how="anti", nulls_equal=True)
            displaced = set(hours_in(touched_hours(rows, known)))
            self._touch(displaced, set())
            self._forget(displaced)

    def _commit(self, new: pl.DataFrame, displaced: set[datetime]) -> None:
        hours = set(hours_in(new))
        self._touch(displaced, hours - self._own)
        # What an own hour has to show may change though its rows do not: it loses an event.
        self._forget(hours | displaced)
        self._lake.append(TABLE, new)
        self.changed |= hours
        self.added += new.height

    def _touch(self, displaced: set[datetime], landed: set[datetime]) -> None:
        for table in self._followers:
            enqueue_hours(self._lake, table, displaced | landed)

    def _forget(self, hours: Collection[datetime]) -> None:
        for table in self._followers:
            forget_consumed(self._lake, table, sorted(hours))

    def _known(self, rows: pl.DataFrame) -> pl.DataFrame:
        keys = rows.select(ROW).unique()
        hours = self._lake.hours_that_may_hold(TABLE, "row_key", keys["row_key"])
        stored = self._lake.scan_hours(TABLE, hours).filter(may_hold(keys)).select(VERSION)
        return stored.join(keys.lazy(), on=ROW, how="semi").collect()


def stored_contents(lake: Lake, hours: Collection[datetime]) -> Mapping[datetime, tuple[str, int]]:
    """Per hour a hash of the versions it holds, and their number; hours without any are absent."""
    tables = (
        lake.scan_hours(TABLE, hours)
        .group_by(*INGEST_HOUR, "source", "table_name")
        .agg(rows=pl.len().cast(pl.Int64), hash=pl.col("content_hash").sum())
        .sort("source", "table_name")
        .collect()
    )
    return {
        hours_in(of_hour)[0]: (
            fingerprint(*(f"{row}" for row in of_hour.drop(INGEST_HOUR).iter_rows())),
            int(of_hour["rows"].sum()),
        )
        for of_hour in tables.partition_by(INGEST_HOUR)
    }
