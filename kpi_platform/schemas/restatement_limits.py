"""From which change on a restated figure is told to people (semantics, section 12).

Belongs here: the limit and the rule. Does not: who is told.
"""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Limit:
    """A restatement is told if it is of this share of the value and of so many units, at least."""

    share: float = 0.02
    units: float = 5.0


def is_beyond(limit: Limit) -> pl.Expr:
    """Whether `old_value` and `new_value` (of any unit, null: no value) differ beyond the limit.

    A rate has no units worth counting: of values up to 1 only the share is looked at.
    """
    old, new = pl.col("old_value"), pl.col("new_value").fill_null(0.0)
    change = (new - old.fill_null(0.0)).abs()
    is_rate = (old.abs().fill_null(0.0) <= 1) & (new.abs() <= 1)
    is_large = (change >= limit.units) | is_rate
    return is_large & ((change >= limit.share * old.abs()) | old.is_null())
