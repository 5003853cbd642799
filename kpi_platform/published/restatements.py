"""Which values that had been published as complete are about to be published otherwise.

Belongs here: comparing published values with new ones, and naming the ingest hours behind a change.
Does not: reading and writing either, which is `publish.py`.
"""

from datetime import datetime, timedelta

import polars as pl

KPI_RESTATEMENTS = "kpi_restatements"
_KEY = ["kpi", "period", "studio", "game", "platform"]
RESTATEMENTS_SCHEMA = pl.Schema(
    [
        *((name, pl.Date() if name == "period" else pl.String()) for name in _KEY),
        ("old_value", pl.Float64()),
        ("new_value", pl.Float64()),
        ("caused_by_hours", pl.List(pl.Datetime("us", "UTC"))),
        ("restated_at", pl.Datetime("us", "UTC")),
    ]
)
# No value looks further from its period than MAU does back, or cohorts and months do ahead.
_REACH = timedelta(days=31)


def restatements(
    old: pl.DataFrame, new: pl.DataFrame, changed_hours: pl.DataFrame, at: datetime
) -> pl.DataFrame:
    """The complete values of `old` that differ in `new` or have no value there.

    `old` and `new`: rows of `kpi_values` of the same periods. `changed_hours`: `ingest_hour` (UTC)
    and `date`, the UTC dates of its events that changed. Returns `RESTATEMENTS_SCHEMA`; a value
    that vanished has a null `new_value`, and `caused_by_hours` is empty where no hour changed.
    """
    published = old.filter("is_complete").select(*_KEY, old_value="value")
    found = published.join(new.select(*_KEY, new_value="value"), on=_KEY, how="left").filter(
        pl.col("old_value").ne_missing(pl.col("new_value"))
    )
    causes = _causes(found.select("period").unique(), changed_hours)
    stamped = found.join(causes, on="period", how="left").with_columns(restated_at=pl.lit(at))
    return stamped.select(RESTATEMENTS_SCHEMA.names()).cast(RESTATEMENTS_SCHEMA).sort(_KEY)


def _causes(periods: pl.DataFrame, changed_hours: pl.DataFrame) -> pl.DataFrame:
    """Per period the changed hours whose events are near enough, else all that changed.

    A player whose first day moved, however far, changes the cohorts of both days.
    """
    all_hours = changed_hours["ingest_hour"].unique().sort().to_list()
    near = (
        periods.join(changed_hours, how="cross")
        .filter((pl.col("date") - pl.col("period")).abs() <= _REACH)
        .group_by("period")
        .agg(pl.col("ingest_hour").unique().sort())
    )
    found = dict(near.iter_rows())
    rows = [(period, found.get(period, all_hours)) for period in periods["period"]]
    hours = RESTATEMENTS_SCHEMA["caused_by_hours"]
    return pl.DataFrame(rows, {"period": pl.Date(), "caused_by_hours": hours}, orient="row")
