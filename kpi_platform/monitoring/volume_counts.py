"""How much came in each hour, per source, service and event name, from the books alone.

Belongs here: rows of `hour_ledger` and `event_attributes` as counts by the hour. Does not: judging
them (`usual_volume.py`).
"""

import polars as pl

from kpi_platform.monitoring.usual_volume import KEY

_HOUR = pl.col("p_ingest_date_utc").cast(pl.Datetime("us")) + pl.duration(
    hours=pl.col("p_ingest_hour_utc")
)


def volume_counts(ledger: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """`KEY`, `hour` (UTC, without a zone) and `count`: of a source its lines, of a service and of
    an event name its events; zero where nothing came. An hour that was not read has no row.

    `ledger` needs the ingest hour, `source`, `status`, `lines` and `rows`; `events` are rows of
    `event_attributes`.
    """
    is_read = (pl.col("status") == "processed") & pl.col("rows").is_not_null()
    lines = ledger.filter(is_read).select(
        "source", service_name=pl.lit(""), event_name=pl.lit(""), hour=_HOUR, count="lines"
    )
    sent = events.filter(pl.col("attribute") == "", pl.col("service_name") != "").select(
        "source", "service_name", "event_name", hour=_HOUR, count="events"
    )
    # Of what was ever sent by a source, every hour of the source from then on.
    series = sent.group_by(KEY).agg(pl.col("hour").min().alias("first"))
    hours = lines.select("source", "hour")
    grid = series.join(hours, on="source").filter(pl.col("hour") >= pl.col("first"))
    known = grid.drop("first").join(sent, on=[*KEY, "hour"], how="left")
    filled = known.with_columns(pl.col("count").fill_null(0))
    return pl.concat([lines, filled.select(lines.columns)]).sort(*KEY, "hour")
