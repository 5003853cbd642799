"""Gives the intervals of an earlier release their `version_sort_key`.

Belongs here: which partitions lack it, and writing them once. Does not: the key, which schemas has.
"""

import polars as pl

from kpi_platform.schemas.version_keys import version_sort_keys
from kpi_platform.storage.lake.delta.lake_files import files_of
from kpi_platform.storage.lake.lake import Lake

TABLE = "user_version_intervals"
_NULLS = "null_count.version_sort_key"


def add_sort_keys(lake: Lake) -> int:
    """Write the partitions of `user_version_intervals` that a release without the key wrote, one
    after the other; returns how many. Interrupted, it goes on with the others when called again."""
    snapshot = lake.open(TABLE)
    if snapshot is None:
        return 0
    files = files_of(snapshot)
    # A file that says nothing of the column was written before there was one.
    lacking = (
        files if _NULLS not in files.columns else files.filter(pl.col(_NULLS).fill_null(1) > 0)
    )
    parts = lacking.select("p_state", "p_month").unique().sort("p_month", "p_state")
    for state, month in parts.iter_rows():
        is_part = (pl.col("p_state") == state) & (pl.col("p_month") == month)
        rows = lake.scan(TABLE).filter(is_part).collect()
        keyed = rows.with_columns(version_sort_keys(rows["version"]))
        lake.replace(TABLE, keyed, f"p_state = '{state}' AND p_month = '{month}'")
    return parts.height
