"""Whether as much arrives as usual: per source, service and event name, the same hour of the week.

Belongs here: the pure judgement of counts. Does not: counting, and when it is judged. Shares of
events that carry an attribute: `attribute_drift.py`.

Usual is the median of the same hour one, two and three weeks before, so that one odd week (a
holiday, a release, files sent twice) counts for nothing, and a level that has held for two weeks is
the new usual. It is scaled by how the weeks before the last one compared with their own usual, so
that growth is followed and a fall is not. An hour's own value never counts, nor does what another
run made of it: only the hour.

Three windows, as small numbers cannot tell within two hours, and a slow decline never shows in
them. Chance is what the series' own windows of the last weeks varied by, and no less than the
square root of what was expected. Whatever stops is told also where three weeks are not yet known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import polars as pl

from kpi_platform.schemas.findings import Finding

WEEK = 168
# What is read: the usual of hours whose own usual is needed for the level.
HISTORY_HOURS = 7 * WEEK
KEY = ("source", "service_name", "event_name")
# Of a normal distribution, from the median distance to the standard deviation.
_SPREAD_OF_MEDIAN = 1.4826
_GREATEST_SCALE, _LEAST_SCALE = 1.5, 0.7
# Nothing came for two hours or more in which so many were expected: chance does not do that.
_STOPPED_EXPECTED = 15.0
_STOPPED_HOURS = 2
_LONGEST_SILENCE = 72
_MOST_NAMED = 5


@dataclass(frozen=True)
class Window:
    """Hours to judge together: below `share` of the usual, and by `spreads` more than chance.

    `now`: the share under which the newest `of` hours must be, too: what came back is over.
    Chance is what the series varied by, from `least` to `most` (of a logarithm). `since`: hours
    before the window with which it is compared beside, as what comes at once stands out there; if
    they had more than usual (the day of a holiday), with the usual.
    Where fewer than `fewest` are expected, nothing is told.
    """

    hours: int
    share: float
    spreads: float
    of: int
    now: float
    least: float
    most: float
    fewest: int = 0
    since: int = 0


WINDOWS = (
    Window(2, 0.6, 5.2, 1, 0.65, 0.06, 0.1, fewest=285, since=24),
    Window(24, 0.6, 4.5, 2, 0.72, 0.04, 0.08),
    Window(48, 0.82, 3.9, 24, 0.82, 0.04, 0.05),
)
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
    rows = _expected(_every_hour(counts))
    for number, window in enumerate(WINDOWS):
        rows = _judged(rows, window, number)
    rows = _stopped(rows)
    told = [f"_tells_{number}" for number in range(len(WINDOWS))]
    which = pl.coalesce(
        pl.when("_has_stopped").then(pl.lit(-1)),
        *(pl.when(name).then(pl.lit(number)) for number, name in enumerate(told)),
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


def _every_hour(counts: pl.DataFrame) -> pl.DataFrame:
    """Each series with every hour from its first to the newest of all; null where none is known."""
    newest = counts["hour"].max()
    spans = counts.group_by(KEY).agg(pl.col("hour").min().alias("first"))
    grid = spans.with_columns(
        hour=pl.datetime_ranges("first", pl.lit(newest), interval="1h", time_unit="us")
    ).explode("hour")
    hours = counts.with_columns(pl.col("hour").cast(grid.schema["hour"]))
    return grid.drop("first").join(hours, on=[*KEY, "hour"], how="left").sort(*KEY, "hour")


def _expected(rows: pl.DataFrame) -> pl.DataFrame:
    """`usual`: median of three weeks; `due`: the same by the level of the weeks before the last."""
    weeks = [pl.col("count").shift(WEEK * week).over(KEY) for week in (1, 2, 3)]
    known = sum((week.is_not_null().cast(pl.Int8) for week in weeks), start=pl.lit(0, pl.Int8))
    median = pl.concat_list(weeks).list.drop_nulls().list.median()
    rows = rows.with_columns(usual=pl.when(known >= 2).then(median), _weeks=known)
    both = pl.col("count").is_not_null() & pl.col("usual").is_not_null()
    rows = rows.with_columns(
        _c=pl.when(both).then("count").cast(pl.Float64), _u=pl.when(both).then("usual")
    )
    sums = {
        name: pl.col(name).rolling_sum(WEEK, min_samples=WEEK // 2).over(KEY)
        for name in ("_c", "_u")
    }
    rows = rows.with_columns(_level=(sums["_c"] + 1) / (sums["_u"] + 1))
    # A release that drew players for a week or two is no reason to expect them: three weeks have
    # to agree that it is more, or less, and the most careful of them counts.
    before = [pl.col("_level").shift(WEEK * week).over(KEY).fill_null(1.0) for week in (1, 2, 3)]
    scale = pl.max_horizontal(pl.min_horizontal(*before), 1.0) * pl.min_horizontal(
        pl.max_horizontal(*before), 1.0
    )
    scale = scale.clip(_LEAST_SCALE, _GREATEST_SCALE)
    # Three hours say more of the middle one than it does alone.
    smooth = pl.col("usual").rolling_mean(3, min_samples=1, center=True).over(KEY)
    is_known = pl.col("_weeks") == 3
    return rows.with_columns(due=pl.when(is_known).then(smooth * scale))


def _judged(rows: pl.DataFrame, window: Window, number: int) -> pl.DataFrame:
    both = pl.col("count").is_not_null() & pl.col("due").is_not_null()
    rows = rows.with_columns(
        _a=pl.when(both).then("count").cast(pl.Float64), _d=pl.when(both).then("due")
    )

    def total(name: str, hours: int) -> pl.Expr:
        # Hours that are not known are left out of both; a fifth of them is too much.
        return pl.col(name).rolling_sum(hours, min_samples=max(1, hours * 4 // 5)).over(KEY)

    came, due = f"_came_{number}", f"_due_{number}"
    rows = rows.with_columns(
        total("_a", window.hours).alias(came),
        total("_d", window.hours).alias(due),
        _now=(total("_a", window.of) + 0.5) / (total("_d", window.of) + 0.5),
    ).with_columns(_log=((pl.col(came) + 0.5) / (pl.col(due) + 0.5)).log())
    apart = pl.col("_log")
    if window.since:
        before = (total("_a", window.since) + 0.5) / (total("_d", window.since) + 0.5)
        level = before.shift(window.hours).over(KEY).log()
        apart = apart - level.clip(upper_bound=0.0).fill_null(0.0)
    rows = rows.with_columns(_apart=apart)
    # How the windows of the three weeks before varied; the last day may be the fall itself.
    past = pl.col("_apart").abs().shift(24 + window.hours).over(KEY)
    varied = past.rolling_median(3 * WEEK, min_samples=WEEK // 2).over(KEY) * _SPREAD_OF_MEDIAN
    chance = 1 / (pl.col(due) + 0.5)
    # Without a past of its own it may vary as much as any.
    usual = varied.fill_null(window.most).clip(window.least, window.most)
    tells = (
        (pl.col("_log") < math.log(window.share))
        & (pl.col("_apart") < -window.spreads * (usual**2 + chance).sqrt())
        & (pl.col("_now") < window.now)
        & (pl.col(due) >= window.fewest)
    )
    return rows.with_columns(tells.fill_null(value=False).alias(f"_tells_{number}"))


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
