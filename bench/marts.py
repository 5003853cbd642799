"""The marts over thirty days of a million events: an hour beside all of it, dbt beside its SQL.

Belongs here: the comparisons and the warehouses they share. Does not: the works (`marts_works`).
"""

import sys
from pathlib import Path

from bench.measure import Comparison, Work, measure

DAYS = 30
EVENTS = 1_000_000
# Days are smaller where there are three hundred of them.
LONG_DAYS = 300
LONG_EVENTS = 50_000
MEBIBYTES = 4 * 1024
# Loading definitions, parsing the project and connecting: once per run, however many hours.
START_SECONDS = 15


def comparisons(folder: Path) -> list[Comparison]:
    """An hour at most a tenth of a full refresh, that at most 1.3 times its SQL by hand, each
    within 4 GiB; the hour of day 300 at most 1.3 times that of day 30; start-up apart."""

    def work(place: str, name: str, *arguments: str) -> Work:
        command = [sys.executable, "-m", "bench.marts_works", name, str(folder / place)]
        return Work(f"{name} {place}", [*command, *arguments])

    def built(place: str, days: int, events: int) -> None:
        measure(work(place, "fill", str(days), str(events)))
        measure(work(place, "full"))

    measure(work("million", "fill", str(DAYS), str(EVENTS)))
    built("month", DAYS, LONG_EVENTS)
    built("long", LONG_DAYS, LONG_EVENTS)
    full, hour = work("million", "full"), work("million", "hour")
    title = f"{DAYS} days of {EVENTS:,} events"
    return [
        Comparison(f"{title}: an hour's update beside a full refresh", hour, full, 0.1, MEBIBYTES),
        Comparison(
            f"{title}: full refresh beside its SQL by hand",
            *(full, work("million", "hand"), 1.3, MEBIBYTES),
        ),
        Comparison(
            f"an hour of day {LONG_DAYS} beside day {DAYS}, {LONG_EVENTS:,} events a day",
            *(work("long", "hour"), work("month", "hour"), 1.3, MEBIBYTES),
        ),
        Comparison(
            "start-up of dbt, once per run", work("month", "start-dbt"), None, START_SECONDS
        ),
        Comparison(
            "start-up of Dagster, once per run",
            *(work("month", "start-dagster"), None, START_SECONDS),
        ),
    ]
