"""What the platform must find of studios' events: hours, sessions, intervals and money.

Belongs here: the outcome, from the events alone. Does not: how studios write them down.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from kpi_platform.simulator.outcome import intervals_of
from kpi_platform.simulator.studios_data.studio_games import HOUR_MS, StudioEvent, StudioGame
from kpi_platform.simulator.studios_data.studio_tables import player_text

EVENTS = pl.Schema(
    {
        **dict.fromkeys(("source", "studio", "game", "event_name"), pl.String()),
        "event_at": pl.Datetime("us", "UTC"),
        **dict.fromkeys(("player_id", "session_id", "version", "device", "currency"), pl.String()),
        "amount": pl.Float64(),
        "seconds": pl.Int64(),
        "hour": pl.Int64(),
    }
)


def truth_of(
    games: Mapping[StudioGame, Sequence[StudioEvent]], start_ms: int, hours: int
) -> dict[str, pl.DataFrame]:
    """The tables of truth: `hours` (hour: number from the start), `events`, `sessions`,
    `intervals`, in the layout of the world's own."""
    rows = [
        _row(game, event, start_ms)
        for game, events in games.items()
        for event in events
        if event.written_ms < start_ms + hours * HOUR_MS
    ]
    judged = pl.DataFrame(rows, {**EVENTS, "fate": pl.String()}, orient="row")
    events = judged.filter(pl.col("fate") == "rows").drop("fate")
    return {
        "hours": _hours(judged, [game.source for game in games], hours),
        "events": events.drop("hour").sort(pl.all()),
        "sessions": _sessions(events),
        "intervals": _intervals(events),
    }


def _row(game: StudioGame, event: StudioEvent, start_ms: int) -> tuple[object, ...]:
    player = player_text(game, event.player)
    minor = 100 if game.writes != "snake" else 1
    amount = event.amount_minor / minor * (-1 if event.is_refund else 1)
    # Studios that write seconds lose what is below them.
    at_ms = event.at_ms // 1000 * 1000 if game.writes == "snake" else event.at_ms
    return (
        *(game.source, game.studio, game.key, event.kind, at_ms * 1000),
        f"{game.studio}:{player}" if game.is_local else player,
        event.session,
        event.version or None,
        event.device or None,
        game.currency if event.kind == "Purchase" else None,
        amount if event.kind == "Purchase" else None,
        event.seconds if event.kind == "SessionEnd" else None,
        max(0, (event.written_ms - start_ms) // HOUR_MS),
        "left_out" if event.gone else "quarantined" if event.flaw else "rows",
    )


def _hours(judged: pl.DataFrame, sources: Sequence[str], hours: int) -> pl.DataFrame:
    grid = pl.DataFrame({"source": sources}).join(
        pl.DataFrame({"hour": pl.int_range(hours, eager=True)}), how="cross"
    )
    fates = [
        (pl.col("fate") == fate).sum().cast(pl.Int64).alias(fate)
        for fate in ("rows", "quarantined", "left_out")
    ]
    lines = pl.len().cast(pl.Int64).alias("lines")
    counts = judged.group_by("source", "hour").agg(lines, *fates)
    zero = pl.lit(0, pl.Int64)
    return (
        grid.join(counts, on=["source", "hour"], how="left")
        .with_columns(pl.exclude("source", "hour").fill_null(0))
        .with_columns(files=zero, truncated_files=zero, unreadable_files=zero, duplicates=zero)
        .sort("source", "hour")
    )


def _sessions(events: pl.DataFrame) -> pl.DataFrame:
    span = (pl.col("event_at").max() - pl.col("event_at").min()).dt.total_microseconds() / 1_000_000
    return (
        events.sort("event_at")
        .group_by("source", pl.col("game").alias("service_name"), "session_id")
        .agg(
            pl.col("player_id").drop_nulls().first(),
            pl.col("device").drop_nulls().first(),
            pl.col("event_at").min().alias("started_at"),
            pl.col("event_at").max().alias("ended_at"),
            pl.coalesce(pl.col("seconds").max().cast(pl.Float64), span).alias("duration_seconds"),
            pl.len().cast(pl.Int64).alias("event_count"),
            pl.lit(0, pl.Int64).alias("crash_count"),
        )
        .with_columns(pl.col("device").fill_null("unknown"))
        .sort("source", "service_name", "session_id", "started_at")
    )


def _intervals(events: pl.DataFrame) -> pl.DataFrame:
    told = events.filter(pl.col("version").is_not_null())
    return intervals_of(
        told.select(
            "player_id",
            event_ms=pl.col("event_at").dt.epoch("ms"),
            transaction_id=pl.lit(0, pl.Int64),
            session_id="session_id",
            service_name="game",
            version="version",
            device="device",
        )
    ).sort("player_id", "service_name", "device", "valid_from")
