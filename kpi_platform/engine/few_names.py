"""How many names clients give to what tables are grouped by, source by source.

Belongs here: counting them and naming the source that gives too many: who sends lines decides how
many rows the KPI tables have. Does not: which rows are looked at.
"""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from kpi_platform.schemas.hour_checks import CheckSpec, HourCheck

# Of what one source's clients named in one hour. Consoles and stores know a dozen platforms;
# there are a few thousand models of phones, and a game is seldom out in hundreds of versions.
MOST_NAMES = {"platform": 50, "device": 5_000, "version": 500}
_MOST_TOLD = 5


def few_names(
    spec: CheckSpec, hour: datetime, rows: pl.DataFrame, limits: Mapping[str, int] = MOST_NAMES
) -> HourCheck:
    """Count the different values of each column of `rows` that has a limit, per `source`.

    Figures: the greatest count of each, and the sources beyond a limit with what they name.
    """
    names = [name for name in limits if name in rows.columns]
    counted = rows.group_by("source").agg(pl.col(names).n_unique())
    beyond = [
        f"{row['source']} names {row[name]:,} {name}s"
        for row in counted.sort("source").iter_rows(named=True)
        for name in names
        if row[name] > limits[name]
    ]
    most = {
        f"most_{name}s": max(counted[name].cast(pl.Int64).to_list(), default=0) for name in names
    }
    return HourCheck(spec, hour, not beyond, {**most, "sources": "; ".join(beyond[:_MOST_TOLD])})
