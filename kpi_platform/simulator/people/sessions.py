"""When players play, for how long and on which version: the sessions of a day.

Belongs here: the true course of sessions. Does not: what they send and what happens on the way.
"""

import polars as pl

from kpi_platform.simulator.calibration import adoption_delays_ms, figures, session_lengths_ms
from kpi_platform.simulator.draws import Draws
from kpi_platform.simulator.people.players import DAY_MS

HOUR_MS = 3_600_000
EVENT_SPACING_MS = 90_000
MOST_EVENTS = 400
# How busy each hour of the player's own day is.
_DIURNAL = (3, 2, 1, 1, 1, 1, 2, 3, 4, 5, 5, 6, 7, 6, 6, 7, 8, 10, 13, 15, 16, 14, 10, 6)
# Chance of a first, second, ... session of a game on a day, times the player's activity.
_SLOTS = (0.9, 0.6, 0.3, 0.12)
_JOINING_SLOT = 7
# Of those who played before the world's start, against a newcomer's on the first day.
_REGULARS_INTEREST = 0.3


def sessions_of_day(draws: Draws, memberships: pl.DataFrame, day_ms: int) -> pl.DataFrame:
    """Return the sessions that start on the UTC day from `day_ms` (columns below, no versions).

    `stretch` (UInt64) numbers a silence-free stretch of a session uniquely over all days; times
    are true times in Unix milliseconds. Joining the game is a session of its own.
    """
    days = pl.lit(day_ms // DAY_MS, dtype=pl.UInt64)
    slots = [
        memberships.with_columns(
            stretch=((pl.col("m") * (1 << 15) + days) * 8 + slot) * 2, slot=pl.lit(slot)
        ).filter(_is_played(draws, share, day_ms))
        for slot, share in enumerate(_SLOTS)
    ]
    joining = memberships.filter(
        pl.col("joined_ms").is_between(day_ms, day_ms + DAY_MS, closed="left")
    ).with_columns(
        stretch=((pl.col("m") * (1 << 15) + days) * 8 + _JOINING_SLOT) * 2,
        slot=pl.lit(_JOINING_SLOT),
    )
    sessions = _timed(draws, pl.concat([*slots, joining]), day_ms)
    return sessions.filter(
        pl.col("joined_ms").is_null() | (pl.col("start_ms") >= pl.col("joined_ms"))
    )


def _is_played(draws: Draws, share: float, day_ms: int) -> pl.Expr:
    age_days = (day_ms - pl.col("joined_ms")).clip(0) / DAY_MS
    # Of newcomers 0.4 come back on the day after, 0.2 after a week, 0.1 after a month: the public
    # figures of the genre.
    interest = (1 / (1 + 4 * age_days).sqrt()).fill_null(_REGULARS_INTEREST)
    return draws.chance("is played", share * pl.col("activity") * interest, "stretch")


def _timed(draws: Draws, sessions: pl.DataFrame, day_ms: int) -> pl.DataFrame:
    quarters = [hour for hour, weight in enumerate(_DIURNAL) for _ in range(weight)]
    local = draws.pick("hour", quarters, "stretch").cast(pl.Int64) * HOUR_MS
    local = local + (draws.unit("minute", "stretch") * HOUR_MS).cast(pl.Int64)
    in_day = (local - pl.col("tz_minutes").cast(pl.Int64) * 60_000) % DAY_MS
    is_joining = pl.col("slot") == _JOINING_SLOT
    second_device = pl.col("two_devices") & draws.chance("second device", 0.35, "stretch")
    return sessions.with_columns(
        start_ms=pl.when(is_joining).then("joined_ms").otherwise(day_ms + in_day),
        length_ms=draws.pick("length", session_lengths_ms(), "stretch"),
        kit=pl.col("m") * 2 + second_device.cast(pl.UInt64),
        is_joining=is_joining,
        crashes=draws.chance("crashes", figures()["crash_share"], "stretch"),
    ).drop("slot")


def with_versions(draws: Draws, sessions: pl.DataFrame, releases: pl.DataFrame) -> pl.DataFrame:
    """Add version, release_number, previous_version and newest_version, as of the start.

    `releases` has game, number, version, released_ms. Each device adopts each release after a
    delay drawn from the calibrated curve (never, for some); a newcomer installs the newest. A
    few go back to the version before for some hours, later.
    """
    pairs = sessions.select("stretch", "kit", "game", "start_ms", "joined_ms").join(
        releases, on="game", how="left", maintain_order="left"
    )
    pairs = pairs.filter(pl.col("released_ms") <= pl.col("start_ms")).with_columns(
        pair=pl.col("kit") * 4096 + pl.col("number").cast(pl.UInt64)
    )
    in_effect = pairs.filter(_is_installed(draws))
    numbers = pairs.group_by("stretch").agg(newest=pl.col("number").max())
    chosen = in_effect.group_by("stretch").agg(release_number=pl.col("number").max())
    names = releases.select("game", "number", "version")
    return (
        sessions.join(chosen, on="stretch", how="left")
        .join(numbers, on="stretch", how="left")
        .with_columns(before=pl.col("release_number") - 1)
        .join(names, left_on=["game", "release_number"], right_on=["game", "number"], how="left")
        .join(
            names.rename({"version": "previous_version"}),
            left_on=["game", "before"],
            right_on=["game", "number"],
            how="left",
        )
        .join(
            names.rename({"version": "newest_version"}),
            left_on=["game", "newest"],
            right_on=["game", "number"],
            how="left",
        )
        .drop("before", "newest")
        .sort("stretch")
    )


def _is_installed(draws: Draws) -> pl.Expr:
    """True for the pairs of session and release where the device has, or had, that release."""
    is_oldest = pl.col("number") == 0
    new_device = (pl.col("joined_ms") >= pl.col("released_ms")).fill_null(value=False)
    delay = draws.pick("adoption", adoption_delays_ms(), "pair")
    adopted_ms = (
        pl.when(is_oldest | new_device)
        .then(pl.col("released_ms"))
        .otherwise(pl.col("released_ms") + delay)
    )
    regret_ms = adopted_ms + (HOUR_MS * (1 + 240 * draws.unit("regret", "pair"))).cast(pl.Int64)
    back_ms = regret_ms + (HOUR_MS * (12 + 36 * draws.unit("back", "pair"))).cast(pl.Int64)
    goes_back = draws.chance("goes back", 0.15, "pair") & ~is_oldest
    is_away = goes_back & pl.col("start_ms").is_between(regret_ms, back_ms)
    return (adopted_ms <= pl.col("start_ms")).fill_null(value=False) & ~is_away
