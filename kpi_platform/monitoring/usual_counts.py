"""What is usual: how many are due in an hour, by the same hour of the weeks before.

Belongs here: the expectation alone. Does not: how far below it is told (`usual_windows.py`).

Usual is the lesser of two: the median of the same hour one, two and three weeks before, which
follows a level that holds for two weeks; and the least but one of five weeks before, which two odd
weeks (a release that fades, a holiday in each) cannot raise. What both of the newest two weeks had
far above that one is no odd week but the new usual: there the median counts alone.

Each is scaled by how the weeks before the last one compared with their own usual, so that growth is
followed, a fall is not, and what the choice of a low week leaves out is put back. An hour's own
value never counts, nor does what another run made of it: only the hour.
"""

from collections.abc import Sequence

import polars as pl

WEEK = 168
# What is read: the five weeks of hours whose own usual is needed for the level.
HISTORY_HOURS = 9 * WEEK
KEY = ("source", "service_name", "event_name")
# A level so far above the careful one, for two weeks, is none that releases and holidays bring. Of
# one less far above, the half is below the careful one, too.
_NEW_LEVEL = 1.5
_GREATEST_SCALE, _LEAST_SCALE = 1.5, 0.7


def every_hour(counts: pl.DataFrame) -> pl.DataFrame:
    """Each series with every hour from its first to the newest of all; null where none is known."""
    newest = counts["hour"].max()
    spans = counts.group_by(KEY).agg(pl.col("hour").min().alias("first"))
    grid = spans.with_columns(
        hour=pl.datetime_ranges("first", pl.lit(newest), interval="1h", time_unit="us")
    ).explode("hour")
    hours = counts.with_columns(pl.col("hour").cast(grid.schema["hour"]))
    return grid.drop("first").join(hours, on=[*KEY, "hour"], how="left").sort(*KEY, "hour")


def with_due(rows: pl.DataFrame) -> pl.DataFrame:
    """Each row with `due`, the number expected; null before three weeks are known.

    `rows`: `KEY`, `hour` and `count`, every hour of each series in order.
    """
    rows = _with_usual(rows, "_short", (1, 2, 3), rank=None)
    rows = _with_usual(rows, "_long", (1, 2, 3, 4, 5), rank=1)
    is_known = pl.col("_short").is_not_null()
    careful = (
        pl.when(_is_new_level()).then("_short").otherwise(pl.min_horizontal("_short", "_long"))
    )
    return rows.with_columns(due=pl.when(is_known).then(careful))


def _is_new_level() -> pl.Expr:
    """Whether the newest two weeks agree, over a day up to the hour, that far more than `_long` is
    usual. What falls now is in neither."""
    one, two = (pl.col("count").shift(WEEK * week).over(KEY) for week in (1, 2))
    both = pl.when(one.is_not_null() & two.is_not_null()).then(pl.min_horizontal(one, two))
    held, careful = (
        of_hour.rolling_mean(24, min_samples=12).over(KEY) for of_hour in (both, pl.col("_long"))
    )
    return (held > _NEW_LEVEL * careful).fill_null(value=False)


def _with_usual(
    rows: pl.DataFrame, name: str, weeks: Sequence[int], rank: int | None
) -> pl.DataFrame:
    """`name`: what these weeks had in the hour, by the level of the weeks before the last.

    `rank`: which of them counts, from the least; None: their median. One of five may lack.
    """
    each = [pl.col("count").shift(WEEK * week).over(KEY) for week in weeks]
    known = sum((week.is_not_null().cast(pl.Int8) for week in each), start=pl.lit(0, pl.Int8))
    values = pl.concat_list(each).list.drop_nulls()
    chosen = (
        values.list.median()
        if rank is None
        else values.list.sort().list.get(rank, null_on_oob=True).cast(pl.Float64)
    )
    least = len(weeks) - 1
    rows = rows.with_columns(_usual=pl.when(known >= least).then(chosen), _known=known)
    both = pl.col("count").is_not_null() & pl.col("_usual").is_not_null()
    rows = rows.with_columns(
        _c=pl.when(both).then("count").cast(pl.Float64), _u=pl.when(both).then("_usual")
    )
    sums = {
        part: pl.col(part).rolling_sum(WEEK, min_samples=WEEK // 2).over(KEY)
        for part in ("_c", "_u")
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
    smooth = pl.col("_usual").rolling_mean(3, min_samples=1, center=True).over(KEY)
    enough = len(weeks) if rank is None else least
    return rows.with_columns(pl.when(pl.col("_known") >= enough).then(smooth * scale).alias(name))
