"""Which values that had been published as complete are about to be published otherwise, and why.

Belongs here: comparing published values with new ones, and naming the cause and the ingest hours
behind a change. Does not: reading and writing either, which is `publish.py`, and since when a value
is complete (`value_books.py`).
"""

import re
from datetime import datetime, timedelta

import polars as pl

KPI_RESTATEMENTS = "kpi_restatements"
KEY = ["kpi", "period", "studio", "game", "platform"]
RESTATEMENTS_SCHEMA = pl.Schema(
    [
        *((name, pl.Date() if name == "period" else pl.String()) for name in KEY),
        ("old_value", pl.Float64()),
        ("new_value", pl.Float64()),
        ("cause", pl.String()),
        ("caused_by_hours", pl.List(pl.Datetime("us", "UTC"))),
        ("restated_at", pl.Datetime("us", "UTC")),
    ]
)
# No value looks further from its period than MAU does back, or cohorts and months do ahead.
REACH = timedelta(days=31)
# KPIs that are complete with each other, as they look at the same dates from their period on.
_SPANS = {
    "monthly": re.compile(r"^(monthly_.*|mau_calendar)$"),
    "d1": re.compile(r"_d1(_|$)"),
    "d7": re.compile(r"_d7(_|$)"),
    "d30": re.compile(r"_d30(_|$)"),
    "churn": re.compile(r"^churn_28$"),
    "week": re.compile(r"^wau$"),
    "month": re.compile(r"^(mau|stickiness)$"),
    "console": re.compile(r"^(console_.*|installs|troph.*|subscri.*)$"),
    "stream": re.compile(r"^(hours_.*|average_viewers|peak_.*|viewer_ratio)$"),
}


def restatements(
    old: pl.DataFrame,
    new: pl.DataFrame,
    changed_hours: pl.DataFrame,
    at: datetime,
    *,
    is_whole: bool = False,
) -> pl.DataFrame:
    """The complete values of `old` that differ in `new` or have no value there, and those that
    `new` has where `old` said that the period is complete without them.

    `old` and `new`: rows of `kpi_values` of the same periods. `changed_hours`: `ingest_hour` (UTC)
    and `date`, the UTC dates of its events that changed. `is_whole`: they are all rows there are.
    Returns `RESTATEMENTS_SCHEMA`; a value
    that appeared has a null `old_value`, one that vanished a null `new_value`. `cause` is
    `definition` where the value's definition is another, else `hours` where ingest hours changed,
    `caused_by_hours`, else `settings`.
    """
    # A KPI of which the whole table knew nothing is new, and no value of it was said to be none.
    told = new.filter(pl.col("kpi").is_in(old["kpi"].unique().implode())) if is_whole else new
    found = pl.concat([_changed(old, new), _appeared(old, told)])
    causes = _causes(found.select("period").unique(), changed_hours)
    is_other = pl.col("old_definition").ne_missing(pl.col("new_definition")) & (
        pl.col("old_definition").is_not_null() & pl.col("new_definition").is_not_null()
    )
    stamped = found.join(causes, on="period", how="left").with_columns(
        cause=pl.when(is_other)
        .then(pl.lit("definition"))
        .when(pl.col("caused_by_hours").list.len() > 0)
        .then(pl.lit("hours"))
        .otherwise(pl.lit("settings")),
        restated_at=pl.lit(at),
    )
    return stamped.select(RESTATEMENTS_SCHEMA.names()).cast(RESTATEMENTS_SCHEMA).sort(KEY)


def _changed(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    before = old.filter("is_complete").select(
        *KEY, old_value="value", old_definition="definition_version"
    )
    after = new.select(*KEY, new_value="value", new_definition="definition_version")
    joined = before.join(after, on=KEY, how="left")
    return joined.filter(pl.col("old_value").ne_missing(pl.col("new_value")))


def _appeared(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Complete values without any row before, in periods that were complete for the game, its
    studio or the portfolio: who read them read that there is no such value."""
    spans = (
        old.filter("is_complete").select("period", "studio", "game", span=span_of_kpi()).unique()
    )
    come = new.filter("is_complete").join(old, on=KEY, how="anti").with_columns(span=span_of_kpi())
    said = [
        come.select(
            *KEY, "span", "value", "definition_version", asked_studio=studio, asked_game=game
        ).join(
            spans,
            left_on=["period", "span", "asked_studio", "asked_game"],
            right_on=["period", "span", "studio", "game"],
            how="semi",
        )
        for studio, game in (
            (pl.col("studio"), pl.col("game")),
            (pl.col("studio"), pl.lit("all")),
            (pl.lit("all"), pl.lit("all")),
        )
    ]
    return (
        pl.concat(said)
        .unique(KEY)
        .select(
            *KEY,
            old_value=pl.lit(None, pl.Float64),
            old_definition=pl.lit(None, pl.String),
            new_value="value",
            new_definition="definition_version",
        )
    )


def span_of_kpi() -> pl.Expr:
    """Which KPIs are complete together with this one."""
    span = pl.lit("day")
    for name, pattern in reversed(_SPANS.items()):
        span = (
            pl.when(pl.col("kpi").str.contains(pattern.pattern)).then(pl.lit(name)).otherwise(span)
        )
    return span


def _causes(periods: pl.DataFrame, changed_hours: pl.DataFrame) -> pl.DataFrame:
    """Per period the changed hours whose events are near enough, else all that changed.

    A player whose first day moved, however far, changes the cohorts of both days.
    """
    all_hours = changed_hours["ingest_hour"].unique().sort().to_list()
    near = (
        periods.join(changed_hours, how="cross")
        .filter((pl.col("date") - pl.col("period")).abs() <= REACH)
        .group_by("period")
        .agg(pl.col("ingest_hour").unique().sort())
    )
    found = dict(near.iter_rows())
    rows = [(period, found.get(period, all_hours)) for period in periods["period"]]
    hours = RESTATEMENTS_SCHEMA["caused_by_hours"]
    return pl.DataFrame(rows, {"period": pl.Date(), "caused_by_hours": hours}, orient="row")
