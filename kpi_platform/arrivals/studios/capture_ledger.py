"""The ledger's view of captured sources: which hours each has, and which could not be read.

Belongs here: the status of a source in an hour. Does not: where its rows went, which is counted
when events are made of them.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.arrivals.studios.capture_plan import CapturedSource
from kpi_platform.arrivals.studios.version_store import TABLE
from kpi_platform.engine.books.hour_fingerprints import read_consumed
from kpi_platform.engine.books.hour_ledger import empty_rows, read_ledger, write_ledger
from kpi_platform.engine.books.hour_queue import enqueue_hours
from kpi_platform.schemas.sources_file.sources import Kind
from kpi_platform.storage.lake.lake import Lake, hours_in, hours_of

_KIND: Kind = "warehouse"


class CaptureLedger:
    """Reads and writes the ledger rows of sources in warehouses."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def captured_among(self, hours: Collection[datetime]) -> set[datetime]:
        """Those of these hours that were captured, by any run."""
        return set(read_consumed(self._lake, TABLE, hours))

    def failed_hours(self) -> dict[str, set[datetime]]:
        """Per source the hours in which it could not be read."""
        failed = self._lake.scan("hour_ledger").filter(
            pl.col("kind") == _KIND, pl.col("source_error").is_not_null()
        )
        by_source = failed.collect().partition_by("source", as_dict=True)
        return {str(key[0]): set(hours_in(rows)) for key, rows in by_source.items()}

    def would_mend(
        self,
        plan: Sequence[CapturedSource],
        hours: Sequence[datetime],
        asked: Collection[str],
        errors: Mapping[str, str],
    ) -> bool:
        """Whether a source that had failed in these hours, or was never asked, has been read."""
        return not self._mended(plan, asked, errors).isdisjoint(hours)

    def write(
        self,
        plan: Sequence[CapturedSource],
        hours: Sequence[datetime],
        asked: Collection[str],
        errors: Mapping[str, str],
    ) -> set[datetime]:
        """Write the rows of these hours, and of the hours that a source now read had failed in:
        these are returned. Of a source that was not `asked` nothing was read.

        An hour that was captured stays so if a later look at it fails. Rows wait for the decoding.
        """
        mended = self._mended(plan, asked, errors)
        unasked = {each.key: each for each in plan if each.key not in asked}
        own = set(hours)
        touched = sorted(own | mended)
        known = hours_of(read_ledger(self._lake, touched, _KIND), touched)
        rows = [
            self._hour(hour, plan, known[hour], unasked, errors, is_own=hour in own)
            for hour in touched
        ]
        ledger = pl.concat(rows) if rows else pl.DataFrame()
        if ledger.height:
            enqueue_hours(self._lake, "cleaned_events", mended.difference(hours))
            write_ledger(self._lake, ledger, touched, _KIND)
        return mended

    def _mended(
        self, plan: Sequence[CapturedSource], asked: Collection[str], errors: Mapping[str, str]
    ) -> set[datetime]:
        """The hours that a source had failed in and that were read now, or that need not be."""
        failed = self.failed_hours()
        return {
            hour
            for each in plan
            for hour in failed.get(each.key, ())
            if not each.source.active_in(hour) or (each.key in asked and each.key not in errors)
        }

    def _hour(
        self,
        hour: datetime,
        plan: Sequence[CapturedSource],
        known: pl.DataFrame,
        unasked: Mapping[str, CapturedSource],
        errors: Mapping[str, str],
        *,
        is_own: bool,
    ) -> pl.DataFrame:
        before = dict(known.select("source", "source_error").iter_rows())
        active = {each.key for each in plan if is_own and each.source.active_in(hour)}
        now = {}
        for key in sorted({*before, *active}):
            known_error = before.get(key, "")
            if known_error and key in unasked and unasked[key].source.active_in(hour):
                now[key] = known_error
            else:
                now[key] = None if known_error is None else errors.get(key)
        rows = empty_rows(hour, now, _KIND)
        texts = pl.Series(list(now.values()), dtype=pl.String)
        return rows.with_columns(
            source_error=texts,
            error=texts,
            rows=pl.lit(None, pl.Int64),
            status=pl.when(texts.is_null()).then(pl.lit("processed")).otherwise(pl.lit("failed")),
        )
