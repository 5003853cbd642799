"""What data may raise, of whatever class, kept to the rows it lies in.

Belongs here: finding the rows on which a function of rows fails, and how much of a row of no use
is kept. Does not: what becomes of them.
"""

from collections.abc import Callable
from typing import TypeVar

import polars as pl
from polars.exceptions import PanicException

# All that a row or a mapping can raise; Polars' panics are no `Exception`.
FAULTS = (Exception, PanicException)
# The reason of rows on which a mapping fails in a way that nobody foresaw.
NOT_MAPPED = "not_mapped"
KEPT_BYTES = 64 * 1024
_T = TypeVar("_T")


def judge_apart(
    rows: pl.DataFrame, judge: Callable[[pl.DataFrame], _T]
) -> tuple[list[_T], pl.DataFrame]:
    """What `judge` makes of rows (`row`: JSON of texts), in pieces, and the rows it fails on.

    Every row is judged whichever others come with it, so the outcome does not depend on how rows
    are cut into parts. Raises what `judge` raises on a row without columns: then no row can be
    judged, and halving them would only take long.
    """
    try:
        return [judge(rows)], rows.clear()
    except FAULTS:
        judge(rows.head(1).with_columns(row=pl.lit("{}")))
    return _halved(rows, judge)


def _halved(
    rows: pl.DataFrame, judge: Callable[[pl.DataFrame], _T]
) -> tuple[list[_T], pl.DataFrame]:
    if rows.height <= 1:
        return [], rows
    middle = rows.height // 2
    made: list[_T] = []
    failed: list[pl.DataFrame] = []
    for part in (rows[:middle], rows[middle:]):
        try:
            made.append(judge(part))
        except FAULTS:
            of_part, bad = _halved(part, judge)
            made += of_part
            failed.append(bad)
    return made, pl.concat([rows.clear(), *failed])


def kept_row(text: pl.Expr) -> pl.Expr:
    """The text of a row of no use: at most 64 KiB of it."""
    # No letter takes more than four bytes.
    is_long = text.str.len_bytes() > KEPT_BYTES
    return pl.when(is_long).then(text.str.head(KEPT_BYTES // 4)).otherwise(text)
