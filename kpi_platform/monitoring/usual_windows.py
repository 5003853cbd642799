"""How far below its usual a series must be, over which hours, before it is told.

Belongs here: three windows and what chance brings in them. Does not: what is usual
(`usual_counts.py`).

Small numbers cannot tell within two hours, and a slow decline never shows in them: hence three.
Chance is what the series' own windows of the last weeks varied by, and no less than the square root
of what was expected. What most sources have less of at once (a holiday's evening) has a cause
outside of them, and is taken off, up to what a holiday does; more than any holiday takes is the
platform's, and nothing is taken off. The more series are judged, the rarer each may cry: the limit
is for the family.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import polars as pl

from kpi_platform.monitoring.usual_counts import KEY, WEEK

# Of a normal distribution, from the median distance to the standard deviation.
_SPREAD_OF_MEDIAN = 1.4826
# So many sources tell what is common to them, each with so many expected in the window.
_FEWEST_SOURCES, _FEWEST_EACH = 5, 20
# Less than this of most sources is no holiday.
_NO_HOLIDAY = math.log(0.65)
# The spreads are those at which so many series together cry at most once a month.
_FAMILY = 24
# A day that has so much more than usual is no usual one: its evening is judged by half.
_ODD_DAY, _ON_ODD_DAY = math.log(1.2), math.log(0.53)


@dataclass(frozen=True)
class Window:
    """Hours to judge together: below `share` of the usual, and by `spreads` more than chance.

    `now`: the share under which the newest `of` hours must be, too: what came back is over.
    Chance is what the series varied by, from `least` to `most` (of a logarithm). `shared`: the
    share down to which a fall of most sources is laid to none of them. `since`: hours before the
    window with which it is compared beside, as what comes at once stands out there; if they had
    more than usual (the day of a holiday), with the usual. Where fewer than `fewest` are expected,
    nothing is told.
    """

    hours: int
    share: float
    spreads: float
    of: int
    now: float
    least: float
    most: float
    shared: float
    fewest: int = 0
    since: int = 0


WINDOWS = (
    Window(2, 0.67, 4.0, 1, 0.74, 0.06, 0.1, 0.75, fewest=250, since=24),
    Window(24, 0.68, 4.0, 2, 0.75, 0.04, 0.08, 0.75),
    Window(48, 0.87, 3.3, 24, 0.87, 0.04, 0.05, 0.9),
)


def with_window(rows: pl.DataFrame, window: Window, number: int) -> pl.DataFrame:
    """Each row with `_came_<number>` and `_due_<number>` of the window up to it, and whether that
    `_tells_<number>`.

    `rows`: `KEY`, `hour`, `count` and `due`, every hour of each series in order.
    """
    both = pl.col("count").is_not_null() & pl.col("due").is_not_null()
    rows = rows.with_columns(
        _a=pl.when(both).then("count").cast(pl.Float64), _d=pl.when(both).then("due")
    )
    came, due = f"_came_{number}", f"_due_{number}"
    rows = rows.with_columns(
        _total("_a", window.hours).alias(came),
        _total("_d", window.hours).alias(due),
        _now=_ratio(window.of),
        _log=_ratio(window.hours),
    )
    rows = rows.with_columns(_shared=_shared(window, due)).with_columns(
        _log=pl.col("_log") - pl.col("_shared"), _now=pl.col("_now") - pl.col("_shared")
    )
    is_usual_day = pl.lit(value=True)
    apart = pl.col("_log")
    if window.since:
        level = _ratio(window.since).shift(window.hours).over(KEY)
        apart = apart - level.clip(upper_bound=0.0).fill_null(0.0)
        is_usual_day = (level < _ODD_DAY).fill_null(value=True)
    rows = rows.with_columns(_apart=apart, _is_usual_day=is_usual_day)
    # How the windows of the three weeks before varied; the last day may be the fall itself.
    past = pl.col("_apart").abs().shift(24 + window.hours).over(KEY)
    varied = past.rolling_median(3 * WEEK, min_samples=WEEK // 2).over(KEY) * _SPREAD_OF_MEDIAN
    chance = 1 / (pl.col(due) + 0.5)
    # Without a past of its own it may vary as much as any.
    usual = varied.fill_null(window.most).clip(window.least, window.most)
    tells = (
        (pl.col("_log") < math.log(window.share))
        & (pl.col("_is_usual_day") | (pl.col("_log") < _ON_ODD_DAY))
        & (pl.col("_apart") < -_spreads(rows, window) * (usual**2 + chance).sqrt())
        & (pl.col("_now") < math.log(window.now))
        & (pl.col(due) >= window.fewest)
    )
    return rows.with_columns(tells.fill_null(value=False).alias(f"_tells_{number}"))


def family_spreads(spreads: float, series: int) -> float:
    """Spreads at which so many series together cry no more often than `_FAMILY` of them do at
    `spreads`; never fewer than these."""
    tail = NormalDist().cdf(-spreads) * _FAMILY / max(series, _FAMILY)
    return -NormalDist().inv_cdf(tail)


def _spreads(rows: pl.DataFrame, window: Window) -> pl.Expr:
    """Sources are a family, services and their events another: many events hide no source."""
    is_source = pl.col("service_name") == ""
    series = rows.select(KEY).unique()
    sources = series.filter(is_source).height
    return (
        pl.when(is_source)
        .then(family_spreads(window.spreads, sources))
        .otherwise(family_spreads(window.spreads, series.height - sources))
    )


def _total(name: str, hours: int) -> pl.Expr:
    # Hours that are not known are left out of both; a fifth of them is too much.
    return pl.col(name).rolling_sum(hours, min_samples=max(1, hours * 4 // 5)).over(KEY)


def _ratio(hours: int) -> pl.Expr:
    """The logarithm of what came to what was due in these hours."""
    return ((_total("_a", hours) + 0.5) / (_total("_d", hours) + 0.5)).log()


def _shared(window: Window, due: str) -> pl.Expr:
    """The logarithm of what the middle one of the sources has less, down to `window.shared`."""
    counts = (
        (pl.col("service_name") == "")
        & (pl.col(due) >= _FEWEST_EACH)
        & pl.col("_log").is_not_null()
    )
    middle = pl.when(counts).then("_log").median().over("hour")
    enough = counts.sum().over("hour") >= _FEWEST_SOURCES
    is_holiday = enough & (middle >= _NO_HOLIDAY)
    return pl.when(is_holiday).then(middle.clip(math.log(window.shared), 0.0)).otherwise(0.0)
