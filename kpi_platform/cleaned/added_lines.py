"""Files that came to an hour that is cleaned: their lines become events, the others stay.

Belongs here: what changes of an hour to which lines are only added. Does not: cleaning whole
hours (`events_step.py`), and how it is known that the others are as they were.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from kpi_platform.cleaned.event_ledger import counted_files, moved_rows, summed_files
from kpi_platform.cleaned.events import EventCleaner, stored_accounts
from kpi_platform.engine.books.file_ledger import count_files
from kpi_platform.engine.books.hour_ledger import write_ledger
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, named

LINES_AT_A_TIME = 100_000
_EVENTS, _BAD, _LINES = "cleaned_events", "quarantined_events", "raw_telemetry"
_CARRIED = "event_attributes"
# What of a line decides, with its body, which event it is.
_IN_LINES = (
    "source",
    "service_name",
    "title_session_id",
    "title_transaction_id",
    "event_timestamp_utc",
)
_IN_EVENTS = ("source", "service_name", "session_id", "transaction_id", "event_at")


class AddedLines:
    """The lines of files that came to one hour."""

    def __init__(self, lake: Lake, sources: pl.DataFrame, hour: datetime) -> None:
        """`sources` as for `EventCleaner`."""
        self._lake = lake
        self._sources = sources
        self._hour = hour

    def add(self, paths: Sequence[str]) -> pl.DataFrame | None:
        """Add the events of these files and complete the ledgers; the hour's accounts after it.

        None, and nothing is changed, if another run changed the hour meanwhile.
        """
        taken = self._lake.read_hours("file_ledger", [self._hour])
        is_new = pl.col("file_name").is_in(paths)
        cleaner = self._decoded(self._lake.scan_hours(_LINES, [self._hour]).filter(is_new))
        known_ids: list[pl.Series] = []

        def fresh(stored: pl.LazyFrame) -> pl.DataFrame:
            there = stored.select("event_id").collect()["event_id"]
            events = pl.concat([TABLES[_EVENTS].polars_schema.to_frame(), *cleaner.events()])
            is_known = events["event_id"].is_in(there.implode())
            known_ids[:] = [events["event_id"].filter(is_known)]
            return events.filter(~is_known)

        if not self._lake.add_to_hour(_EVENTS, self._hour, fresh):
            return None
        self._write_bad(cleaner, paths)
        self._add_carried(cleaner.carried())
        moved = self._copies(cleaner, known_ids[0], paths)
        self._count(taken, paths, cleaner.file_accounts(), moved)
        return self._complete_ledger()

    def _decoded(self, lines: pl.LazyFrame) -> EventCleaner:
        cleaner = EventCleaner(self._sources)
        cleaner.add_all(lines.collect_batches(chunk_size=LINES_AT_A_TIME, maintain_order=False))
        return cleaner

    def _write_bad(self, cleaner: EventCleaner, paths: Sequence[str]) -> None:
        bad = cleaner.quarantined()
        if bad.height:
            where = f"p_stage = 'decode' AND {named('file_name', paths)}"
            self._lake.replace_hours(_BAD, bad, [self._hour], where)

    def _add_carried(self, new: pl.DataFrame) -> None:
        """Count the attributes of the new lines with those that are counted."""
        if new.height:
            stored = self._lake.read_hours(_CARRIED, [self._hour])
            keys = [name for name in stored.columns if name not in ("events", "carrying")]
            counts = pl.concat([stored.select(new.columns), new]).group_by(keys).agg(pl.all().sum())
            self._lake.replace_hours(_CARRIED, counts.select(new.columns), [self._hour])

    def _copies(
        self, cleaner: EventCleaner, known: pl.Series, paths: Sequence[str]
    ) -> pl.DataFrame:
        """Per event that other files have, too: `source`, the first of its new files, and the
        first of its others (`path_before`)."""
        new = cleaner.first_files().filter(pl.col("event_id").is_in(known.implode()))
        if new.is_empty():
            return new.with_columns(path_before="path").select("source", "path", "path_before")
        # Lines that may be of these events; the body, which costs most to read, decides last.
        others = (
            self._lake.scan_hours(_LINES, [self._hour])
            .filter(~pl.col("file_name").is_in(paths))
            .join(new.lazy(), left_on=_IN_LINES, right_on=_IN_EVENTS, how="semi")
        )
        before = self._decoded(others).first_files().select("event_id", path_before="path")
        return new.join(before, on="event_id").select("source", "path", "path_before")

    def _count(
        self,
        taken: pl.DataFrame,
        paths: Sequence[str],
        accounts: pl.DataFrame,
        copies: pl.DataFrame,
    ) -> None:
        new = taken.filter(pl.col("path").is_in(paths), pl.col("rows").is_null())
        nothing = pl.DataFrame(
            schema={n: TABLES[_LINES].polars_schema[n] for n in (*_ORIGIN, "file_name")}
        )

        def change(files: pl.DataFrame) -> pl.DataFrame:
            return moved_rows(counted_files(files, new, accounts, nothing), copies)

        count_files(self._lake, [self._hour], change)

    def _complete_ledger(self) -> pl.DataFrame:
        files = self._lake.read_hours("file_ledger", [self._hour])
        accounts = stored_accounts(self._lake.scan_hours(_EVENTS, [self._hour]))
        ledger = self._lake.read_hours("hour_ledger", [self._hour])
        write_ledger(self._lake, summed_files(ledger, files, accounts), [self._hour])
        return accounts


_ORIGIN = ("p_ingest_date_utc", "p_ingest_hour_utc", "source")
