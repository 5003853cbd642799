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
    """Lines that may enter, and how many were kept out for either reason."""

    lines: pl.DataFrame
    suppressed: int = 0
    sealed: int = 0


def admit(lines: pl.DataFrame, marks: Marks) -> Admitted:
    """Keep marked lines out (rows of a raw table, or quarantined ones); a line counts once, as
    suppressed before sealed."""
    left = _without(lines, marks.suppressed)
    kept = _without(left, marks.sealed)
    return Admitted(kept, lines.height - left.height, left.height - kept.height)


def _without(lines: pl.DataFrame, marked: pl.Expr | None) -> pl.DataFrame:
    return lines if marked is None else lines.filter(~marked.fill_null(value=False))
