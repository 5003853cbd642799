"""What is usual: how many are due in an hour, by the same hour of the weeks before.

Belongs here: the expectation alone. Does not: how far below it is told (`usual_windows.py`). All is
of matrices (`series.py`), and an hour's own value never counts, nor does what another run made
of it: only the hour.

Two views that err differently are joined.

By the hour: the lesser of the median of the same hour one, two and three weeks before, which
follows a level that holds for two weeks, and the least but one of five weeks before, which two odd
weeks (a release that fades, a holiday in each) cannot raise. What both of the newest two weeks had
far above that one is no odd week but the new usual: there the median counts alone. Each is scaled
by how the weeks before the last one compared with their own usual, so that growth is followed, a
fall is not, and what the choice of a low week leaves out is put back.

By shape and level: which share of its week an hour has is the middle one of five weeks, without the
days that had far more than those before them (holidays, releases). What comes beside the shape is
the level: its usual is the lesser of the median of two weeks and a low one of five, a week ago,
as it has grown since.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kpi_platform.monitoring.series import (
    WEEK,
    Marks,
    Matrix,
    greatest,
    in_order,
    later,
    mean,
    median,
    middle,
    middle_of_three,
    quantile,
    total,
)

# What is read: the five weeks of hours whose own usual is needed for the level.
HISTORY_HOURS = 9 * WEEK
# A level so far above the careful one, for two weeks, is none that releases and holidays bring. Of
# one less far above, the half is below the careful one, too.
_NEW_LEVEL = 1.5
_GREATEST_SCALE, _LEAST_SCALE = 1.5, 0.7
# Of the logarithm of what is due, from the hour; the rest is from shape and level.
_BY_HOUR = 0.7
_DAY = 24
# Eight hours that have so much more (of a logarithm) than three days before make a day odd.
_ODD_HOURS, _ODD_FOR, _ODD_DAY = 8, 3 * _DAY, 0.2
# For so long after these hours a day is odd: its evening, too.
_ODD_SINCE = 20
# Of five weeks, the level that counts as low; and how much a week may grow or shrink (logarithms).
_LOW = 0.35
_LEAST_GROWTH, _MOST_GROWTH = -0.03, 0.1


class Usual(NamedTuple):
    """Of each series and hour: `due`, the number expected (NaN before three weeks are known), and
    `by_hour`, the number by the first view alone;
    `shape`, the share of its hour in a week whose mean is 1; `level`, the logarithm of what the day
    up to it had beside the shape, and `before`, the same of three days that end a day before; and
    `rise`, how much more some eight hours of the last twenty had than the days before them."""

    due: Matrix
    by_hour: Matrix
    shape: Matrix
    level: Matrix
    before: Matrix
    rise: Matrix


def usual_of(counts: Matrix, by_hour: Matrix) -> Usual:
    """What is usual of counts, every hour of each series in order; NaN where none is known.

    `by_hour`: what `due_by_hour` says of them.
    """
    all_days = _shape(counts, least=1)
    is_odd = np.nan_to_num(_rise(_beside(counts, all_days))) > _ODD_DAY
    near = later(total(is_odd.astype(float), _DAY, 0), -_ODD_HOURS) > 0
    usual_days = _shape(np.where(near, np.nan, counts), least=2)
    shape = np.where(np.isfinite(usual_days) & np.isfinite(all_days), usual_days, all_days)
    by_level = shape * np.exp(_usual_level(counts, shape))
    joined = by_hour**_BY_HOUR * by_level ** (1 - _BY_HOUR)
    beside = _beside(counts, shape)
    return Usual(
        np.where(np.isfinite(by_level), joined, by_hour),
        by_hour,
        shape,
        level_of(counts, shape, _DAY),
        later(level_of(counts, shape, _ODD_FOR), _DAY),
        greatest(_rise(beside), _ODD_SINCE),
    )


def log_ratio(came: Matrix, due: Matrix, hours: int) -> Matrix:
    """The logarithm of what came to what was due in the hours up to each, of those of which both
    are known: hours that are not are left out of both; a fifth of them is too much."""
    sums = both_known(came, due, hours)
    return np.log((sums[0] + 0.5) / (sums[1] + 0.5))


def level_of(came: Matrix, shape: Matrix, hours: int) -> Matrix:
    """The same beside the shape, whose mean is 1 however much is due."""
    sums = both_known(came, shape, hours)
    return np.log((sums[0] + 0.5) / sums[1])


def both_known(came: Matrix, due: Matrix, hours: int) -> tuple[Matrix, Matrix]:
    """What came and what was due in the hours up to each, of those of which both are known."""
    both = np.isfinite(came) & np.isfinite(due)
    least = max(1, hours * 4 // 5)
    first, second = (total(np.where(both, x, np.nan), hours, least) for x in (came, due))
    return first, second


def _beside(counts: Matrix, shape: Matrix) -> Matrix:
    """The logarithm of what each hour had beside the shape."""
    return np.log((counts + 0.5) / (shape + 1e-9))


def _rise(beside: Matrix) -> Matrix:
    few = median(beside, _ODD_HOURS, _ODD_HOURS // 2)
    return few - later(median(beside, _ODD_FOR, _DAY), _DAY)


def _shape(counts: Matrix, least: int) -> Matrix:
    """The middle one of what the same hour of five weeks had of the week around it, smoothed."""
    week = mean(counts, WEEK, WEEK // 2)
    weeks = [later(counts, WEEK * n) / later(week, WEEK * n - WEEK // 2) for n in range(1, 6)]
    chosen, known = middle(weeks)
    return middle_of_three(np.where(known >= least, chosen, np.nan))


def _usual_level(counts: Matrix, shape: Matrix) -> Matrix:
    """The logarithm of what is due beside the shape."""
    day = level_of(counts, shape, _DAY)
    grown = later(median(day - later(day, WEEK), 4 * WEEK, 2 * WEEK), WEEK)
    growth = np.clip(np.nan_to_num(grown), _LEAST_GROWTH, _MOST_GROWTH).cumsum(axis=1) / WEEK
    level = day - growth
    newest = later(median(level, 2 * WEEK, WEEK // 2), WEEK)
    low = later(quantile(level, _LOW, 5 * WEEK, WEEK // 2), WEEK)
    held = later(quantile(level, 0.25, WEEK, WEEK // 2), WEEK)
    is_new = held > low + np.log(_NEW_LEVEL)
    return np.where(is_new, newest, np.fmin(newest, low)) + growth


def due_by_hour(counts: Matrix) -> Matrix:
    """What is due by the same hour of the weeks before; NaN before three of them are known."""
    short = _of_weeks(counts, (1, 2, 3), rank=None)
    long = _of_weeks(counts, (1, 2, 3, 4, 5), rank=1)
    careful = np.where(_is_new_level(counts, long), short, np.fmin(short, long))
    return np.where(np.isfinite(short), careful, np.nan)


def _is_new_level(counts: Matrix, long: Matrix) -> Marks:
    """Whether the newest two weeks agree, over a day up to the hour, that far more than `long` is
    usual. What falls now is in neither."""
    both = np.minimum(later(counts, WEEK), later(counts, 2 * WEEK))
    return mean(both, _DAY, _DAY // 2) > _NEW_LEVEL * mean(long, _DAY, _DAY // 2)


def _of_weeks(counts: Matrix, weeks: Sequence[int], rank: int | None) -> Matrix:
    """What these weeks had in the hour, by the level of the weeks before the last.

    `rank`: which of them counts, from the least; None: their median. One of five may lack.
    """
    each = [later(counts, WEEK * week) for week in weeks]
    if rank is None:
        chosen, known = middle(each)
    else:
        values, known = in_order(each)
        chosen = values[rank]
    least = len(weeks) - 1
    usual = np.where(known >= least, chosen, np.nan)
    both = np.isfinite(counts) & np.isfinite(usual)
    came, was_due = (total(np.where(both, x, np.nan), WEEK, WEEK // 2) + 1 for x in (counts, usual))
    # A release that drew players for a week or two is no reason to expect them: three weeks have
    # to agree that it is more, or less, and the most careful of them counts.
    level = came / was_due
    before = np.stack([np.nan_to_num(later(level, WEEK * n), nan=1.0) for n in (1, 2, 3)])
    scale = np.maximum(before.min(axis=0), 1) * np.minimum(before.max(axis=0), 1)
    # Three hours say more of the middle one than it does alone.
    scaled = middle_of_three(usual) * np.clip(scale, _LEAST_SCALE, _GREATEST_SCALE)
    return np.where(known >= (len(weeks) if rank is None else least), scaled, np.nan)
