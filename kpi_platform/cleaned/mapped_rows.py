"""Rows of console feeds and studios' tables, read back hour by hour and put through their mapping.

Belongs here: which stored rows an hour's events are made of, and their account. Does not: what a
mapping does (`conform.py`), which version counts (`row_versions.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import polars as pl

from kpi_platform.cleaned.conform import Conformed, RowOrigin, conform, unmapped
from kpi_platform.engine.books.kept_days import closed_days
from kpi_platform.engine.current_rows import current_rows
from kpi_platform.engine.hour_steps import error_line
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.row_versions import superseded
from kpi_platform.schemas.sources_file.source_tables import ConsoleFeed, EventMapping, StreamFeed
from kpi_platform.schemas.sources_file.sources import Source, Sources
from kpi_platform.schemas.sources_file.stream_figures import captured_stream_rows
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.schemas.texts.row_faults import FAULTS
from kpi_platform.storage.lake.lake import Lake

ROWS_AT_A_TIME = 200_000
CONSOLE, STUDIO = "raw_console_feed", "raw_studio_events"
_GROUP = [*INGEST_HOUR, "source", "table_name"]
_PLACE = (*INGEST_HOUR, "source", "file_name")
_NO_LINES = TABLES["raw_telemetry"].polars_schema
_QUARANTINED = TABLES["quarantined_events"].polars_schema
_COUNTS = pl.Schema(
    {
        "p_ingest_date_utc": pl.Date(),
        "p_ingest_hour_utc": pl.Int32(),
        **dict.fromkeys(("source", "table_name", "what"), pl.String()),
        "count": pl.Int64(),
    }
)
_ERRORS = pl.Schema(
    {
        "p_ingest_date_utc": pl.Date(),
        "p_ingest_hour_utc": pl.Int32(),
        "source": pl.String(),
        "mapping_error": pl.String(),
    }
)


@dataclass
class RowAccount:
    """What became of rows. `counts`: one frame per piece with the ingest hour, `source`,
    `table_name` (null for a feed's files), `what` (`rows`, `figures`, `quarantined`, `left_out`,
    `sealed`, `duplicates`, `lines`) and `count`. Rows of a stream platform's table are `figures`,
    no events. `left_out`: the rows of feeds' files that are no events; `sealed`: those of days
    whose events may be gone. `errors`: ingest hour, `source` and `mapping_error` of mappings that
    cannot be applied."""

    counts: list[pl.DataFrame] = field(default_factory=list)
    left_out: list[pl.DataFrame] = field(default_factory=list)
    sealed: list[pl.DataFrame] = field(default_factory=list)
    errors: list[pl.DataFrame] = field(default_factory=list)

    def fail(self, rows: pl.DataFrame, source: str, error: str) -> None:
        """Note that a source's mapping could not be applied to any of these rows."""
        hours = rows.select(INGEST_HOUR).unique()
        self.errors.append(hours.with_columns(source=pl.lit(source), mapping_error=pl.lit(error)))

    def error_table(self) -> pl.DataFrame:
        """One row per ingest hour and source whose mapping cannot be applied: `mapping_error`."""
        every = pl.concat([_ERRORS.to_frame(), *self.errors])
        return every.group_by(*INGEST_HOUR, "source").agg(pl.col("mapping_error").min())

    def add(self, rows: pl.DataFrame, what: str, source: str, table: str | None) -> None:
        """Count rows of one source and table by their ingest hour."""
        named = rows.select(
            *INGEST_HOUR, source=pl.lit(source), table_name=pl.lit(table, pl.String)
        )
        self.add_counts(named.group_by(_GROUP).agg(count=pl.len()), what)

    def add_counts(self, counts: pl.DataFrame, what: str) -> None:
        """Take counts per ingest hour, `source` and `table_name`."""
        self.counts.append(
            counts.select(*_GROUP, what=pl.lit(what), count=pl.col("count").cast(pl.Int64))
        )

    def left_out_rows(self) -> pl.DataFrame:
        """Ingest hour, `source` and `file_name` of every row of a file that is no event."""
        return pl.concat([_NO_LINES.to_frame().select(_PLACE), *self.left_out])

    def sealed_rows(self) -> pl.DataFrame:
        """The same of every row of a file that came for a day whose events may be gone."""
        return pl.concat([_NO_LINES.to_frame().select(_PLACE), *self.sealed])

    def table(self) -> pl.DataFrame:
        """The sums, one row per ingest hour, source and table: a column for each `what`."""
        every = pl.concat([_COUNTS.to_frame(), *self.counts])
        sums = [
            pl.col("count").filter(pl.col("what") == what).sum().alias(what)
            for what in (
                "lines",
                "rows",
                "figures",
                "quarantined",
                "duplicates",
                "left_out",
                "sealed",
            )
        ]
        return every.group_by(_GROUP).agg(sums).sort(_GROUP)


class MappedRows:
    """The rows of hours that a mapping makes events of."""

    def __init__(self, lake: Lake, sources: Sources, future_limit: timedelta) -> None:
        self._lake = lake
        self._future_limit = future_limit
        self._sources = {
            source.key: (studio, game, source) for studio, game, source in sources.walk()
        }
        self._marks = {key: _mark(source) for key, (*_, source) in self._sources.items()}

    def fingerprint(self, sources: Sequence[str]) -> str:
        """A hash of the mappings of these sources."""
        return fingerprint(*(self._marks.get(source, "") for source in sorted(sources)))

    def console_rows(self, hours: Sequence[datetime], account: RowAccount) -> Iterator[Conformed]:
        """Consoles' rows as lines, some at a time; what is no line is added to `account`."""
        for part in self._lake.read_hours_in_parts(CONSOLE, hours, ROWS_AT_A_TIME):
            rows = part.with_columns(
                row_key=pl.lit(None, pl.String), table_name=pl.lit(None, pl.String)
            )
            yield from self._through_mappings(rows, account)

    def studio_rows(self, hours: Sequence[datetime], account: RowAccount) -> Iterator[Conformed]:
        """Rows of studios' tables as lines, in the same way."""
        found = current_rows(self._lake, hours)
        account.add_counts(found.own.group_by(_GROUP).agg(count=pl.len()), "lines")
        account.add_counts(superseded(found.own, found.current), "duplicates")
        for part in found.parts(ROWS_AT_A_TIME):
            yield from self._through_mappings(part, account)

    def _through_mappings(self, rows: pl.DataFrame, account: RowAccount) -> Iterator[Conformed]:
        closed = closed_days(self._lake)
        through = closed.through if closed else date.min
        for (source, table), group in rows.partition_by(
            "source", "table_name", as_dict=True, include_key=True
        ).items():
            name = None if table is None else str(table)
            made = self._judged(str(source), group, account, name)
            is_late = pl.col("event_timestamp_utc").dt.date() <= through
            late = made.lines.filter(is_late)
            if late.height:
                made = replace(made, lines=made.lines.filter(~is_late))
                account.add(late, "sealed", str(source), name)
                if name is None:
                    account.sealed.append(late.select(_PLACE))
            account.add(made.lines, "rows", str(source), name)
            account.add(made.quarantined, "quarantined", str(source), name)
            account.add(made.left_out, "left_out", str(source), name)
            if name is None:
                account.left_out.append(made.left_out.select(_PLACE))
            yield made

    def _judged(
        self, source: str, rows: pl.DataFrame, account: RowAccount, table: str | None
    ) -> Conformed:
        """What one source's rows become. Whatever its mapping raises is its own: the rows are kept
        in quarantine, the ledger names the error, and the other sources go on."""
        try:
            figures = self._figures(source, rows, account, table)
            return figures or conform(rows, *self._mapping(source, table))
        except FAULTS as error:
            account.fail(rows, source, error_line(error))
            return Conformed(_NO_LINES.to_frame(), unmapped(rows), rows.clear())

    def _figures(
        self, key: str, rows: pl.DataFrame, account: RowAccount, table: str | None
    ) -> Conformed | None:
        """The account of a stream platform's table, whose rows are no events: `stream_stats` is
        made of them. None if the source is no such table."""
        studio, game, source = self._sources.get(key, ("", "", None))
        feed = source.feed if source is not None else None
        if not isinstance(feed, StreamFeed):
            return None
        good, bad, others = captured_stream_rows(rows, feed, studio, game, self._future_limit)
        account.add(good, "figures", key, table)
        quarantined = bad.with_columns(p_stage=pl.lit("decode")).select(_QUARANTINED.names())
        return Conformed(_NO_LINES.to_frame(), quarantined.cast(_QUARANTINED), others)

    def _mapping(self, key: str, table: object) -> tuple[EventMapping, RowOrigin]:
        """The mapping of a table or feed, and what its rows share. A table that is no longer
        mapped has none: its rows are no events."""
        _, game, source = self._sources.get(key, ("", key, None))
        feed = source.feed if source is not None else None
        if isinstance(feed, ConsoleFeed):
            return feed, RowOrigin(game, "Console", self._future_limit, feed.decimal)
        mappings = [m for m in (source.tables if source else ()) if m.table == table]
        return (mappings[0] if mappings else _NO_EVENTS), RowOrigin(
            game, future_limit=self._future_limit
        )


def _mark(source: Source) -> str:
    return source.model_dump_json(
        exclude={"since", "until", "player_ids", "reread_hours", "overwrites"}
    )


# No column says yes to this: every row is left out.
_NO_EVENTS = EventMapping.model_validate({"only": {"column": "\0", "equals": ["\0"]}})
