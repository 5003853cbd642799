"""Since when each value is complete, what it was, and under which definition.

Belongs here: which entries a publication adds. Does not: reading values and writing entries, which
is `publish.py`, and why a value changed (`restatements.py`).
"""

from datetime import datetime

import polars as pl

from kpi_platform.published.restatements import KEY

KPI_VALUE_BOOKS = "kpi_value_books"
VALUE_BOOKS_SCHEMA = pl.Schema(
    [
        *((name, pl.Date() if name == "period" else pl.String()) for name in KEY),
        ("value", pl.Float64()),
        ("is_complete", pl.Boolean()),
        ("definition_version", pl.String()),
        ("known_since", pl.Datetime("us", "UTC")),
    ]
)
_SAID = ["value", "definition_version"]


def value_entries(old: pl.DataFrame, new: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """What the books get when `old` gives way to `new`, rows of `kpi_values` of the same periods.

    An entry for each value that is complete and was not, or was another or under another
    definition; and one that `is_complete` denies, with a null value, for each that is complete no
    longer. So the newest entry of a value up to an instant is what could be read as complete then.
    Returns `VALUE_BOOKS_SCHEMA`, in the size of what differs.
    """
    before = old.filter("is_complete").select(*KEY, *_SAID)
    after = new.filter("is_complete").select(*KEY, *_SAID)
    come = after.join(before, on=[*KEY, *_SAID], how="anti", nulls_equal=True).with_columns(
        is_complete=pl.lit(value=True)
    )
    gone = before.join(after, on=KEY, how="anti").with_columns(
        value=pl.lit(None, pl.Float64), is_complete=pl.lit(value=False)
    )
    entries = pl.concat([come, gone], how="diagonal_relaxed").with_columns(known_since=pl.lit(at))
    return entries.select(VALUE_BOOKS_SCHEMA.names()).cast(VALUE_BOOKS_SCHEMA).sort(KEY)
