"""How far a change of session parts reaches: the parts and sessions that it may touch.

Belongs here: what goes, what comes, and what is connected with either. Does not: what the
sessions then look like, which is `sessions.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from kpi_platform.cleaned.sessionization.session_parts import SESSION_OF_HOUR
from kpi_platform.schemas.tables import SESSION
from kpi_platform.storage.lake.delta.lake_files import Span
from kpi_platform.storage.lake.lake import Lake, hours_expression, hours_in

_SPAN = [*SESSION_OF_HOUR, "first_at", "last_at"]


@dataclass(frozen=True)
class PartsChange:
    """What is to become of the parts of some hours.

    `own` hours are replaced whole; of other hours the sessions in `keys` (`SESSION_OF_HOUR`).
    `stored` are the rows of all these hours as they are, `new` the parts that come.
    """

    own: Sequence[datetime]
    keys: pl.DataFrame
    stored: pl.DataFrame
    new: pl.DataFrame

    @property
    def hours(self) -> list[datetime]:
        """All hours that are written."""
        return sorted({*self.own, *hours_in(self.keys)})

    @property
    def staying(self) -> pl.DataFrame:
        """Stored rows of other hours that the change leaves alone."""
        others = self.stored.filter(~hours_expression(self.own))
        return others.join(self.keys, on=SESSION_OF_HOUR, how="anti")

    @property
    def replaced(self) -> pl.DataFrame:
        """Stored rows that the change replaces, those without events of earlier runs included."""
        is_own = hours_expression(self.own)
        others = self.stored.filter(~is_own).join(self.keys, on=SESSION_OF_HOUR, how="semi")
        return pl.concat([self.stored.filter(is_own), others])

    @property
    def emptied(self) -> pl.DataFrame:
        """Spans that no new part has: kept without events until the sessions are committed."""
        gone = self.replaced.join(self.new, on=_SPAN, how="anti")
        return gone.with_columns(pl.lit(0, pl.Int64).alias("event_count"))

    def commit(self, lake: Lake) -> None:
        """Write the parts, unless they are as they should be."""
        rows = pl.concat([self.staying, self.new, self.emptied])
        is_as_stored = rows.height == self.stored.height and rows.sort(rows.columns).equals(
            self.stored.sort(rows.columns)
        )
        if not is_as_stored:
            lake.replace_hours("session_parts", rows, self.hours)

    def refreshed(self, lake: Lake, keys: pl.DataFrame, made: pl.DataFrame) -> "PartsChange":
        """The change with those of the sessions in `keys` whose parts differ from those `made`."""
        hours = hours_in(keys)
        others = lake.read_hours("session_parts", set(hours) - set(self.own))
        known = pl.concat([others.join(self.keys, on=SESSION_OF_HOUR, how="anti"), self.new])
        known = known.filter(pl.col("event_count") > 0).join(keys, on=SESSION_OF_HOUR, how="semi")
        stale = (
            pl.concat(
                [known.join(made, on=_SPAN, how="anti"), made.join(known, on=_SPAN, how="anti")]
            )
            .select(SESSION_OF_HOUR)
            .unique()
        )
        if stale.is_empty():
            raise AssertionError("sessions differ from their parts though no part is stale")
        new = pl.concat(
            [
                self.new.join(stale, on=SESSION_OF_HOUR, how="anti"),
                made.join(stale, on=SESSION_OF_HOUR, how="semi"),
            ]
        )
        beyond = pl.concat([self.keys, stale.filter(~hours_expression(self.own))]).unique()
        stored = lake.read_hours("session_parts", {*self.own, *hours_in(beyond)})
        return PartsChange(self.own, beyond, stored, new)


def read_change(lake: Lake, hours: Sequence[datetime], new: pl.DataFrame) -> PartsChange:
    """The change that replaces the parts of `hours` by `new`."""
    stored = lake.read_hours("session_parts", hours)
    return PartsChange(hours, new.select(SESSION_OF_HOUR).clear(), stored, new)


def connected(
    lake: Lake, change: PartsChange, silence: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All parts, the new ones included, and the stored sessions that the change may reach.

    A session may start long before the hour that touches it, so the spans that the change
    touches are widened by the sessions and parts they meet until they meet no more.
    """
    new = change.new
    spans = _spans([change.replaced, new])
    while True:
        reach = spans.with_columns(
            _from=pl.col("first_at") - silence, _to=pl.col("last_at") + silence
        ).drop("first_at", "last_at")
        old = _meeting(lake, "sessions", ("started_at", "ended_at"), reach).collect()
        # Ghosts of other hours belong to runs that were killed, and are theirs to deal with.
        stored = (
            _meeting(lake, "session_parts", ("first_at", "last_at"), reach)
            .filter(~hours_expression(change.own), pl.col("event_count") > 0)
            .join(change.keys.lazy(), on=SESSION_OF_HOUR, how="anti")
        )
        parts = pl.concat([stored.collect(), new])
        lengths = old.with_columns(first_at="started_at", last_at="ended_at")
        wider = _spans([spans, lengths, parts])
        if wider.equals(spans):
            return parts, old
        spans = wider


def _spans(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Per session id, from its first to its last event in any of the frames."""
    columns = [*SESSION, "first_at", "last_at"]
    return (
        pl.concat([frame.select(columns) for frame in frames])
        .group_by(SESSION)
        .agg(pl.col("first_at").min(), pl.col("last_at").max())
        .sort(SESSION)
    )


def _meeting(lake: Lake, table: str, span: Span, reach: pl.DataFrame) -> pl.LazyFrame:
    """The rows of a table whose span meets the reach of their session id."""
    rows = lake.scan_span(table, span, reach["_from"], reach["_to"])
    first, last = span
    return (
        rows.join(reach.lazy(), on=SESSION, how="inner")
        .filter(pl.col(last) >= pl.col("_from"), pl.col(first) <= pl.col("_to"))
        .select(rows.collect_schema().names())
    )
