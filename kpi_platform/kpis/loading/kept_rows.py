"""What models made of days whose events may be gone: kept in the lake, and given back to models.

Belongs here: the models that read events, and both ways. Does not: which days are kept
(`retention/`), and how a model takes its rows back (the macro `kept_rows`).
"""

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import polars as pl

from kpi_platform.engine.books.kept_days import Closed, kept_days
from kpi_platform.storage.kpi_database.embedded import insert_frame, transaction
from kpi_platform.storage.lake.lake import Lake

KEPT_ROWS = "kept_contributions"
PURCHASES = "purchases"
# How long a refund looks for its purchase, in days, as the variable of the dbt project.
REFUND_DAYS = 366
# Per model that reads events the column that says of which day a row is.
DAY_OF = {
    **dict.fromkeys(
        ("player_days", "console_player_days", "service_player_days", "service_subject_days"),
        "date",
    ),
    **dict.fromkeys(("player_hours", "sighting_hours", "grain_hours", "milestone_hours"), "hour"),
    "repeated_sightings": "session_started_at",
}
_ROWS_AT_A_TIME = 200_000


def rows_to_keep(
    con: duckdb.DuckDBPyConnection, after: date, through: date
) -> Iterator[pl.DataFrame]:
    """What the models hold of the days after `after` up to `through`: rows of
    `kept_contributions`, some at a time."""
    for model, day in DAY_OF.items():
        columns = con.execute(
            "select column_name from duckdb_columns() where schema_name = 'staging'"
            " and table_name = ? and database_name = current_database() order by column_index",
            [model],
        ).fetchall()
        # Text, as it is the only form in which nothing is rounded.
        pairs = ", ".join(f"'{name}', {name}::varchar" for (name,) in columns)
        asked = con.sql(
            f"select '{model}' as model, {day}::date as event_date,"  # noqa: S608 (our names)
            f" json_object({pairs})::varchar as contents from staging.{model}"
            f" where {day}::date > date '{after}' and {day}::date <= date '{through}'"
        )
        for batch in asked.to_arrow_reader(_ROWS_AT_A_TIME):
            yield pl.DataFrame(batch)


def note_kept_days(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Tell the database which days are kept, with the purchases that refunds of others may name.

    To be asked after the lake's partitions were: hours are emptied later than it is noted.
    """
    kept = kept_days(lake)
    [(known,)] = con.execute("select max(kept_through) from lake.kept_days").fetchall()
    if kept is None or kept.through == known:
        return
    first = kept.through - timedelta(days=REFUND_DAYS)
    rows = _stored(lake, kept).filter(pl.col("model") == PURCHASES, pl.col("event_date") >= first)
    purchase = pl.Struct({"source": pl.String, "purchase_id": pl.String, "event_at": pl.String})
    purchases = (
        rows.select(pl.col("contents").str.json_decode(purchase).alias("purchase"))
        .unnest("purchase")
        .with_columns(pl.col("event_at").str.to_datetime(time_unit="us"))
        .collect()
    )
    with transaction(con):
        con.execute("delete from lake.kept_days")
        con.execute("insert into lake.kept_days values (?)", [kept.through])
        con.execute("delete from lake.kept_purchases")
        insert_frame(con, "lake.kept_purchases", purchases)


def give_back(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Lay what is kept where a build in full takes it from."""
    kept = kept_days(lake)
    with transaction(con):
        con.execute("delete from lake.kept_rows")
        if kept is None:
            return
        rows = _stored(lake, kept).filter(pl.col("model") != PURCHASES)
        for part in rows.select("model", "contents").collect_batches(chunk_size=_ROWS_AT_A_TIME):
            insert_frame(con, "lake.kept_rows", part)


def take_away(con: duckdb.DuckDBPyConnection) -> None:
    """The models have taken what was given back."""
    con.execute("delete from lake.kept_rows")


def _stored(lake: Lake, kept: Closed) -> pl.LazyFrame:
    # What a run that was killed had begun to keep lies behind it.
    return lake.scan(KEPT_ROWS).filter(pl.col("event_date") <= kept.through)
