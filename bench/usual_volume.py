"""False alarms of usual volume in simulated quarters, and how soon what fell is told.

Belongs here: quarters, harsher than those of the test, and the tables of docs/alerts.md. Does not:
a bar that fails anything.

`python -m bench.usual_volume --quarters 10 --seeds 2`; some minutes, of one core.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from kpi_platform.monitoring.usual_counts import HISTORY_HOURS
from kpi_platform.monitoring.usual_volume import judge

START = datetime(2026, 1, 5, tzinfo=UTC).replace(tzinfo=None)
DAYS = 91
HOURS = DAYS * 24
# Before, three weeks are not known and next to nothing is judged.
JUDGED_DAYS = DAYS - 21
SIZES = (
    *(3, 5, 10, 15, 20, 30, 40, 60, 80, 100, 120, 150, 200),
    *(250, 300, 400, 500, 700, 1000, 1500, 2000, 3000, 4000, 5000),
)
HOLIDAYS = ((38, 39, 61, 74), (33, 54, 75), (26, 47, 68, 82))
# When something falls: night, morning, afternoon and evening.
MOMENTS = (52 * 24 + 16, 69 * 24 + 3, 77 * 24 + 9, 81 * 24 + 21)
FALLS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "dead": (12, lambda hours: 0.0 * hours),
    "halved": (48, lambda hours: 0.5 + 0.0 * hours),
    "-30 % in a week": (200, lambda hours: np.maximum(0.7, 1 - 0.3 * hours / 168)),
}
WORLDS = {
    "together": "holidays, releases and files at once come to all sources together",
    "apart": "holidays to all together; each has releases and files at once of its own",
    "regions": "as apart, and holidays of three regions, of eight sources each or so",
}


class Told(NamedTuple):
    """A fall of a source of this size, of which `due` were expected an hour as it fell, and the
    hours until it was told (None: it was not)."""

    name: str
    size: int
    due: float
    took: int | None


Counts = dict[str, tuple[np.ndarray, np.ndarray]]


def quarter(
    base: float,
    chance: np.random.Generator,
    holidays: Sequence[int],
    releases: Sequence[int],
    at_once: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """A source's counts by the hour, and what was expected of each."""
    hour = np.arange(HOURS)
    day, clock = hour // 24, hour % 24
    noise = np.zeros(HOURS)
    for number in range(1, HOURS):
        noise[number] = 0.6 * noise[number - 1] + chance.normal(0, 0.05)
    growth = chance.choice((-0.02, 0, 0.03, 0.1))
    due = base * (1 + 0.7 * np.sin((clock - 10) / 24 * 2 * np.pi))
    due = due * np.where(day % 7 >= 5, 1.4, 1.0) * (1 + growth) ** (hour / 168)
    due = np.where(np.isin(day, holidays), due * np.where(clock < 16, 1.5, 0.75), due)
    for first in releases:
        is_out = (day >= first) & (day < first + 10)
        due = np.where(is_out, due * (1 + 0.7 * np.exp(-(hour - first * 24) / 72)), due)
    due = due * np.exp(noise + chance.normal(0, 0.04, DAYS)[day])
    due[list(at_once)] *= 5
    return np.maximum(0, np.round(chance.normal(due, np.sqrt(due)))).astype(int), due


def world(kind: str, seed: int, quiet: int | None = None) -> Counts:
    """All sources of a quarter. `quiet`: a day about which none has a release of its own."""
    chance, found = np.random.default_rng(seed), {}
    for base in SIZES:
        holidays: Sequence[int] = HOLIDAYS[0]
        releases, at_once = [28, 56], [45 * 24 + 3, 66 * 24 + 11]
        if kind != "together":
            first = int(chance.integers(14, 60))
            releases = [first, first + int(chance.integers(21, 36))]
            at_once = list(chance.integers(22 * 24, HOURS, 2))
            region = int(chance.integers(0, 3))
            holidays = HOLIDAYS[region if kind == "regions" else 0]
        kept = [day for day in releases if quiet is None or not quiet - 12 < day < quiet + 8]
        found[str(base)] = quarter(base, chance, holidays, kept, at_once)
    return found


def frame(counts: dict[str, np.ndarray], first: int = 0, end: int = HOURS) -> pl.DataFrame:
    """The counts of these hours as `judge` takes them."""
    hours = [START + timedelta(hours=number) for number in range(first, end)]
    return pl.concat(
        pl.DataFrame({"hour": hours, "count": count[first:end]}).select(
            pl.lit(source).alias("source"),
            pl.lit("").alias("service_name"),
            pl.lit("").alias("event_name"),
            "hour",
            "count",
        )
        for source, count in counts.items()
    )


def alarms(kind: str, seed: int) -> Counter[int]:
    """How many alarms a quarter brought in which nothing fell, by the hours of their window; those
    of a source within a day are one."""
    counts = {source: count for source, (count, _) in world(kind, seed).items()}
    told = judge(frame(counts)).filter(pl.col("kind") != "").sort("source", "hour")
    apart = pl.col("hour").diff().over("source") > timedelta(hours=24)
    return Counter(told.filter(apart.fill_null(value=True))["window"].to_list())


def delays(kind: str, seed: int) -> Iterator[Told]:
    """Every fall of every source; a quarter of the sources falls at a time."""
    chance = np.random.default_rng(seed + 1000)
    for moment in MOMENTS:
        sources = world(kind, seed, moment // 24)
        since = np.arange(HOURS) - moment
        for name, (hours, share) in FALLS.items():
            left = np.where(since < 0, 1.0, share(np.maximum(since, 0)))
            for part in range(4):
                falling = [source for n, source in enumerate(sources) if n % 4 == part]
                counts = {
                    source: chance.binomial(count, left) if source in falling else count
                    for source, (count, _) in sources.items()
                }
                first = max(0, moment - HISTORY_HOURS - 24)
                told = judge(frame(counts, first, moment + hours)).filter(
                    pl.col("kind") != "", pl.col("hour") >= START + timedelta(hours=moment)
                )
                found = dict(told.group_by("source").agg(pl.col("hour").min()).iter_rows())
                for source in falling:
                    due = float(sources[source][1][moment : moment + 2].mean())
                    at = found.get(source)
                    took = None if at is None else (at - START) // timedelta(hours=1) - moment + 1
                    yield Told(name, int(source), due, took)


def row(words: str, took: Sequence[int | None], limit: int) -> str:
    """A line of the table: how many, median, the ninth of ten, the longest, the part in time."""
    hours = np.array([np.inf if each is None else each for each in took])
    middle, most = np.median(hours), np.quantile(hours, 0.9, method="higher")
    within = (hours <= limit).mean()
    return f"| {words} | {middle:g} | {most:g} | {hours.max():g} | {within:.0%} in {limit} h |"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.usual_volume", description=__doc__)
    parser.add_argument("--quarters", type=int, default=10, help="of false alarms, in each world")
    parser.add_argument("--seeds", type=int, default=2, help="quarters in which something falls")
    arguments = parser.parse_args()
    for kind, words in WORLDS.items():
        found: Counter[int] = sum(
            (alarms(kind, seed) for seed in range(arguments.quarters)), Counter()
        )
        months = arguments.quarters * JUDGED_DAYS / 30.4
        print(f"| {words} | {found.total() / months:.2f} a month | {dict(found)} |", flush=True)
    told = [each for seed in range(arguments.seeds) for each in delays("apart", seed)]
    for name, is_of_then, least, below, limit in (
        ("dead", True, 15, np.inf, 2),
        ("dead", True, 0, 15, 2),
        ("halved", True, 150, np.inf, 2),
        ("halved", True, 50, 150, 24),
        ("halved", True, 0, 50, 24),
        ("-30 % in a week", False, 60, np.inf, 168),
        ("-30 % in a week", False, 15, 60, 168),
        ("-30 % in a week", False, 0, 15, 168),
    ):
        took = [
            each.took
            for each in told
            if each.name == name and least <= (each.due if is_of_then else each.size) < below
        ]
        print(row(f"{name}, {least} to {below:g} an hour", took, limit), flush=True)


if __name__ == "__main__":
    main()
