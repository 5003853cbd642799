"""Whether as much arrives as usual: per source, service and event name, the same hour of the week.

Belongs here: the pure judgement of counts. Does not: what is usual (`usual_counts.py`), how far
below it is told (`usual_windows.py`), counting, and when it is judged. Shares of events that carry
an attribute: `attribute_drift.py`.

Whatever stops is told also where three weeks are not yet known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import polars as pl

from kpi_platform.monitoring.usual_counts import HISTORY_HOURS, KEY, every_hour, with_due
from kpi_platform.monitoring.usual_windows import WINDOWS, with_window
from kpi_platform.schemas.findings import Finding

__all__ = ["HISTORY_HOURS", "KEY", "Fall", "falls", "judge", "volume_findings"]
# Nothing came for two hours or more in which so many were expected: chance does not do that.
_STOPPED_EXPECTED = 15.0
_STOPPED_HOURS = 2
_LONGEST_SILENCE = 72
_MOST_NAMED = 5
Kind = Literal["stopped", "fell"]


@dataclass(frozen=True)
class Fall:
    """A series that is below its usual at `hour`: what came in the `hours` up to it, and what was
    expected. Blank service and event: the source as a whole; blank event: the service."""

    source: str
    service: str
    event: str
    kind: Kind
    hour: datetime
    hours: int
    came: int
    expected: float

    def words(self) -> str:
        """The fall in a line."""
        what = " ".join(part for part in (self.source, self.service, self.event) if part)
        return (
            f"{what}: {self.came:,} in the {self.hours} hours up to {self.hour:%Y-%m-%d %H:%M},"
            f" usual are {self.expected:,.0f}"
        )


def falls(counts: pl.DataFrame, hours: Sequence[datetime]) -> list[Fall]:
    """The series that are below their usual at any of these complete hours, one for each.

    `counts`: `source`, `service_name`, `event_name` (blank: all of them), `hour` (UTC) and `count`,
    a row for each complete hour, zero where nothing came; an hour that is not complete has no row.
    `HISTORY_HOURS` before the first of `hours` are enough.
    """
    judged = judge(counts).filter(pl.col("hour").is_in(list(hours)), pl.col("kind") != "")
    first = judged.sort(*KEY, "hour").unique(KEY, keep="first", maintain_order=True)
    return [
        Fall(*row)
        for row in first.select(*KEY, "kind", "hour", "window", "came", "expected").iter_rows()
    ]


def volume_findings(found: Sequence[Fall]) -> list[Finding]:
    """One finding for each source that is below its usual, or some of whose services and events
    are: a source that sends nothing is told once, not once for each of its events."""
    whole = {each.source for each in found if not each.service}
    causes: dict[tuple[str, str], list[str]] = {}
    for each in found:
        if not each.service:
            causes.setdefault(("source_silent", each.source), []).append(each.words())
        elif each.source not in whole:
            causes.setdefault(("attribute_silent", each.source), []).append(each.words())
    return [
        Finding(kind, "hour_ledger", "; ".join(words[:_MOST_NAMED]), source=source)
        for (kind, source), words in causes.items()
    ]


def judge(counts: pl.DataFrame) -> pl.DataFrame:
    """Every series and hour with `kind` (`stopped`, `fell` or blank), and of the first window that
    tells `window` (hours), `came` and `expected`."""
    if counts.is_empty():
        return counts.with_columns(
            kind=pl.lit(""), window=pl.lit(0), came=pl.lit(0), expected=pl.lit(0.0)
        )
    rows = with_due(every_hour(counts))
    for number, window in enumerate(WINDOWS):
        rows = with_window(rows, window, number)
    rows = _stopped(rows)
    window_names = [f"_tells_{number}" for number in range(len(WINDOWS))]
    which = pl.coalesce(
        pl.when("_has_stopped").then(pl.lit(-1)),
        *(pl.when(name).then(pl.lit(number)) for number, name in enumerate(window_names)),
    )
    return rows.with_columns(_which=which).select(
        *KEY,
        "hour",
        kind=pl.when(pl.col("_which") < 0)
        .then(pl.lit("stopped"))
        .when(pl.col("_which") >= 0)
        .then(pl.lit("fell"))
        .otherwise(pl.lit("")),
        window=_chosen("_silent_hours", [pl.lit(each.hours) for each in WINDOWS]),
        came=_chosen(None, [pl.col(f"_came_{n}") for n in range(len(WINDOWS))]).cast(pl.Int64),
        expected=_chosen("_silent_expected", [pl.col(f"_due_{n}") for n in range(len(WINDOWS))]),
    )


def _chosen(stopped: str | None, of_windows: list[pl.Expr]) -> pl.Expr:
    found = pl.when(pl.col("_which") == -1).then(pl.col(stopped) if stopped else pl.lit(0))
    for number, value in enumerate(of_windows):
        found = found.when(pl.col("_which") == number).then(value)  # type: ignore[assignment]
    return found.otherwise(None)


def _stopped(rows: pl.DataFrame) -> pl.DataFrame:
    """Series of which nothing comes, where enough came at these hours of the days before."""
    days = [pl.col("count").shift(24 * day).over(KEY) for day in (1, 2, 3, 7)]
    least = pl.min_horizontal(*days)
    known = sum((day.is_not_null().cast(pl.Int8) for day in days), start=pl.lit(0, pl.Int8))
    silent = pl.col("count") == 0
    rows = rows.with_columns(
        # A day that the silence itself covers says nothing.
        _least=pl.when(known >= 2).then(pl.coalesce("due", least)).fill_null(0),
        _run=(~silent.fill_null(value=False)).cum_sum().over(KEY),
    )
    run = [*KEY, "_run"]
    rows = rows.with_columns(
        _silent_hours=silent.fill_null(value=False).cast(pl.Int32).cum_sum().over(run),
        _silent_expected=pl.when(silent).then("_least").otherwise(0.0).cum_sum().over(run),
    )
    return rows.with_columns(
        _has_stopped=silent.fill_null(value=False)
        & (pl.col("_silent_hours") >= _STOPPED_HOURS)
        & (pl.col("_silent_hours") <= _LONGEST_SILENCE)
        & (pl.col("_silent_expected") >= _STOPPED_EXPECTED)
    )
