"""What each studio costs: the bytes that it delivered, and its part of the processor time.

Belongs here: the sum, and reading the books for it. Does not: prices.

A run works on the hours of all studios at once. Its processor seconds are shared out by the lines
that each studio has in the hours which the run worked on: an estimate that adds up to what was
used.
"""

from datetime import date, datetime

import polars as pl

from kpi_platform.engine.platform import Platform

_HOUR = pl.col("p_ingest_date_utc").cast(pl.Datetime("us")).dt.replace_time_zone(
    "UTC"
) + pl.duration(hours=pl.col("p_ingest_hour_utc"))
# Time of runs whose hours hold no line of anybody.
NOBODY = ""


def read_costs(parts: Platform, first: date, last: date) -> pl.DataFrame:
    """The costs of the days from `first` to `last` (UTC), the dearest studio first.

    `studio`; `bytes` and `lines` of the hours of these days; `cpu_seconds` and `runs` of what ran
    in them.
    """
    lake = parts.lake
    runs = (
        lake.scan("run_ledger")
        .filter(pl.col("p_started_date_utc").is_between(first, last))
        .filter(pl.col("asset") == pl.col("step"))
        .select("run_id", "first_hour", "last_hour", "hours", "unchanged_hours", "cpu_seconds")
        .collect()
    )
    reach = runs.select(pl.col("first_hour").min(), pl.col("last_hour").max()).row(0)
    since = min(first, reach[0].date() if isinstance(reach[0], datetime) else first)
    until = max(last, reach[1].date() if isinstance(reach[1], datetime) else last)
    day = pl.col("p_ingest_date_utc")
    hours = (
        lake.scan("hour_ledger")
        .filter(day.is_between(since, until))
        .select(_HOUR.alias("hour"), day.alias("day"), "source", "bytes", "lines")
        .collect()
    )
    sources = parts.sources.frame(hours["source"].unique().to_list()).select("source", "studio")
    named = hours.join(sources, on="source").drop("source")
    return studio_costs(runs, named, first, last)


def studio_costs(runs: pl.DataFrame, hours: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """As `read_costs`. `runs`: steps as `run_ledger` has them, with `run_id`, `first_hour`,
    `last_hour`, `hours`, `unchanged_hours` and `cpu_seconds`; `hours`: `hour`, `day`, `studio`,
    `bytes` and `lines` of all hours that they worked on."""
    in_days = hours.filter(pl.col("day").is_between(first, last))
    delivered = in_days.group_by("studio").agg(pl.col("bytes", "lines").sum())
    worked = pl.col("hours") > pl.col("unchanged_hours")
    spans = runs.group_by("run_id").agg(
        pl.col("cpu_seconds").sum(),
        pl.col("first_hour").filter(worked).min().fill_null(pl.col("first_hour").min()),
        pl.col("last_hour").filter(worked).max().fill_null(pl.col("last_hour").max()),
    )
    lines = hours.group_by("hour", "studio").agg(pl.col("lines").sum())
    within = spans.join_where(
        lines, pl.col("hour") >= pl.col("first_hour"), pl.col("hour") <= pl.col("last_hour")
    )
    shares = (
        within.group_by("run_id", "cpu_seconds", "studio")
        .agg(pl.col("lines").sum())
        .with_columns(whole=pl.col("lines").sum().over("run_id"))
        .filter(pl.col("whole") > 0)
        .select("run_id", "studio", part=pl.col("cpu_seconds") * pl.col("lines") / pl.col("whole"))
        .filter(pl.col("part") > 0)
    )
    rest = spans.join(shares, on="run_id", how="anti")
    all_shares = pl.concat(
        [shares, rest.select("run_id", studio=pl.lit(NOBODY), part="cpu_seconds")]
    )
    used = all_shares.group_by("studio").agg(
        pl.col("part").sum().round(3).alias("cpu_seconds"), pl.len().cast(pl.Int64).alias("runs")
    )
    return (
        delivered.join(used, on="studio", how="full", coalesce=True)
        .with_columns(pl.col("bytes", "lines", "runs", "cpu_seconds").fill_null(0))
        .select("studio", "bytes", "lines", "cpu_seconds", "runs")
        .sort("cpu_seconds", "bytes", "studio", descending=[True, True, False])
    )
