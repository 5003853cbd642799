"""What must be true of the version history after an hour: one row per player, no overlaps.

Belongs here: the checks of the history tables. Does not: when they run.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from kpi_platform.schemas.hour_checks import CheckSpec, HourCheck
from kpi_platform.storage.lake import Lake

ONE_ROW_PER_PLAYER = CheckSpec(
    "one_row_per_player",
    "user_version_history",
    "Every player has exactly one row, and a player has intervals if and only if in the history.",
)
NO_OVERLAP = CheckSpec(
    "intervals_do_not_overlap",
    "user_version_intervals",
    "Per player, service and device each interval ends where the next begins; only the last is "
    "open.",
)
HISTORY_CHECKS = [ONE_ROW_PER_PLAYER, NO_OVERLAP]
_TRACK = ["player_id", "service_name", "device"]


def check_history(lake: Lake, hours: Sequence[datetime]) -> list[HourCheck]:
    """Evaluate the history as it is now; the result holds for each of these hours."""
    if not hours:
        return []
    players = lake.scan("user_version_history").select("player_id").collect()
    intervals = lake.scan("user_version_intervals").collect()
    repeated = players.height - players["player_id"].n_unique()
    strangers = len(set(players["player_id"]) ^ set(intervals["player_id"]))
    broken = overlapping_intervals(intervals).height
    checks = []
    for hour in hours:
        figures = {"players": players.height, "repeated": repeated, "unmatched": strangers}
        checks += [
            HourCheck(ONE_ROW_PER_PLAYER, hour, repeated + strangers == 0, figures),
            HourCheck(
                NO_OVERLAP, hour, broken == 0, {"intervals": intervals.height, "broken": broken}
            ),
        ]
    return checks


def overlapping_intervals(intervals: pl.DataFrame) -> pl.DataFrame:
    """The intervals that do not end exactly where the next of their track begins."""
    following = pl.col("valid_from").shift(-1).over(_TRACK, order_by="valid_from")
    return intervals.filter(
        ~pl.col("valid_to").eq_missing(following) | (pl.col("valid_to") <= pl.col("valid_from"))
    )
