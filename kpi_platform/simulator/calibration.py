"""The few figures of a real game that the world follows, and the tables made from them.

Belongs here: reading calibration.csv and turning it into distributions. Does not: other chances.
"""

from functools import cache
from itertools import pairwise
from math import exp
from pathlib import Path
from statistics import NormalDist

import polars as pl

_FILE = Path(__file__).with_name("calibration.csv")
_STEPS = 4096
# Weekly aggregates show no spread of session lengths; this is the usual one of play sessions.
_SESSION_SIGMA = 1.1
SHORTEST_SESSION_SECONDS, LONGEST_SESSION_SECONDS = 20.0, 8 * 3600.0


@cache
def figures() -> dict[str, float]:
    """Return the single figures by name (seconds, or shares of one)."""
    rows = _read().filter(pl.col("days").is_null())
    return dict(zip(rows["figure"].to_list(), rows["value"].to_list(), strict=True))


@cache
def adoption_curve() -> tuple[tuple[float, float], ...]:
    """Return (days since release, share of sessions on it), from (0, 0), rising in both."""
    rows = _read().filter(pl.col("figure") == "adoption_share").sort("days")
    return ((0.0, 0.0), *rows.select("days", "value").iter_rows())


@cache
def adoption_delays_ms() -> pl.Series:
    """Return the quantiles of the time from a release to its adoption; null means never."""
    delays = [_delay_days((step + 0.5) / _STEPS) for step in range(_STEPS)]
    milliseconds = [None if days is None else round(days * 86_400_000) for days in delays]
    return pl.Series("delay_ms", milliseconds, dtype=pl.Int64)


@cache
def session_lengths_ms() -> pl.Series:
    """Return the quantiles of a session's length: log-normal, cut off, of the calibrated mean."""
    normal = NormalDist(0, _SESSION_SIGMA)
    shape = [exp(normal.inv_cdf((step + 0.5) / _STEPS)) for step in range(_STEPS)]
    scale = figures()["session_mean_seconds"] / (sum(shape) / _STEPS)
    # Cutting the tail lowers the mean: scale again until it is back.
    for _ in range(40):
        lengths = [_cut(scale * value) for value in shape]
        scale *= figures()["session_mean_seconds"] / (sum(lengths) / _STEPS)
    return pl.Series("length_ms", [round(value * 1000) for value in lengths], dtype=pl.Int64)


def _read() -> pl.DataFrame:
    return pl.read_csv(_FILE, comment_prefix="#")


def _cut(seconds: float) -> float:
    return min(max(seconds, SHORTEST_SESSION_SECONDS), LONGEST_SESSION_SECONDS)


def _delay_days(share: float) -> float | None:
    for (day_a, share_a), (day_b, share_b) in pairwise(adoption_curve()):
        if share < share_b:
            return day_a + (day_b - day_a) * (share - share_a) / (share_b - share_a)
    return None
