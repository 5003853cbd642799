"""Counts by the hour as matrices: a row for each series, a column for each hour.

Belongs here: sums, medians and shifts along the hours. Does not: what they mean. What is not known
is NaN; nothing here takes it for zero.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

WEEK = 168
Matrix = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]


def later(x: Matrix, hours: int) -> Matrix:
    """At each hour what was so many hours before; of negative `hours`, what comes after."""
    moved = np.full_like(x, np.nan)
    kept = x.shape[1] - abs(hours)
    if kept > 0 and hours >= 0:
        moved[:, hours:] = x[:, :kept]
    elif kept > 0:
        moved[:, :kept] = x[:, -hours:]
    return moved


def total(x: Matrix, hours: int, least: int) -> Matrix:
    """The sum of the hours up to each; NaN where fewer than `least` are known."""
    is_known = np.isfinite(x)
    sums = np.where(is_known, x, 0.0).cumsum(axis=1)
    known = is_known.cumsum(axis=1)
    sums[:, hours:] -= sums[:, :-hours].copy()
    known[:, hours:] -= known[:, :-hours].copy()
    return np.where(known >= least, sums, np.nan)


def mean(x: Matrix, hours: int, least: int) -> Matrix:
    """The mean of the known hours up to each; NaN where fewer than `least` are known."""
    known = total(np.isfinite(x).astype(float), hours, 0)
    return total(x, hours, least) / np.maximum(known, 1)


def median(x: Matrix, hours: int, least: int) -> Matrix:
    """The median of the known hours up to each; NaN where fewer than `least` are known."""
    return _rolling(x, lambda each: each.rolling_median(hours, min_samples=least))


def quantile(x: Matrix, share: float, hours: int, least: int) -> Matrix:
    """The value that so large a share of the known hours up to each are below."""
    return _rolling(
        x, lambda each: each.rolling_quantile(share, window_size=hours, min_samples=least)
    )


def greatest(x: Matrix, hours: int) -> Matrix:
    """The greatest of the known hours up to each."""
    return _rolling(x, lambda each: each.rolling_max(hours, min_samples=1))


def middle_of_three(x: Matrix) -> Matrix:
    """The mean of each known hour and those of its neighbours that are known."""
    three = np.stack([later(x, 1), x, later(x, -1)])
    known = np.isfinite(three)
    sums = np.where(known, three, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(np.isfinite(x), sums, np.nan)


def in_order(each: Sequence[Matrix]) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """Of several matrices the known values of each cell from the least, and how many they are."""
    values = np.sort(np.stack(each), axis=0)
    return values, np.isfinite(values).sum(axis=0)


def middle(each: Sequence[Matrix]) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """The median of the known values of each cell, and how many they are."""
    values, known = in_order(each)
    last = np.maximum(known - 1, 0)
    lower = np.take_along_axis(values, (last // 2)[None], axis=0)[0]
    upper = np.take_along_axis(values, ((last + 1) // 2)[None], axis=0)[0]
    return (lower + upper) / 2, known


def _rolling(x: Matrix, of_column: Callable[[pl.Expr], pl.Expr]) -> Matrix:
    columns = pl.from_numpy(np.ascontiguousarray(x.T)).with_columns(pl.all().fill_nan(None))
    return columns.select(of_column(pl.all())).fill_null(float("nan")).to_numpy().T
