"""Adds versions of studios' rows to `raw_studio_events`, each once, and queues what that moves.

Belongs here: what is new, and the order of commits that survives a crash. Does not: reading the
studios.

The table only grows, so it does not matter in which order, or how often, versions are captured. A
newer version takes the event out of the hour of the version before it: that hour is queued for
`cleaned_events` before the newer version is committed.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

import polars as pl
import polars_hash as plh

from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.row_versions import ROW, VERSION, touched_hours
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.hour_fingerprints import forget_consumed
from kpi_platform.storage.hour_queue import enqueue_hours
from kpi_platform.storage.lake import Lake, hours_expression, hours_in
from kpi_platform.storage.locks import CAPTURE_LOCK, lake_lock

TABLE = "raw_studio_events"
ROWS_AT_A_TIME = 500_000


class VersionStore:
    """What one run adds. `own`: the hours that the run brings up to date itself."""

    def __init__(self, lake: Lake, own: Collection[datetime]) -> None:
        self.changed: set[datetime] = set()
        self.added = 0
        self._lake = lake
        self._own = set(own)
        self._buffer: list[pl.DataFrame] = []
        self._rows = 0
        # Nothing stored, and nobody else adding: then every version is new.
        self._alone_at = -1 if lake.open(TABLE) is None else None

    def add(self, versions: pl.DataFrame) -> None:
        """Take versions (columns of `raw_studio_events`); those known already are no news."""
        self._buffer.append(versions)
        self._rows += versions.height
        if self._rows >= ROWS_AT_A_TIME:
            self.flush()

    def read_again(self) -> None:
        """Rows taken before may come again: from now on each is looked up."""
        self._alone_at = None

    def flush(self) -> None:
        """Commit what was taken."""
        rows = pl.concat(self._buffer).unique(VERSION) if self._buffer else pl.DataFrame()
        self._buffer, self._rows = [], 0
        if rows.is_empty():
            return
        with lake_lock(self._lake.uri, CAPTURE_LOCK):
            version = self._lake.version(TABLE)
            if self._alone_at is not None and (version is None or version == self._alone_at):
                self._commit(rows, set())
                self._alone_at = self._lake.version(TABLE)
                return
            self._alone_at = None
            known = self._known(rows)
            new = rows.join(known, on=VERSION, how="anti", nulls_equal=True)
            if new.height:
                self._commit(new, set(hours_in(touched_hours(new, known))))

    def touch_stored(self, hours: Collection[datetime]) -> None:
        """Queue what the stored versions of these hours displaced: a run that was killed may have
        left that undone."""
        rows = self._lake.scan(TABLE).select(VERSION).filter(hours_expression(hours)).collect()
        if rows.height:
            known = self._known(rows).join(rows, on=VERSION, how="anti", nulls_equal=True)
            displaced = set(hours_in(touched_hours(rows, known)))
            self._touch(displaced, set())
            forget_consumed(self._lake, "cleaned_events", sorted(displaced))

    def _commit(self, new: pl.DataFrame, displaced: set[datetime]) -> None:
        hours = set(hours_in(new))
        self._touch(displaced, hours - self._own)
        # What an own hour has to show may change though its rows do not: it loses an event.
        forget_consumed(self._lake, "cleaned_events", sorted(hours | displaced))
        self._lake.append(TABLE, new)
        self.changed |= hours
        self.added += new.height

    def _touch(self, displaced: set[datetime], landed: set[datetime]) -> None:
        enqueue_hours(self._lake, "cleaned_events", displaced | landed)

    def _known(self, rows: pl.DataFrame) -> pl.DataFrame:
        keys = rows.select(ROW).unique().lazy()
        stored = self._lake.scan(TABLE).select(VERSION)
        return stored.join(keys, on=ROW, how="semi").collect()


def stored_contents(lake: Lake, hours: Collection[datetime]) -> Mapping[datetime, tuple[str, int]]:
    """Per hour a hash of the versions it holds, and their number; hours without any are absent."""
    text = pl.concat_str(
        *(pl.col(name).cast(pl.String).fill_null("") for name in (*ROW, "content_hash")),
        separator="\n",
    )
    hashed = plh.NonCryptographicHashingNameSpace(text).xxh3_64()
    sums = (
        lake.scan(TABLE)
        .filter(hours_expression(hours))
        .select(*INGEST_HOUR, hash=hashed)
        .group_by(INGEST_HOUR)
        .agg(rows=pl.len().cast(pl.Int64), hash=pl.col("hash").sum())
        .collect()
    )
    return {
        hours_in(one)[0]: (fingerprint(str(one["rows"][0]), str(one["hash"][0])), one["rows"][0])
        for one in sums.iter_slices(1)
    }
