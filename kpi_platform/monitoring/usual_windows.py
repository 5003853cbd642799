"""How far below its usual a series must be, over which hours, before it is told.

Belongs here: three windows and what chance brings in them. Does not: what is usual
(`usual_counts.py`).

Small numbers cannot tell within two hours, and a slow decline never shows in them: hence three.
Two hours are compared with the day before them, a day and two days with what is usual.

Chance is what the series' own windows of the last weeks varied by, and no less than the square root
of what was expected. What most sources have less of at once (a holiday's evening) has a cause
outside of them, and is taken off, up to what a holiday does; more than any holiday takes is the
platform's, and nothing is taken off. Some sources that had more than usual together, and have less
together, keep a holiday of their own. The more series are judged, the rarer each may cry: the limit
is for the family.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from kpi_platform.monitoring.series import (
    WEEK,
    Marks,
    Matrix,
    greatest,
    in_order,
    later,
    median,
    total,
)
from kpi_platform.monitoring.usual_counts import Usual, both_known, level_of, log_ratio

# Of a normal distribution, from the median distance to the standard deviation.
_SPREAD_OF_MEDIAN = 1.4826
# So many sources tell what is common to them, each with so many expected in the window; of sources
# that had a rise together, so many.
_FEWEST_SOURCES, _FEWEST_EACH, _FEWEST_RISEN = 5, 20, 4
# Less than this of most sources is no holiday.
_NO_HOLIDAY = math.log(0.65)
# The spreads are those at which so many series together cry at most once a month.
_FAMILY = 24
# From this rise on (logarithms) a day is odd, and what follows it must be lower, by a part of what
# the rise is beyond it, but for no more than the most; from the other on it may be a holiday.
_ODD_RISE, _PART_OF_RISE, _MOST_RISE, _HOLIDAYS_RISE = 0.15, 0.8, 0.25, 0.25
# Whatever the day before was, two hours with so much of what is usual are none to be told.
_NEVER_TOLD = math.log(0.68)
# Nor are days, with so much of what is usual by the hour alone.
_NOT_BY_HOUR = math.log(0.9)
# What was told of two hours holds for so long, while it is as low beside what was before it: then
# the day itself tells.
_HOLDS = 12


@dataclass(frozen=True)
class Window:
    """Hours to judge together: below `share` of the usual, and by `spreads` more than chance.

    `now`: the share under which the newest `of` hours must be, too: what came back is over.
    Chance is what the series varied by, from `least` to `most` (of a logarithm). `shared`: the
    share down to which a fall of most sources is laid to none of them. Where fewer than `fewest`
    are expected, nothing is told.
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


SUDDEN = Window(2, 0.67, 4.0, 1, 0.74, 0.06, 0.1, 0.75, fewest=250)
DAYS = (
    Window(24, 0.68, 4.0, 2, 0.75, 0.04, 0.08, 0.75),
    Window(48, 0.87, 3.4, 24, 0.87, 0.04, 0.05, 0.9),
)
WINDOWS = (SUDDEN, *DAYS)


class FamilySizes(NamedTuple):
    """How many series are judged: sources as a whole, and services and events."""

    sources: int
    others: int


@dataclass(frozen=True)
class Judged:
    """Of a window, for each series and hour: what `came` in the window up to it, what was `due`,
    and whether that `tells`."""

    window: Window
    came: Matrix
    due: Matrix
    tells: Marks


def may_tell(counts: Matrix, by_hour: Matrix) -> Marks:
    """Of each series and hour whether any of `WINDOWS` could tell: what costs little to know."""
    low = log_ratio(counts, by_hour, SUDDEN.hours) < _NEVER_TOLD
    may = total(low.astype(float), _HOLDS, 0) > 0
    for window in DAYS:
        may |= log_ratio(counts, by_hour, window.hours) < _NOT_BY_HOUR
    return may


def judge_windows(
    counts: Matrix, usual: Usual, is_source: Marks, family: FamilySizes
) -> list[Judged]:
    """Each of `WINDOWS`. `is_source`: of each series whether it is a source as a whole: all of
    these are here, of the others those that may be told."""
    return [
        _judge_sudden(counts, usual, is_source, family),
        *(_judge_days(counts, usual, window, is_source, family) for window in DAYS),
    ]


def family_spreads(spreads: float, series: int) -> float:
    """Spreads at which so many series together cry no more often than `_FAMILY` of them do at
    `spreads`; never fewer than these."""
    tail = NormalDist().cdf(-spreads) * _FAMILY / max(series, _FAMILY)
    return -NormalDist().inv_cdf(tail)


def _judge_days(
    counts: Matrix, usual: Usual, window: Window, is_source: Marks, family: FamilySizes
) -> Judged:
    due = usual.due
    came, was_due = both_known(counts, due, window.hours)
    fell, now = log_ratio(counts, due, window.hours), log_ratio(counts, due, window.of)
    shared = _shared(fell, was_due, is_source, window)
    fell, now = fell - shared, now - shared
    tells = (
        (fell < math.log(window.share))
        & (fell < -_limit(fell, was_due, window, is_source, family))
        & (now < math.log(window.now))
        & (log_ratio(counts, usual.by_hour, window.hours) < _NOT_BY_HOUR)
    )
    return Judged(window, came, was_due, tells)


def _judge_sudden(counts: Matrix, usual: Usual, is_source: Marks, family: FamilySizes) -> Judged:
    """Two hours beside the day before them: whatever the level is, what comes at once shows."""
    window = SUDDEN
    level, before, rise = (later(x, window.hours) for x in (usual.level, usual.before, usual.rise))
    odd = np.clip(np.nan_to_num(rise) - _ODD_RISE, 0.0, _MOST_RISE)
    base = np.where(odd > 0, np.fmin(before, level), level)
    shape = np.where(np.isfinite(usual.due), usual.shape, np.nan)
    came, of_shape = both_known(counts, shape, window.hours)
    was_due = of_shape * np.exp(base)
    fell, now = (level_of(counts, shape, hours) - base for hours in (window.hours, window.of))
    of_usual = log_ratio(counts, usual.by_hour, window.hours)
    shared = _shared(fell, was_due, is_source, window)
    holiday = _holiday(fell - shared, was_due, rise, is_source)
    apart = fell - shared - holiday
    tells = (
        (apart < math.log(window.share) - _PART_OF_RISE * odd)
        & (apart < -_limit(fell - shared, was_due, window, is_source, family))
        & (now - shared - holiday < math.log(window.now))
        & (of_usual - _shared(of_usual, was_due, is_source, window) - holiday < _NEVER_TOLD)
        & (was_due >= window.fewest)
    )
    held = fell + base - greatest(base, _HOLDS) < math.log(window.now)
    tells |= held & (total(tells.astype(float), _HOLDS, 0) > 0)
    return Judged(window, came, was_due, tells)


def _limit(
    fell: Matrix, due: Matrix, window: Window, is_source: Marks, family: FamilySizes
) -> Matrix:
    """How far below chance may bring it: by how the windows of the three weeks before varied; the
    last day may be the fall itself. Without a past of its own it may vary as much as any.

    Sources are a family, services and their events another: many events hide no source."""
    past = later(np.abs(fell), 24 + window.hours)
    varied = median(past, 3 * WEEK, WEEK // 2) * _SPREAD_OF_MEDIAN
    usual = np.clip(np.where(np.isfinite(varied), varied, window.most), window.least, window.most)
    spreads = np.where(
        is_source,
        family_spreads(window.spreads, family.sources),
        family_spreads(window.spreads, family.others),
    )[:, None]
    return spreads * np.sqrt(usual**2 + 1 / (due + 0.5))


def _shared(fell: Matrix, due: Matrix, is_source: Marks, window: Window) -> Matrix:
    """The logarithm of what the middle one of the sources has less, down to `window.shared`."""
    counts = is_source[:, None] & (due >= _FEWEST_EACH)
    common = _common(fell, counts, _FEWEST_SOURCES)
    return np.maximum(common, math.log(window.shared))


def _holiday(fell: Matrix, due: Matrix, rise: Matrix, is_source: Marks) -> Matrix:
    """The same of those sources that had a rise together, for each series that had one."""
    has_risen = rise > _HOLIDAYS_RISE
    counts = has_risen & is_source[:, None] & (due >= _FEWEST_EACH)
    return np.where(rise > _ODD_RISE, _common(fell, counts, _FEWEST_RISEN), 0.0)


def _common(fell: Matrix, counts: Marks, fewest: int) -> Matrix:
    """At each hour what more than half of those that count have less, each of them at least; 0
    where too few count, or where it is more than a holiday takes."""
    values, known = in_order(list(np.where(counts, fell, np.nan)[:, None, :]))
    half = np.minimum(known // 2, len(values) - 1)
    middle_one = np.take_along_axis(values, half[None], axis=0)[0]
    is_holiday = (known >= fewest) & (middle_one >= _NO_HOLIDAY)
    return np.where(is_holiday, np.minimum(middle_one, 0.0), 0.0)
