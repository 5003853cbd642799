"""What is asked of the version history: single players, and very many events.

Belongs here: the questions, the same for ours and for every peer. Does not: answering them.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from statistics import median

import polars as pl

from bench.history_world import HOUR, Population

EVENTS = 5_000_000
_QUESTIONS, _WARMING = 300, 20
_STEP = 7_919_317
_EVENTS_EACH = 5


def asked(players: int) -> list[tuple[str, datetime]]:
    """Players, all over the population, each with a time at which most had a version."""
    return [
        (f"P{n * _STEP % players:09}", HOUR - timedelta(hours=n % 240))
        for n in range(1, _QUESTIONS + 1)
    ]


def median_of(
    ask: Callable[[str, datetime], int], questions: Sequence[tuple[str, datetime]]
) -> float:
    """Median seconds of an answer, once warm."""
    seconds, found = [], 0
    for player, at in [*questions[:_WARMING], *questions]:
        started = time.monotonic()
        found += ask(player, at)
        seconds.append(time.monotonic() - started)
    assert found, "nobody had a version"
    return median(seconds[_WARMING:])


def sampled_events(players: int) -> pl.DataFrame:
    """Five events each of players all over the population, within 400 days: where and when."""
    i = pl.int_range(EVENTS, eager=True) // _EVENTS_EACH * _STEP % players
    who = Population(players, players // 5).who(i.alias("i")).with_row_index("event")
    ago = pl.duration(seconds=pl.col("event").cast(pl.Int64) * 104_729 % (400 * 86_400))
    at = pl.lit(HOUR).cast(pl.Datetime("us", "UTC")) - ago
    return who.select("player_id", "service_name", "device", at=at)
