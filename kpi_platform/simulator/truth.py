"""What is true of the world: collected from the events that were delivered, hour by hour.

Belongs here: counting and remembering what arrived, from the model, never from the files. Does
not: making the tables of players, sessions and days from it (see outcome.py).
"""

from dataclasses import dataclass, field

import polars as pl

from kpi_platform.simulator.files.file_codes import source_of
from kpi_platform.simulator.files.schedule import Schedule
from kpi_platform.simulator.people.events import CODE, NOT_ACTIVE
from kpi_platform.simulator.world import UNLISTED_STUDIO, all_sources

_EVENT = (
    *("uid", "is_blank", "stretch", "kind", "event_ms", "transaction_id"),
    *("player_told", "version_told", "device_told", "seconds_told", "amount_minor"),
)
_MARKS = ("player_told", "version_told", "device_told", "seconds_told")
DAY_MS = 86_400_000


@dataclass
class Truth:
    """What arrived so far.

    `hours` and `quarantined` are counts by source and hour; `stretches` counts distinct events
    by stretch and UTC day; `marks` are the events that name a player, version, device or
    duration; `blanks` the events without a session id; `spread` those with copies in several
    hours, which can only be counted at the end.
    """

    schedule: Schedule
    hours: list[pl.DataFrame] = field(default_factory=list)
    quarantined: list[pl.DataFrame] = field(default_factory=list)
    stretches: list[pl.DataFrame] = field(default_factory=list)
    marks: list[pl.DataFrame] = field(default_factory=list)
    blanks: list[pl.DataFrame] = field(default_factory=list)
    spread: list[pl.DataFrame] = field(default_factory=list)

    def take(self, lines: pl.DataFrame, hours: range) -> None:
        """Count the delivered `lines` (see `cut_short`) of the ingest hours `hours`."""
        self.hours.append(self._hour_counts(lines, hours))
        is_usable = pl.col("reason").is_null()
        self.quarantined.append(
            lines.filter(~is_usable)
            .group_by(source_of(pl.col("file")).alias("source"), "hour", "reason")
            .agg(count=pl.len().cast(pl.Int64))
        )
        usable = lines.filter(is_usable)
        self.spread.append(usable.filter("is_spread").select(_EVENT))
        self._remember(usable.filter(~pl.col("is_spread")).select(_EVENT).unique("uid"))

    def finish(self) -> None:
        """Count the events that came in several hours, once each. Call it once, at the end."""
        self._remember(pl.concat(self.spread).unique("uid"))

    def _remember(self, events: pl.DataFrame) -> None:
        self.blanks.append(events.filter("is_blank"))
        events = events.filter(~pl.col("is_blank"))
        self.marks.append(
            events.filter(pl.any_horizontal(pl.col(_MARKS).is_not_null())).drop("amount_minor")
        )
        is_active = ~pl.col("kind").is_in(NOT_ACTIVE)
        self.stretches.append(
            events.group_by("stretch", (pl.col("event_ms") // DAY_MS).alias("day")).agg(
                first_ms=pl.col("event_ms").min(),
                last_ms=pl.col("event_ms").max(),
                event_count=pl.len().cast(pl.Int64),
                crash_count=(pl.col("kind") == CODE["Crash"]).sum().cast(pl.Int64),
                active_count=is_active.sum().cast(pl.Int64),
                spent_minor=pl.col("amount_minor").sum(),
            )
        )

    def _hour_counts(self, lines: pl.DataFrame, hours: range) -> pl.DataFrame:
        is_usable = pl.col("reason").is_null()
        counts = lines.group_by(source_of(pl.col("file")).alias("source"), "hour").agg(
            files=pl.col("file").n_unique().cast(pl.Int64),
            truncated_files=pl.col("file").filter("is_truncated").n_unique().cast(pl.Int64),
            lines=pl.len().cast(pl.Int64),
            rows=pl.col("uid").filter(is_usable).n_unique().cast(pl.Int64),
            quarantined=(~is_usable).sum().cast(pl.Int64),
        )
        cells = [
            (source, hour, int((source, hour) in self.schedule.unreadable))
            for source, _, studio in all_sources()
            if studio != UNLISTED_STUDIO
            for hour in hours
        ]
        schema = {"source": pl.String, "hour": pl.Int64, "unreadable_files": pl.Int64}
        grid = pl.DataFrame(cells, schema=schema, orient="row")
        whole = grid.join(counts, on=["source", "hour"], how="full", coalesce=True)
        return (
            whole.with_columns(pl.exclude("source", "hour").fill_null(0))
            .with_columns(
                files=pl.col("files") + pl.col("unreadable_files"),
                duplicates=pl.col("lines") - pl.col("rows") - pl.col("quarantined"),
            )
            .sort("source", "hour")
        )
