"""Hourly files of console and stream platforms, as dirty as they come, with what is true of them.

Belongs here: the feeds of the world. Does not: telemetry, and studios' warehouses.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl

CONSOLE_GAMES = ("ironvale", "torque-city")
STREAM_GAMES = ("ironvale", "mochi-dash")
CONSOLE_FOLDER, STREAM_FOLDER = "arcadia", "streamly"
_KINDS = {"add": "Install", "sale": "Purchase", "cup": "Trophy", "plus": "Subscription"}
_HEADER = ("time", "title", "account", "what", "value", "curr", "note")
_COUNTED = ("files", "lines", "rows", "quarantined", "duplicates")

FEED_SOURCES = {
    "ironvale": ("northlight", ("arcadia-ironvale", "streamly-ironvale")),
    "torque-city": ("redbarn", ("arcadia-torque-city",)),
    "mochi-dash": ("kumo", ("streamly-mochi-dash",)),
}


def console_mapping(game: str) -> str:
    """The mapping of a game's rows in the console platform's files."""
    return f"""
kind: console
folder: {CONSOLE_FOLDER}
encoding: latin-1
separator: ";"
event: {{column: what, names: {{add: Install, sale: Purchase, cup: Trophy, plus: Subscription}}}}
event_at: {{column: time, unit: epoch_s}}
player_id: account
platform: {{literal: playstation}}
attributes: {{Amount: value, Currency: curr}}
only: {{column: title, equals: {game}}}
"""


def stream_mapping(game: str) -> str:
    """The mapping of a game's rows in the stream platform's files."""
    return f"""
kind: stream
folder: {STREAM_FOLDER}
hour: hour_start
average_viewers: avg_viewers
peak_viewers: peak_viewers
channels: live_channels
hours_streamed: airtime
only: {{column: game, equals: {game}}}
"""


# Source, game, event name, instant, account, currency, amount.
ConsoleEvent = tuple[str, str, str, datetime, str, str | None, float | None]


@dataclass
class FeedTruth:
    """What is true of the files: counts by source and hour, console events, stream figures."""

    counts: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    events: list[ConsoleEvent] = field(default_factory=list)
    figures: dict[tuple[str, datetime], tuple[float, int, int, float]] = field(default_factory=dict)

    def add(self, source: str, hour: int, **counts: int) -> None:
        """Count lines of a source in an hour."""
        for name, count in counts.items():
            self.counts[source, hour, name] += count


def write_feeds(folder: Path, seed: int, start: datetime, hours: int, players: int) -> FeedTruth:
    """Write the files of all hours below `folder`; returns what is true of them."""
    chance = Random(f"{seed} feeds")  # noqa: S311 - a simulation, not a secret
    truth = FeedTruth()
    for number in range(hours):
        hour = start + timedelta(hours=number)
        console = _console_text(chance, hour, number, players, truth)
        _write(folder / CONSOLE_FOLDER, hour, "sales.csv", console.encode("latin-1"))
        stream = _stream_text(chance, hour, number, truth)
        _write(folder / STREAM_FOLDER, hour, "stats.jsonl", stream.encode())
    return truth


def _write(folder: Path, hour: datetime, name: str, data: bytes) -> None:
    place = folder / f"{hour:%Y/%m/%d/%H}"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(data)


def _console_text(
    chance: Random, hour: datetime, number: int, players: int, truth: FeedTruth
) -> str:
    lines = [";".join(_HEADER)]
    for game in CONSOLE_GAMES:
        truth.add(f"arcadia-{game}", number, files=1)
        for _ in range(chance.randrange(1, 5)):
            player = chance.randrange(max(3, players // 8))
            line = _console_line(chance, hour, number, game, player, truth)
            lines += line
    if chance.random() < 0.15:
        lines.append("Zeile ohne Sinn; für niemanden")
        truth.add(f"arcadia-{CONSOLE_GAMES[0]}", number, lines=1, quarantined=1)
    if chance.random() < 0.1:
        lines.append(f"{hour.timestamp():.0f};unknown-title;P0000001;cup;;;")
        truth.add(f"arcadia-{CONSOLE_GAMES[0]}", number, lines=1, quarantined=1)
    return "\n".join(lines) + "\n"


def _console_line(
    chance: Random, hour: datetime, number: int, game: str, player: int, truth: FeedTruth
) -> list[str]:
    source = f"arcadia-{game}"
    what = chance.choices(tuple(_KINDS), (2, 1, 5, 2))[0]
    at = hour + timedelta(seconds=chance.randrange(3600) - 600)
    minor = chance.choice((99, 199, 499)) if what == "sale" else None
    amount, text = None, ""
    if minor is not None:
        amount = minor / 100
        text = chance.choice((f"{amount:,.2f}", f"{amount:.2f}", f"{amount:.2f} EUR"))
    is_bad = what == "sale" and chance.random() < 0.1
    account = f"P{player:07d}"
    cells = (f"{at.timestamp():.0f}", game, account, what, "gratis?!" if is_bad else text)
    currency = "EUR" if what == "sale" else None
    line = ";".join((*cells, currency or "", f"Größe {chance.randrange(10**6)}"))
    truth.add(source, number, lines=1, **{"quarantined" if is_bad else "rows": 1})
    if not is_bad:
        truth.events.append((source, game, _KINDS[what], at, account, currency, amount))
    is_copied = not is_bad and chance.random() < 0.08
    if is_copied:
        truth.add(source, number, lines=1, duplicates=1)
    return [line, line] if is_copied else [line]


def _stream_text(chance: Random, hour: datetime, number: int, truth: FeedTruth) -> str:
    """The figures of the hour, and now and then those of the hour before, corrected."""
    lines = []
    for game in STREAM_GAMES:
        source = f"streamly-{game}"
        truth.add(source, number, files=1)
        spoken_of = (
            [hour] if number == 0 or chance.random() < 0.8 else [hour - timedelta(hours=1), hour]
        )
        for about in spoken_of:
            figures = _figures(chance)
            truth.figures[game, about] = figures
            lines.append(_stream_line(game, about, figures))
            truth.add(source, number, lines=1, rows=1)
        if chance.random() < 0.1:
            lines.append(json.dumps({"hour_start": "soon", "game": game, "avg_viewers": "12"}))
            truth.add(source, number, lines=1, quarantined=1)
    return "\n".join(lines) + "\n"


def _figures(chance: Random) -> tuple[float, int, int, float]:
    average = chance.randrange(100, 400_000)
    return (
        float(average),
        average + chance.randrange(9_000),
        chance.randrange(5, 900),
        float(chance.randrange(4, 700)),
    )


def _stream_line(game: str, about: datetime, figures: tuple[float, int, int, float]) -> str:
    average, peak, channels, airtime = figures
    row = {
        "hour_start": f"{about:%Y-%m-%dT%H:%M:%SZ}",
        "game": game,
        "avg_viewers": f"{average:.0f}({average % 9:.1f}%)",
        "peak_viewers": f"{peak:,}",
        "live_channels": channels,
        "airtime": f"{airtime:.0f} hours",
    }
    return json.dumps(row)


def feed_tables(truth: FeedTruth, hours: int) -> dict[str, pl.DataFrame]:
    """The truth as tables: `hours` (hour: number from the start), `events`, `stream_stats`."""
    sources = sorted(key for _, keys in FEED_SOURCES.values() for key in keys)
    cells = [
        (source, hour, *(truth.counts[source, hour, name] for name in _COUNTED))
        for source in sources
        for hour in range(hours)
    ]
    zero = pl.lit(0, pl.Int64)
    schema = {"source": pl.String, "hour": pl.Int64, **dict.fromkeys(_COUNTED, pl.Int64)}
    stats = [
        (FEED_SOURCES[game][0], game, hour, *figures)
        for (game, hour), figures in sorted(truth.figures.items())
    ]
    events = [(s, FEED_SOURCES[g][0], g, *rest) for s, g, *rest in truth.events]
    return {
        "hours": pl.DataFrame(cells, schema, orient="row").with_columns(
            truncated_files=zero, unreadable_files=zero, left_out=zero
        ),
        "events": pl.DataFrame(events, _EVENTS, orient="row"),
        "stream_stats": pl.DataFrame(stats, _STATS, orient="row"),
    }


_STATS = pl.Schema(
    {
        "studio": pl.String(),
        "game": pl.String(),
        "hour": pl.Datetime("us", "UTC"),
        "average_viewers": pl.Float64(),
        "peak_viewers": pl.Int64(),
        "channels": pl.Int64(),
        "hours_streamed": pl.Float64(),
    }
)
_EVENTS = pl.Schema(
    {
        **dict.fromkeys(("source", "studio", "game", "event_name"), pl.String()),
        "event_at": pl.Datetime("us", "UTC"),
        "player_id": pl.String(),
        "currency": pl.String(),
        "amount": pl.Float64(),
    }
)
