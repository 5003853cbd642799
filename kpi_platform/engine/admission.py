"""The one gate that every line of a file passes before it enters a table.

Belongs here: keeping marked lines out, and counting them. Does not: where lines come from, and who
makes marks. Nobody does as yet: `NO_MARKS` keeps nothing out.
"""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Marks:
    """Which lines are kept out: of erased players (`suppressed`), and for sealed days (`sealed`);
    expressions over the columns of the lines, None where nothing is marked."""

    suppressed: pl.Expr | None = None
    sealed: pl.Expr | None = None


NO_MARKS = Marks()


@dataclass(frozen=True)
class Admitted:
    """Lines that may enter, and those that were kept out for either reason."""

    lines: pl.DataFrame
    suppressed: pl.DataFrame
    sealed: pl.DataFrame


def admit(lines: pl.DataFrame, marks: Marks) -> Admitted:
    """Keep marked lines out (rows of a raw table, or quarantined ones); a line counts once, as
    suppressed before sealed."""
    left, suppressed = _parted(lines, marks.suppressed)
    kept, sealed = _parted(left, marks.sealed)
    return Admitted(kept, suppressed, sealed)


def _parted(lines: pl.DataFrame, marked: pl.Expr | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    if marked is None:
        return lines, lines.clear()
    is_out = lines.select(marked.fill_null(value=False).alias("is_out")).to_series()
    return lines.filter(~is_out), lines.filter(is_out)
