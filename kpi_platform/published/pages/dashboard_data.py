"""The dashboard's data: published tables and the hour ledger as compact columns.

Belongs here: which rows the page carries and in which form. Does not: reading tables, and how the
page shows them.

A series block has the values of one KPI for all grains in one list: `length` values of the first
grain, then of the second. Days without a row are null, so an index is a day.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from kpi_platform.schemas.sources_file.sources import UNASSIGNED

DAYS = 400
HOURS = 168
GRAIN = ("studio", "game")
QUESTION_TABLES = (
    "active_versions",
    "version_shutdown_impact",
    "version_distribution",
    "upgrade_notifications",
    "feature_use_by_version",
    "ab_test_results",
    "install_sources",
    "issues_by_version",
    "version_engagement",
    "version_focus",
    "release_cadence",
    "version_behaviour",
)
# Whole tables that the page shows as they are, beside the questions; of some only these columns.
OTHER_TABLES: dict[str, tuple[str, ...]] = {
    "version_adoption": ("date", "service_name", "version", "share_of_players"),
    "dim_service": ("service_name", "studio", "game"),
    "kpi_coverage": (),
    "kpi_restatements": (),
    "publications": (),
}
# What console and stream platforms tell of games; columns are named as their KPIs are.
FEED_TABLES: dict[str, dict[str, str]] = {
    "kpi_console_daily": {
        "players": "console_players",
        "purchases": "console_purchases",
        "revenue_usd": "console_revenue_usd",
        "payers": "console_payers",
    },
    "kpi_stream_daily": {},
}
_RESTATEMENTS = 2000
# Clients choose platforms, devices and versions. A page has room for so many of each, those with
# the most players; it says how many more there are, and the published tables have them all.
PLATFORMS = 24
TABLE_ROWS = 2000
VERSIONS = 300
Block = dict[str, Any]
Tables = Mapping[str, pl.DataFrame]


def days_shown(kpi_daily: pl.DataFrame | None, now: datetime | None) -> tuple[date, int]:
    """The first of the days shown and their number: at most `DAYS`, to the newest with a row."""
    newest = kpi_daily["date"].max() if kpi_daily is not None else None
    oldest = kpi_daily["date"].min() if kpi_daily is not None else None
    if not isinstance(newest, date) or not isinstance(oldest, date):
        return (now or datetime(2026, 1, 1, tzinfo=UTC)).date(), 1
    first = max(oldest, newest - timedelta(days=DAYS - 1))
    return first, (newest - first).days + 1


def platforms(kpi_daily: pl.DataFrame | None) -> tuple[list[str], int]:
    """The platforms that the page shows, and how many more there are rows of.

    `all` comes first, then the most played, `PLATFORMS` of them.
    """
    if kpi_daily is None:
        return ["all"], 0
    total = kpi_daily.filter(pl.col("studio") == "all", pl.col("platform") != "all")
    ranked = total.group_by("platform").agg(pl.col("dau").sum())
    names = ranked.sort(["dau", "platform"], descending=[True, False])["platform"].to_list()
    return ["all", *names[:PLATFORMS]], len(names[PLATFORMS:])


def platform_block(tables: Tables, platform: str, first: date, days: int) -> Block:
    """What the page shows of one platform: `daily`, `hourly` and `retention`; absent if unknown.

    The block of all platforms also has `console` and `stream`, what feeds tell.
    """
    block: Block = {}
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    daily = _of(tables, "kpi_daily", platform)
    if daily is not None:
        block["daily"] = _series(daily, "date", start, timedelta(days=1), days)
    hourly = _of(tables, "kpi_hourly", platform)
    if hourly is not None:
        block["hourly"] = _newest_hours(hourly)
    retention = _of(tables, "kpi_retention", platform)
    if retention is not None:
        block["retention"] = _retention(retention, start, days)
    if platform == "all":
        block |= _feeds(tables, start, days)
    return block


def _feeds(tables: Tables, start: datetime, days: int) -> Block:
    """`console` and `stream`: feeds tell of games, whatever the platform of their players."""
    return {
        name.split("_")[1]: _series(
            tables[name].rename(columns, strict=False), "date", start, timedelta(days=1), days
        )
        for name, columns in FEED_TABLES.items()
        if name in tables
    }


def _of(tables: Tables, table: str, platform: str) -> pl.DataFrame | None:
    rows = tables.get(table)
    return None if rows is None else rows.filter(pl.col("platform") == platform).drop("platform")


def _newest_hours(rows: pl.DataFrame) -> Block:
    newest = rows["hour"].max()
    end = newest if isinstance(newest, datetime) else datetime(2026, 1, 1, tzinfo=UTC)
    start = end - timedelta(hours=HOURS - 1)
    oldest = rows["hour"].min()
    if isinstance(oldest, datetime):
        start = max(start, oldest)
    length = (end - start) // timedelta(hours=1) + 1
    return _series(rows, "hour", start, timedelta(hours=1), length)


def _retention(rows: pl.DataFrame, start: datetime, days: int) -> Block:
    """Cohorts side by side: `cohort_size`, and the retained by kind and day."""
    horizons = sorted(rows["day_n"].unique())
    sizes = [pl.col("cohort_size").max()]
    kept = [
        pl.col(f"retained_{kind}").filter(pl.col("day_n") == n).max().alias(f"{kind}_{n}")
        for kind in ("classic", "rolling")
        for n in horizons
    ]
    complete = pl.lit(value=True) if "is_complete" not in rows.columns else pl.col("is_complete")
    wide = rows.with_columns(is_complete=complete).group_by("cohort_date", *GRAIN)
    cohorts = wide.agg(*sizes, *kept, pl.col("is_complete").all())
    block = _series(cohorts, "cohort_date", start, timedelta(days=1), days)
    return block | {"horizons": horizons}


def _series(
    rows: pl.DataFrame, column: str, start: datetime, step: timedelta, length: int
) -> Block:
    """Every numeric column as one list over all grains and periods (see the module)."""
    at = pl.col(column).cast(pl.Datetime("us", "UTC"))
    seconds = int(step.total_seconds())
    place = rows.with_columns(((at - start).dt.total_seconds() // seconds).alias("p_index"))
    inside = place.filter(pl.col("p_index").is_between(0, length - 1))
    grains = inside.select(GRAIN).unique().sort(GRAIN)
    index = pl.DataFrame({"p_index": range(length)}, schema={"p_index": pl.Int64})
    dense = (
        grains.join(index, how="cross")
        .join(inside, on=[*GRAIN, "p_index"], how="left")
        .sort(*GRAIN, "p_index")
    )
    measures = [name for name, dtype in rows.schema.items() if dtype.is_numeric()]
    state = pl.col("is_complete").replace_strict({True: "1", False: "0"}, default=" ")
    return {
        "grains": grains.rows(),
        "length": length,
        "start_ms": int(start.timestamp() * 1000),
        "step_seconds": seconds,
        "measures": {name: rounded(dense[name]).to_list() for name in measures},
        "complete": "".join(dense.select(state)["is_complete"]),
    }


def rounded(values: pl.Series) -> pl.Series:
    """Figures as exact as anybody reads them: dollars to a hundredth of a cent, seconds to a
    tenth, shares to a thousandth of a percent."""
    if not values.dtype.is_float():
        return values
    clean = values.fill_nan(None)
    if values.name.endswith("_seconds"):
        return clean.round(1)
    return clean.round(4) if "_usd" in values.name else clean.round(5)


def tables_block(tables: Tables, shown_platforms: Sequence[str]) -> dict[str, Block]:
    """The tables that the page shows row by row, by name: `length`, `columns`, and `left_out`: how
    many more rows of these platforms the table has."""
    shown = dict.fromkeys(QUESTION_TABLES, ()) | OTHER_TABLES
    blocks: dict[str, Block] = {}
    for name, columns in shown.items():
        if name in tables:
            rows = _of_platforms(tables[name], shown_platforms)
            kept = _shown_rows(name, rows, columns)
            blocks[name] = _columns(kept) | {"left_out": rows.height - kept.height}
    return blocks


def _of_platforms(rows: pl.DataFrame, shown: Sequence[str]) -> pl.DataFrame:
    return rows.filter(pl.col("platform").is_in(shown)) if "platform" in rows.columns else rows


def _largest(rows: pl.DataFrame) -> pl.DataFrame:
    """At most `TABLE_ROWS` rows, those with the most players where they have any, in the table's
    order; ties by the rest of the row, so that the page does not depend on the order of files."""
    players = [name for name in rows.columns if name.startswith("players")][:1]
    plain = [name for name, dtype in rows.schema.items() if not dtype.is_nested()]
    if rows.height <= TABLE_ROWS:
        return rows
    numbered = rows.with_row_index("p_place")
    ties = [name for name in plain if name not in players]
    return (
        numbered.sort(
            *players, *ties, descending=[True] * len(players) + [False] * len(ties), nulls_last=True
        )
        .head(TABLE_ROWS)
        .sort("p_place")
        .drop("p_place")
    )


def _most_adopted(rows: pl.DataFrame) -> pl.DataFrame:
    """The days of the `VERSIONS` versions that the greatest share of a day's players was on."""
    keys = ["service_name", "version"]
    peaks = rows.group_by(keys).agg(pl.col("share_of_players").max())
    order = [True, False, False]
    kept = peaks.sort("share_of_players", *keys, descending=order, nulls_last=True).head(VERSIONS)
    return rows.join(kept, on=keys, how="semi", nulls_equal=True, maintain_order="left")


def _shown_rows(name: str, rows: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    if name == "publications":
        rows = rows.sort("published_at").unique("table", keep="last", maintain_order=True)
    if name == "kpi_restatements" and "restated_at" in rows.columns:
        rows = rows.sort("restated_at", descending=True).head(_RESTATEMENTS)
    elif name == "version_adoption":
        rows = _most_adopted(rows)
    elif name in QUESTION_TABLES or name == "dim_service":
        rows = _largest(rows)
    kept = [column for column in columns if column in rows.columns]
    return rows.select(kept) if kept else rows


def _columns(rows: pl.DataFrame) -> Block:
    return {"length": rows.height, "columns": {c.name: _plain(c) for c in rows.get_columns()}}


def _plain(values: pl.Series) -> list[Any]:
    """A column as JSON has it: days and times (UTC, to the minute) as text."""
    if values.dtype == pl.Date:
        return values.dt.to_string("%Y-%m-%d").to_list()
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.to_string("%Y-%m-%d %H:%M").to_list()
    if values.dtype.is_numeric():
        return (values.cast(pl.Float64) if values.dtype.is_decimal() else rounded(values)).to_list()
    if values.dtype.is_nested():
        return [", ".join(map(str, v)) if isinstance(v, list) else str(v) for v in values]
    return values.to_list() if values.dtype == pl.Boolean else values.cast(pl.String).to_list()


def processed_until(ledger: pl.DataFrame) -> datetime | None:
    """The end of the newest ingest hour processed: the platform's now."""
    newest = _with_hour(ledger.filter(pl.col("status") == "processed"))["hour"].max()
    return newest.astimezone(UTC) + timedelta(hours=1) if isinstance(newest, datetime) else None


def _with_hour(ledger: pl.DataFrame) -> pl.DataFrame:
    start = pl.col("p_ingest_date_utc").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return ledger.with_columns(hour=start + pl.duration(hours=pl.col("p_ingest_hour_utc")))


def ledger_block(ledger: pl.DataFrame, sources: pl.DataFrame) -> Block | None:
    """Hours by day of every source, as text with a letter per hour; None without any hour.

    `hours`: c complete, e empty and later hours have lines, w waiting for lines, f failed,
    - not processed, blank where the source was not active. `volume`: 0 without lines, else their
    number of digits, at most 9. The figures of `lines` and so on are of days.
    """
    oldest, newest = ledger["p_ingest_date_utc"].min(), ledger["p_ingest_date_utc"].max()
    if not isinstance(oldest, date) or not isinstance(newest, date):
        return None
    first = max(oldest, newest - timedelta(days=DAYS - 1))
    days = (newest - first).days + 1
    recent = _with_hour(ledger.filter(pl.col("p_ingest_date_utc") >= first))
    end = recent["hour"].max()
    every = pl.datetime_range(
        datetime(first.year, first.month, first.day, tzinfo=UTC),
        datetime(newest.year, newest.month, newest.day, 23, tzinfo=UTC),
        "1h",
        time_unit="us",
        eager=True,
    ).alias("hour")
    known = recent.select("source").unique().join(sources, on="source", how="left")
    grid = known.join(every.to_frame(), how="cross").join(
        recent.select("source", "hour", "status", *_COUNTS), on=["source", "hour"], how="left"
    )
    marked = grid.with_columns(_state(end)).sort("studio", "game", "source", "hour")
    parts = marked.partition_by("source", maintain_order=True)
    return {
        "first_day": str(first),
        "days": days,
        "sources": [_ledger_source(part) for part in parts],
    }


_COUNTS = ("lines", "rows", "quarantined", "duplicates", "left_out", "suppressed", "sealed")


def _state(end: object) -> pl.Expr:
    last_with_lines = pl.col("hour").filter(pl.col("lines") > 0).max().over("source")
    is_active = (
        # A folder that no source names is told of only in the hours in which it has files.
        (pl.col("studio") != UNASSIGNED)
        & (pl.col("since").is_null() | (pl.col("hour") >= pl.col("since")))
        & (pl.col("until").is_null() | (pl.col("hour") < pl.col("until")))
        & (pl.col("hour") <= pl.lit(end))
    )
    return (
        pl.when(pl.col("status") == "failed")
        .then(pl.lit("f"))
        .when(pl.col("status").is_null())
        .then(pl.when(is_active).then(pl.lit("-")).otherwise(pl.lit(" ")))
        .when(pl.col("lines") > 0)
        .then(pl.lit("c"))
        .when(pl.col("hour") < last_with_lines)
        .then(pl.lit("e"))
        .otherwise(pl.lit("w"))
        .alias("state")
    )


def _ledger_source(hours: pl.DataFrame) -> Block:
    lines = pl.col("lines").fill_null(0)
    digits = lines.cast(pl.String).str.len_chars().clip(upper_bound=9)
    volume = hours.select(pl.when(lines > 0).then(digits).otherwise(0).cast(pl.String).alias("v"))
    by_day = hours.group_by(pl.col("hour").dt.date(), maintain_order=True).agg(
        pl.col(_COUNTS).sum()
    )
    head = hours.row(0, named=True)
    return {
        "source": head["source"],
        "studio": head["studio"],
        "game": head["game"],
        "hours": "".join(hours["state"]),
        "volume": "".join(volume["v"]),
        **{name: by_day[name].to_list() for name in _COUNTS},
    }


def studios_block(tables: Tables, names: Sequence[Block]) -> list[Block]:
    """Studios with their games as KPI rows have them; names from the sources file where it has
    them: `names` is a list of `key`, `name`, `games` (each `key`, `name`)."""
    named = {studio["key"]: studio for studio in names}
    rows = tables.get("kpi_daily")
    if rows is None:
        return [dict(studio) for studio in names]
    games_by_studio: dict[str, list[str]] = {}
    for studio, game in rows.select(GRAIN).unique().sort(GRAIN).iter_rows():
        if studio != "all":
            games_by_studio.setdefault(studio, []).extend([] if game == "all" else [game])
    return [
        {
            "key": key,
            "name": named.get(key, {}).get("name", ""),
            "games": [{"key": game, "name": _game_name(named.get(key), game)} for game in games],
        }
        for key, games in games_by_studio.items()
    ]


def _game_name(studio: Block | None, game: str) -> str:
    games = studio["games"] if studio else []
    return next((str(each["name"]) for each in games if each["key"] == game), "")
