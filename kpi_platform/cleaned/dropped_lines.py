"""Events of an hour whose telemetry lines are gone: they stay, and what came later is added.

Belongs here: what can still change of such an hour. Does not: cleaning whole hours
(`events_step.py`), and how an hour loses its lines (`retention/`).
"""

from collections.abc import Callable
from datetime import datetime

import polars as pl

from kpi_platform.cleaned.added_lines import AddedLines
from kpi_platform.cleaned.event_ledger import completed_ledger, counted_files, table_ledger
from kpi_platform.cleaned.events import EventCleaner, stored_accounts
from kpi_platform.cleaned.mapped_rows import RowAccount
from kpi_platform.engine.books.file_ledger import FilesChangedError, count_files, read_files
from kpi_platform.engine.books.hour_ledger import write_ledger
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, named

_TRIES = 3
_OTHERS = ("warehouse", "console", "stream")

Lines = Callable[[EventCleaner, RowAccount], None]
"""Adds the lines of what is no telemetry to a cleaner, and what became of rows to an account."""


class DroppedLines:
    """One hour whose telemetry lines are gone."""

    def __init__(self, lake: Lake, sources: pl.DataFrame, hour: datetime) -> None:
        """`sources` as for `EventCleaner`."""
        self._lake = lake
        self._sources = sources
        self._hour = hour

    def bring_up_to_date(self, other_lines: Lines) -> pl.DataFrame:
        """Add the events of files that came since, and make those of feeds and warehouses, whose
        rows are all there, anew; the hour's accounts after it.

        Raises FilesChangedError if other runs keep changing the hour.
        """
        self._add()
        ledger = self._lake.read_hours("hour_ledger", [self._hour])
        others = ledger.filter(pl.col("kind").is_in(_OTHERS))["source"].sort().to_list()
        if others:
            self._replace(others, other_lines)
        return stored_accounts(self._lake.scan_hours("cleaned_events", [self._hour]))

    def _add(self) -> None:
        for _ in range(_TRIES):
            files = read_files(self._lake, [self._hour], "telemetry")[self._hour]
            new = [file.path for file in files if file.rows is None]
            if not new or AddedLines(self._lake, self._sources, self._hour).add(new) is not None:
                return
        raise FilesChangedError(f"other runs keep changing {self._hour:%Y-%m-%d %H:%M}")

    def _replace(self, sources: list[str], other_lines: Lines) -> None:
        hours = [self._hour]
        is_of_sources, where = pl.col("source").is_in(sources), named("source", sources)
        cleaner, account = EventCleaner(self._sources), RowAccount()
        taken = self._lake.read_hours("file_ledger", hours).filter(is_of_sources)
        other_lines(cleaner, account)
        self._lake.stream_hours("cleaned_events", cleaner.events, hours, where, is_alone=True)
        bad = cleaner.quarantined()
        self._lake.replace_hours(
            "quarantined_events", bad, hours, f"p_stage = 'decode' AND {where}"
        )
        by_file, left_out = cleaner.file_accounts(), account.left_out_rows()
        late = account.sealed_rows()
        count_files(
            self._lake, hours, lambda files: counted_files(files, taken, by_file, left_out, late)
        )
        ledger = self._lake.read_hours("hour_ledger", hours)
        completed = completed_ledger(ledger.filter(is_of_sources), cleaner.accounts(), account)
        write_ledger(self._lake, pl.concat([ledger.filter(~is_of_sources), completed]), hours)
        for table, rows in (
            ("table_ledger", table_ledger(account)),
            ("event_attributes", cleaner.carried()),
        ):
            names = TABLES[table].polars_schema.names()
            self._lake.replace_hours(table, rows.select(names), hours, where)
