"""Small tables as they are published, for pages and reports; names are as hostile as they get.

Belongs here: the tables and what is in them. Does not: what is expected of a page.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from kpi_platform.published.pages.dashboard import Inputs
from kpi_platform.schemas.sources_file.sources import Sources, parse_sources
from kpi_platform.schemas.tables import TABLES

HOSTILE = "<script>window.pwned=1</script>\"'`</script><img src=x onerror=window.pwned=2>"
FIRST = date(2026, 1, 1)
NOW = datetime(2026, 2, 10, tzinfo=UTC)
GRAINS = (
    ("all", "all"),
    ("northlight", "all"),
    ("northlight", "ironvale"),
    ("northlight", HOSTILE),
    ("kumo", "all"),
    ("kumo", "mochi-dash"),
)


def sources() -> Sources:
    """Two studios, of which one has a name in the file."""
    return parse_sources(
        "studios: [{key: northlight, name: Northlight Studio, games:"
        " [{key: ironvale, name: Ironvale, sources: [{key: ironvale, telemetry: ironvale}]}]},"
        " {key: kumo, games: [{key: mochi-dash, sources: [{key: mochi, telemetry: mochi}]}]}]",
        "test",
    )


def daily(
    days: int = 40,
    grains: Sequence[tuple[str, str]] = GRAINS,
    platforms: Sequence[str] = ("all", "pc"),
) -> pl.DataFrame:
    """`kpi_daily` of every grain and platform; the newest day is provisional."""
    dates = [FIRST + timedelta(days=n) for n in range(days)]
    rows = [
        {
            "date": day,
            "studio": studio,
            "game": game,
            "platform": platform,
            "dau": 100 * (n + 1) + i,
            "wau": 300 * (n + 1),
            "mau": 900 * (n + 1),
            "stickiness": 1 / 9,
            "new_players": 10 + n,
            "returning_players": 90,
            "sessions": 150 + i,
            "playtime_seconds": 90_000.0 + i,
            "session_length_mean_seconds": 600.0,
            "revenue_usd": 50.0 + 10 * math.sin(i / 7),
            "payers": 5,
            "arpdau_usd": 0.5,
            "arppu_usd": 10.0,
            "crash_free_sessions": 0.97,
            "is_complete": i < days - 1,
        }
        for platform in platforms
        for n, (studio, game) in enumerate(grains)
        for i, day in enumerate(dates)
    ]
    return pl.DataFrame(rows, schema_overrides={"date": pl.Date})


def retention(days: int = 40, platforms: Sequence[str] = ("all", "pc")) -> pl.DataFrame:
    """`kpi_retention`: 100 new players a day, of whom 40, 20 and 10 come back."""
    rows = [
        {
            "cohort_date": FIRST + timedelta(days=i),
            "day_n": n,
            "studio": studio,
            "game": game,
            "platform": platform,
            "cohort_size": 100,
            "retained_classic": kept if i + n < days else None,
            "retained_rolling": kept + 5 if i + n < days else None,
            "is_complete": i + n < days,
        }
        for platform in platforms
        for studio, game in GRAINS
        for i in range(days)
        for n, kept in ((1, 40), (7, 20), (30, 10))
    ]
    return pl.DataFrame(rows, schema_overrides={"retained_classic": pl.Int64})


def ledger(days: int = 40) -> pl.DataFrame:
    """`hour_ledger` of three sources: one with a hole and a failed hour, one hostile."""
    rows = []
    for source in ("ironvale", "mochi", HOSTILE):
        for i in range(days * 24):
            is_hole = source == "mochi" and i == 5
            rows.append(
                {
                    "p_ingest_date_utc": FIRST + timedelta(days=i // 24),
                    "p_ingest_hour_utc": i % 24,
                    "source": source,
                    "status": "failed" if source == "mochi" and i == 6 else "processed",
                    "lines": 0 if is_hole else 120,
                    "rows": 0 if is_hole else 110,
                    "quarantined": 0 if is_hole else 4,
                    "duplicates": 0 if is_hole else 6,
                    "left_out": 0,
                    "suppressed": 0,
                    "sealed": 0,
                }
            )
    schema = {n: t for n, t in TABLES["hour_ledger"].polars_schema.items() if n in rows[0]}
    return pl.DataFrame(rows, schema=schema)


def feed(columns: Mapping[str, object], days: int = 40) -> pl.DataFrame:
    """A feed's days of one game and its totals, of the columns given; all but the newest whole."""
    grains = [("all", "all"), ("kumo", "all"), ("kumo", "mochi-dash")]
    rows = [
        {"date": FIRST + timedelta(days=i), "studio": studio, "game": game}
        | dict(columns)
        | {"is_complete": i < days - 1}
        for studio, game in grains
        for i in range(days)
    ]
    return pl.DataFrame(rows)


def console() -> pl.DataFrame:
    """`kpi_console_daily` of one game."""
    figures = {"installs": 3, "players": 50, "trophies": 4, "trophy_earned_rate": 0.25}
    return feed(figures | {"revenue_usd": 10.0, "payers": 2, "subscriber_share": 0.5})


def streams() -> pl.DataFrame:
    """`kpi_stream_daily` of one game."""
    figures = {"hours_watched": 2400.0, "average_viewers": 100.0, "peak_viewers": 400}
    return feed(figures | {"hours_streamed": 24.0, "viewer_ratio": 100.0})


def coverage() -> pl.DataFrame:
    """`kpi_coverage`: ironvale tells of no crashes; everything else is told."""
    rows = [
        ("crash_free_sessions", "northlight", "ironvale", "all", False, "Crash"),
        ("crash_free_sessions", "northlight", "all", "all", True, None),
    ]
    columns = ["kpi", "studio", "game", "platform", "is_available", "missing"]
    return pl.DataFrame(rows, columns, orient="row")


def active_versions() -> pl.DataFrame:
    """`active_versions` of one service."""
    seen = datetime(2026, 2, 1, 12, tzinfo=UTC)
    rows = [("Client", version, seen, seen, n, n / 100, 3, n, n) for version, n in VERSIONS]
    columns = ["service_name", "version", "first_seen_at", "last_seen_at", "players"]
    columns += ["share_of_players", "devices", "sessions", "sightings"]
    return pl.DataFrame(rows, schema=columns, orient="row")


VERSIONS = (("1.8", 10), ("1.9", 30), (HOSTILE, 60))


def adoption() -> pl.DataFrame:
    """`version_adoption`: two versions on two days, then nothing, then a day."""
    return pl.DataFrame(
        {
            "date": [FIRST + timedelta(days=n) for n in (10, 10, 11, 11, 20, 20)],
            "service_name": "Client",
            "version": ["1.8", "1.9"] * 3,
            "share_of_players": [0.9, 0.1, 0.6, 0.4, 0.2, 0.8],
        }
    )


def shutdown_impact() -> pl.DataFrame:
    """`version_shutdown_impact`: 1.8 is cheap, 1.9 strands 7 players on an old phone."""
    return pl.DataFrame(
        {
            "service_name": "Client",
            "version": [version for version, _ in VERSIONS],
            "release_date": [FIRST, FIRST + timedelta(days=9), FIRST + timedelta(days=20)],
            "release_number": [1, 2, 3],
            "is_newest": [False, False, True],
            "players": [12, 40, 60],
            "players_remaining": [10, 30, 60],
            "share_of_players_remaining": [0.1, 0.3, 0.6],
            "players_without_upgrade": [0, 7, 0],
            "share_of_dau": [0.005, 0.2, 0.795],
            "share_of_sessions": [0.005, 0.2, 0.795],
            "share_of_playtime": [0.005, 0.2, 0.795],
            "revenue_usd": [1.0, 200.0, 800.0],
            "share_of_revenue": [0.001, 0.2, 0.8],
            "players_last_7_days": [4, 20, 55],
            "players_previous_7_days": [8, 30, 40],
            "verdict": ["cheap", "strands_players", "newest"],
        }
    )


def distribution() -> pl.DataFrame:
    """`version_distribution`: the old phone has no version after 1.9."""
    newest = VERSIONS[2][0]
    return pl.DataFrame(
        {
            "service_name": "Client",
            "version": ["1.8", "1.9", "1.9", newest],
            "device": ["PC", "PC", "Old phone", "PC"],
            "players": [10, 23, 7, 60],
            "share_of_players": [0.1, 0.23, 0.07, 0.6],
            "newest_version_on_device": [newest, newest, "1.9", newest],
            "is_newest_on_device": [False, False, True, True],
        }
    )


def from_contract(table: str, manifest: Mapping[str, Any], rows: int = 40) -> pl.DataFrame:
    """Rows of a mart as its contract promises them: every column, nulls included, names hostile."""
    (model,) = [n for n in manifest["nodes"].values() if n["name"] == table]
    columns = {}
    for number, column in enumerate(model["columns"].values()):
        name, kind = column["name"], column["data_type"]
        must = any(each["type"] == "not_null" for each in column["constraints"])
        columns[name] = [_value(name, kind, row + number, must=must) for row in range(rows)]
    return pl.DataFrame(columns, infer_schema_length=None)


def _value(name: str, kind: str, n: int, *, must: bool) -> object:
    if name in FIXED:
        return FIXED[name]
    if n % 11 == 10 and not must:
        return None
    if kind in ("bigint", "integer"):
        return n % 37
    if kind.startswith(("double", "decimal")):
        return (n % 10) / 10
    if kind == "boolean":
        return n % 3 == 0
    if kind == "date":
        return FIRST + timedelta(days=n % 30)
    return NOW - timedelta(hours=n) if kind.startswith("timestamp") else f"{name} {n % 5}"


# What the page's own words hang on.
FIXED: dict[str, object] = {
    "service_name": "Client",
    "is_newest": True,
    "has_enough_data": True,
    "studio": "northlight",
    "game": "ironvale",
    "platform": "all",
    "feature": HOSTILE,
}


def inputs(**tables: pl.DataFrame) -> Inputs:
    """What a dashboard reads: the tables above, those given instead of or beside them."""
    usual = {
        "kpi_daily": daily(),
        "kpi_retention": retention(),
        "active_versions": active_versions(),
        "version_shutdown_impact": shutdown_impact(),
        "version_distribution": distribution(),
    }
    found = {**usual, **tables}
    return Inputs(found, ledger(), tuple(f"{name}@0" for name in found))
