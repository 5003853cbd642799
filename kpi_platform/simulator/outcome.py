"""The tables of truth: sessions, version intervals, players and days, as the platform should find.

Belongs here: the definitions of sessions, history and daily figures, worked out independently of
the rooms that build them. Does not: collecting events, writing files.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from kpi_platform.simulator.people.events import NOT_ACTIVE
from kpi_platform.simulator.truth import DAY_MS, Truth
from kpi_platform.simulator.world import all_sources, local_studios

_SILENCE_MS = 24 * 3_600_000
_LONGEST_SECONDS = 86_400.0
_ID = ("source", "service", "session_id")
_TRACK = ["player_id", "service_name", "device"]


@dataclass(frozen=True)
class Outcome:
    """The finished tables; columns in the functions that make them."""

    sessions: pl.DataFrame
    intervals: pl.DataFrame
    players: pl.DataFrame
    daily: pl.DataFrame
    retention: pl.DataFrame


def work_out(truth: Truth, registry: pl.DataFrame) -> Outcome:
    """Return the tables; `registry` names source, service and session_id of every stretch."""
    studios = pl.DataFrame(all_sources(), schema=["source", "game", "studio"], orient="row")
    registry = registry.join(studios, on="source", how="left")
    days = pl.concat(truth.stretches)
    numbered = _sessions_of_stretches(days, registry)
    marks = pl.concat(truth.marks).join(numbered, on="stretch", how="inner")
    sessions = _sessions(days, numbered, marks)
    blanks = _own_player(pl.concat(truth.blanks).join(registry, on="stretch", how="left"))
    sightings = _sightings(marks, sessions, blanks)
    activity = _activity(days, numbered, sessions, blanks)
    return Outcome(
        sessions=_public_sessions(sessions),
        intervals=intervals_of(sightings),
        players=_players(sightings),
        daily=_of_every_grain(_daily_of, activity, sessions).sort("date", "studio", "game"),
        retention=_of_every_grain(_retention_of, activity, sessions).sort(
            "cohort_date", "day_n", "studio", "game"
        ),
    )


def _at(column: str) -> pl.Expr:
    return (pl.col(column) * 1000).cast(pl.Datetime("us", "UTC"))


def _global_id(player: pl.Expr) -> pl.Expr:
    is_local = pl.col("studio").is_in(sorted(local_studios()))
    return pl.when(is_local).then(pl.concat_str("studio", pl.lit(":"), player)).otherwise(player)


def _own_player(blanks: pl.DataFrame) -> pl.DataFrame:
    return blanks.with_columns(player_id=_global_id(pl.col("player_told")))


def _sessions_of_stretches(days: pl.DataFrame, registry: pl.DataFrame) -> pl.DataFrame:
    """Return every stretch with its session's key `session`: apart after more than 24 h."""
    stretches = days.group_by("stretch").agg(pl.col("first_ms").min(), pl.col("last_ms").max())
    ordered = stretches.join(registry, on="stretch", how="left").sort(*_ID, "first_ms")
    silence = pl.col("first_ms") - pl.col("last_ms").cum_max().shift(1).over(_ID)
    starts = (silence.is_null() | (silence > _SILENCE_MS)).alias("starts")
    return ordered.with_columns(starts).select(
        "stretch", *_ID, "studio", "game", session=pl.col("starts").cum_sum()
    )


def _first(marks: pl.DataFrame, column: str, *order: str) -> pl.DataFrame:
    """Return the first non-blank value of `column` per session, in the given order."""
    told = marks.filter(pl.col(column).is_not_null() & (pl.col(column) != ""))
    ordered = told.sort("session", "event_ms", "transaction_id", *order)
    return ordered.unique("session", keep="first", maintain_order=True).select("session", column)


def _sessions(days: pl.DataFrame, numbered: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    per_session = (
        days.join(numbered.select("stretch", "session"), on="stretch")
        .group_by("session")
        .agg(
            pl.col("first_ms").min(),
            pl.col("last_ms").max(),
            pl.col("event_count", "crash_count").sum(),
        )
    )
    names = numbered.select("session", *_ID, "studio", "game").unique("session")
    seconds = pl.col("seconds_told").cast(pl.Float64)
    ends = (
        marks.filter(seconds.is_between(0, _LONGEST_SECONDS))
        .sort("session", "event_ms", "transaction_id")
        .unique("session", keep="last")
        .select("session", told_seconds=seconds)
    )
    # Microseconds, as in the tables: the quotient is the same to the last bit.
    span = (pl.col("last_ms") - pl.col("first_ms")) * 1000 / 1_000_000
    return (
        names.join(per_session, on="session")
        .join(_first(marks, "player_told", "player_told"), on="session", how="left")
        .join(_first(marks, "device_told", "uid"), on="session", how="left")
        .join(ends, on="session", how="left")
        .with_columns(
            player_id=_global_id(pl.col("player_told")),
            device=pl.col("device_told").fill_null("unknown"),
            duration_seconds=pl.coalesce("told_seconds", span),
        )
    )


def _public_sessions(sessions: pl.DataFrame) -> pl.DataFrame:
    """One row per session: key, player, device, start, end, duration (s), events, crashes."""
    return sessions.select(
        "source",
        pl.col("service").alias("service_name"),
        *("session_id", "player_id", "device"),
        _at("first_ms").alias("started_at"),
        _at("last_ms").alias("ended_at"),
        *("duration_seconds", "event_count", "crash_count"),
    ).sort("source", "service_name", "session_id", "started_at")


def _sightings(marks: pl.DataFrame, sessions: pl.DataFrame, blanks: pl.DataFrame) -> pl.DataFrame:
    """Return every attributed version event: player_id, service_name, device, version, order."""
    of_session = sessions.select("session", "player_id", "device")
    in_sessions = marks.join(of_session, on="session", how="left")
    alone = blanks.with_columns(device=pl.lit("unknown"), session_id=pl.lit(""))
    columns = [
        *("player_id", "event_ms", "transaction_id", "session_id"),
        pl.col("service").alias("service_name"),
        pl.col("version_told").alias("version"),
        pl.when(pl.col("device_told") != "")
        .then("device_told")
        .otherwise("device")
        .alias("device"),
    ]
    with_version = [
        part.filter(pl.col("version_told").is_not_null()) for part in (in_sessions, alone)
    ]
    return (
        pl.concat([part.select(columns) for part in with_version])
        .drop_nulls("player_id")
        .sort("player_id", "event_ms", "transaction_id", "session_id", "version")
    )


def intervals_of(sightings: pl.DataFrame) -> pl.DataFrame:
    """One row per player, service, device and run: version, valid_from, valid_to (null: open)."""
    last_of_instant = _last_of_instants(sightings)
    starts_run = (pl.col("version") != pl.col("version").shift(1).over(_TRACK)).fill_null(
        value=True
    )
    runs = last_of_instant.filter(starts_run)
    return runs.select(
        *_TRACK,
        "version",
        _at("event_ms").alias("valid_from"),
        _at("event_ms").shift(-1).over(_TRACK).alias("valid_to"),
    )


def _last_of_instants(sightings: pl.DataFrame) -> pl.DataFrame:
    """The sightings that count, in order: of several at one instant the last."""
    order = ["event_ms", "transaction_id", "session_id", "version"]
    return sightings.sort(*_TRACK, *order).unique(
        [*_TRACK, "event_ms"], keep="last", maintain_order=True
    )


def _players(sightings: pl.DataFrame) -> pl.DataFrame:
    """One row per sighted player: current version, device and service, first and last seen."""
    return (
        _last_of_instants(sightings)
        .sort("player_id", "event_ms", "service_name", "device")
        .group_by("player_id", maintain_order=True)
        .agg(
            current_version=pl.col("version").last(),
            current_device=pl.col("device").last(),
            current_service=pl.col("service_name").last(),
            first_seen_at=_at("event_ms").first(),
            last_seen_at=_at("event_ms").last(),
            version_count=pl.col("version").n_unique().cast(pl.Int64),
        )
    )


def _of_every_grain(
    table: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame],
    activity: pl.DataFrame,
    sessions: pl.DataFrame,
) -> pl.DataFrame:
    """The table of each studio and game, with totals named 'all'; `activity`: see `_activity`."""
    started = sessions.with_columns(day=pl.col("first_ms") // DAY_MS)
    tables = []
    for studio, game in ((True, True), (True, False), (False, False)):
        grain = [
            (pl.col("studio") if studio else pl.lit("all")).alias("studio"),
            (pl.col("game") if game else pl.lit("all")).alias("game"),
        ]
        tables.append(table(activity.with_columns(grain), started.with_columns(grain)))
    return pl.concat(tables)


def _activity(
    days: pl.DataFrame, numbered: pl.DataFrame, sessions: pl.DataFrame, blanks: pl.DataFrame
) -> pl.DataFrame:
    """Return what attributed players did: day, studio, game, player_id, is_active, spent_minor."""
    of_session = sessions.select("session", "player_id")
    in_sessions = days.join(numbered, on="stretch").join(of_session, on="session")
    alone = blanks.with_columns(
        day=pl.col("event_ms") // DAY_MS,
        active_count=(~pl.col("kind").is_in(NOT_ACTIVE)).cast(pl.Int64),
        spent_minor=pl.col("amount_minor").fill_null(0),
    )
    columns = ["day", "studio", "game", "player_id", "active_count", "spent_minor"]
    both = pl.concat([in_sessions.select(columns), alone.select(columns)])
    return both.drop_nulls("player_id").with_columns(is_active=pl.col("active_count") > 0)


def _date(day: str) -> pl.Expr:
    return (pl.col(day) * DAY_MS).cast(pl.Datetime("ms")).cast(pl.Date)


def _trailing(active: pl.DataFrame, days: int, name: str) -> pl.DataFrame:
    """Distinct players of each day and the ones before it, `days` together."""
    reached = pl.int_ranges(pl.col("day"), pl.col("day") + days)
    seen = (
        active.with_columns(day=reached)
        .explode("day")
        .unique(["day", "studio", "game", "player_id"])
    )
    return seen.group_by("day", "studio", "game").agg(pl.len().cast(pl.Int64).alias(name))


def _retention_of(activity: pl.DataFrame, _: pl.DataFrame) -> pl.DataFrame:
    """One row per first active date, N, studio and game: size, and players back so far.

    `retained_classic` came on exactly day N, `retained_rolling` then or later.
    """
    grain = ["studio", "game"]
    active = activity.filter("is_active").unique(["day", *grain, "player_id"])
    lives = active.group_by(*grain, "player_id").agg(
        pl.col("day"), first=pl.col("day").min(), last=pl.col("day").max()
    )
    tables = []
    for n in (1, 7, 30):
        nth = pl.col("first") + n
        counts = lives.group_by("first", *grain).agg(
            cohort_size=pl.len().cast(pl.Int64),
            retained_classic=pl.col("day").list.contains(nth).sum().cast(pl.Int64),
            retained_rolling=(pl.col("last") >= nth).sum().cast(pl.Int64),
        )
        tables.append(counts.with_columns(day_n=pl.lit(n, pl.Int64)))
    figures = ["cohort_size", "retained_classic", "retained_rolling"]
    return pl.concat(tables).select(_date("first").alias("cohort_date"), "day_n", *grain, *figures)


def _daily_of(activity: pl.DataFrame, started: pl.DataFrame) -> pl.DataFrame:
    """One row per UTC date, studio and game.

    dau, wau, mau, new_players, returning_players and payers (net spending above zero) count
    attributed players; sessions, playtime_seconds and crash_free_sessions are of all sessions that
    start on the date, identified or not.
    """
    key = ["day", "studio", "game"]
    per_player = activity.group_by(*key, "player_id").agg(
        pl.col("is_active").any(), pl.col("spent_minor").sum()
    )
    active = per_player.filter("is_active")
    first_day = active.group_by("studio", "game", "player_id").agg(pl.col("day").min())
    # Sums of whole milliseconds do not depend on the order of rows.
    playtime_ms = (pl.col("duration_seconds") * 1000).round().cast(pl.Int64).sum()
    payers = per_player.filter(pl.col("spent_minor") > 0)
    tables = [
        active.group_by(key).agg(dau=pl.len().cast(pl.Int64)),
        first_day.group_by(key).agg(new_players=pl.len().cast(pl.Int64)),
        payers.group_by(key).agg(payers=pl.len().cast(pl.Int64)),
        started.group_by(key).agg(
            sessions=pl.len().cast(pl.Int64),
            playtime_seconds=playtime_ms / 1000,
            session_length_mean_seconds=playtime_ms / 1000 / pl.len(),
            crash_free_sessions=(pl.col("crash_count") == 0).mean(),
        ),
    ]
    whole = tables[0]
    for table in tables[1:]:
        whole = whole.join(table, on=key, how="full", coalesce=True)
    for days, name in ((7, "wau"), (30, "mau")):
        whole = whole.join(_trailing(active, days, name), on=key, how="left")
    figures = ["dau", "wau", "mau", "new_players", "payers", "sessions", "playtime_seconds"]
    means = ["session_length_mean_seconds", "crash_free_sessions"]
    filled = whole.with_columns(pl.col(figures).fill_null(0))
    returning = (pl.col("dau") - pl.col("new_players")).alias("returning_players")
    return filled.select(_date("day").alias("date"), "studio", "game", *figures, returning, *means)
