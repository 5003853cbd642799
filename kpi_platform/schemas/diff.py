"""The difference between the old and the new rows of a table: what to write, what to delete.

Belongs here: comparing frames of one shape. Does not: reading or writing the tables.
"""

from collections.abc import Sequence

import polars as pl


def diff_rows(
    old: pl.DataFrame, new: pl.DataFrame, keys: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `(upserts, deletes)` that turn the table `old` into the table `new`.

    Both frames hold at most one row per `keys` and the same columns; the order of rows and of
    columns is free. `upserts` are whole rows of `new` that are absent in `old` or differ in any
    column; `deletes` are the keys of `old` that `new` lacks. A null equals a null, in keys too;
    lists and structs are compared by value.

    Raises ValueError if the columns or their types differ, or if a key occurs twice: either
    would make every row look changed, or hide a change.
    """
    columns = new.columns
    if dict(old.schema) != dict(new.schema):
        raise ValueError(f"cannot compare frames of different columns: {old.schema} {new.schema}")
    for name, frame in (("old", old), ("new", new)):
        if frame.select(pl.struct(keys).is_duplicated().any()).item():
            raise ValueError(f"the {name} rows hold a key of {list(keys)} more than once")
    upserts = new.join(old, on=columns, how="anti", nulls_equal=True, maintain_order="left")
    gone = old.select(keys).join(new, on=list(keys), how="anti", nulls_equal=True)
    return upserts, gone.sort(keys)
