"""Whether as much arrives as usual: per source, service and event name, the same hour of the week.

Belongs here: the pure judgement of counts. Does not: what is usual (`usual_counts.py`), how far
below it is told (`usual_windows.py`), counting, and when it is judged. Shares of events that carry
an attribute: `attribute_drift.py`.

Whatever stops is told also where three weeks are not yet known.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl

from kpi_platform.monitoring.series import Marks, Matrix, later
from kpi_platform.monitoring.usual_counts import HISTORY_HOURS, due_by_hour, usual_of
from kpi_platform.monitoring.usual_windows import FamilySizes, judge_windows, may_tell
from kpi_platform.schemas.findings import Finding

__all__ = ["HISTORY_HOURS", "KEY", "Fall", "falls", "judge", "volume_findings"]
KEY = ("source", "service_name", "event_name")
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
        span = "hour" if self.hours == 1 else f"{self.hours} hours"
        end, unit = self.hour + timedelta(hours=1), "events" if self.service else "lines"
        return (
            f"{what}: {self.came:,} {unit} in the {span} until {end:%Y-%m-%d %H:%M} UTC,"
            f" usual are {self.expected:,.0f}"
        )


def falls(counts: pl.DataFrame, hours: Sequence[datetime]) -> list[Fall]:
    """The series that are below their usual at any of these complete hours, one for each.

    `counts`: `source`, `service_name`, `event_name` (blank: all of them), `hour` (UTC) and `count`,
    a row for each complete hour, zero where nothing came; an hour that is not complete has no row.
    `HISTORY_HOURS` before the first of `hours` are enough.
    """
    judged = judge(counts, hours).filter(pl.col("hour").is_in(list(hours)), pl.col("kind") != "")
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


def judge(counts: pl.DataFrame, hours: Sequence[datetime] | None = None) -> pl.DataFrame:
    """Every series and hour with `kind` (`stopped`, `fell` or blank), and of the first window that
    tells `window` (hours), `came` and `expected`.

    `hours`: those that are asked for, if not all; services and events of which nothing can be told
    in any of them are left out.
    """
    if counts.is_empty():
        return counts.with_columns(
            kind=pl.lit(""), window=pl.lit(0), came=pl.lit(0), expected=pl.lit(0.0)
        )
    grid = _grid(counts)
    series = grid.select(KEY).unique(maintain_order=True)
    known = grid["count"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    # What is usual of the hour after the newest says something of the newest, too.
    by_series = np.pad(known.reshape(series.height, -1), ((0, 0), (0, 1)), constant_values=np.nan)
    is_source = (series["service_name"] == "").to_numpy()
    family = FamilySizes(int(is_source.sum()), int((~is_source).sum()))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        by_hour = due_by_hour(by_series)
        is_asked = grid["hour"][: known.size // series.height].is_in(list(hours or ())).to_numpy()
        may = may_tell(by_series, by_hour)[:, :-1] | _stopped(by_series, by_hour)[0][:, :-1]
        kept = is_source | (may[:, is_asked].any(axis=1) if hours is not None else True)
        by_series, by_hour, is_source = by_series[kept], by_hour[kept], is_source[kept]
        windows = judge_windows(by_series, usual_of(by_series, by_hour), is_source, family)
        has_stopped, silent_hours, silent_due = _stopped(by_series, by_hour)
    told = [has_stopped, *(each.tells for each in windows)]
    lasted = [silent_hours, *(np.full_like(by_series, each.window.hours) for each in windows)]
    came = [np.zeros_like(by_series), *(each.came for each in windows)]
    due = [silent_due, *(each.due for each in windows)]
    return grid.filter(pl.Series(np.repeat(kept, known.size // series.height))).select(
        *KEY,
        "hour",
        kind=_column(told, ["stopped", *["fell"] * len(windows)], ""),
        window=_column(told, lasted, 0).cast(pl.Int32),
        came=_column(told, came, 0).cast(pl.Int64),
        expected=_column(told, due, 0.0),
    )


def _column(
    told: Sequence[Marks], values: Sequence[Matrix | str], otherwise: float | str
) -> pl.Series:
    """Of each hour the value of the first that is told."""
    return pl.Series(np.select(list(told), list(values), otherwise)[:, :-1].ravel())


def _grid(counts: pl.DataFrame) -> pl.DataFrame:
    """Each series with every hour from the first to the newest of all, in order; null where none
    is known."""
    hour = counts["hour"].cast(pl.Datetime("us"))
    hours = pl.select(pl.datetime_range(pl.lit(hour).min(), pl.lit(hour).max(), "1h").alias("hour"))
    series = counts.select(KEY).unique().sort(KEY)
    grid = series.join(hours, how="cross")
    return grid.join(counts.with_columns(hour), on=[*KEY, "hour"], how="left").sort(*KEY, "hour")


def _stopped(counts: Matrix, due: Matrix) -> tuple[Marks, Matrix, Matrix]:
    """Series of which nothing comes, where enough came at these hours of the days before: whether,
    for how many hours, and how many were due in them."""
    days = np.stack([later(counts, 24 * day) for day in (1, 2, 3, 7)])
    least = np.nanmin(np.where(np.isfinite(days), days, np.inf), axis=0)
    known = np.isfinite(days).sum(axis=0)
    # A day that the silence itself covers says nothing.
    expected = np.where(np.isfinite(due), due, np.where(known > 0, least, 0.0))
    expected = np.where(known >= 2, expected, 0.0)
    is_silent = counts == 0
    hours, were_due = (_since_last(np.where(is_silent, x, 0.0), is_silent) for x in (1.0, expected))
    has_stopped = (
        is_silent
        & (hours >= _STOPPED_HOURS)
        & (hours <= _LONGEST_SILENCE)
        & (were_due >= _STOPPED_EXPECTED)
    )
    return has_stopped, hours, were_due


def _since_last(x: Matrix, goes_on: Marks) -> Matrix:
    """The sum of the hours up to each since it last did not go on."""
    sums = x.cumsum(axis=1)
    return sums - np.maximum.accumulate(np.where(goes_on, 0.0, sums), axis=1)
