"""What must be true of the version history after an hour: one row per player, no overlaps.

Belongs here: the checks of the history tables. Does not: when they run.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.engine.books.history_queue import TABLE as QUEUE
from kpi_platform.engine.books.history_queue import waiting
from kpi_platform.engine.few_names import few_names
from kpi_platform.engine.pinned_lake import PinnedLake
from kpi_platform.history.sightings import attribute_sightings
from kpi_platform.history.stored import history_of, intervals_of, sessions_of
from kpi_platform.schemas.hours.hour_checks import (
    CheckSpec,
    HourCheck,
    contract_checks,
    contract_spec,
)
from kpi_platform.storage.lake.lake import Lake, hours_of
from kpi_platform.storage.lake.locks import FOLD_LOCK, lake_lock

ONE_ROW_PER_PLAYER = CheckSpec(
    "one_row_per_player",
    "user_version_history",
    "Every player sighted in the hour has exactly one row.",
)
NO_OVERLAP = CheckSpec(
    "intervals_do_not_overlap",
    "user_version_intervals",
    "Per player, service and device each interval ends where the next begins; only the last is "
    "open.",
)
FEW_VERSIONS = CheckSpec(
    "clients_name_few_versions",
    "user_version_history",
    "No source names more versions or devices in the hour than there are: tables of versions have "
    "rows of the largest and of `other`, the released ones first.",
    is_warning=True,
)
HISTORY_CHECKS = [
    ONE_ROW_PER_PLAYER,
    NO_OVERLAP,
    FEW_VERSIONS,
    contract_spec("user_version_history"),
    contract_spec("user_version_intervals"),
]
_READ = ("sightings", "sessions", QUEUE, "user_version_history", "user_version_intervals")
_TRACK = ["player_id", "service_name", "device"]


def check_history(lake: Lake, hours: Sequence[datetime]) -> list[HourCheck]:
    """Evaluate the history of the players sighted in these hours, as it is now.

    Only theirs: a check that read every player would cost what the whole table costs. Players in
    the history's queue are left out: another run has just changed their sessions, and has still to
    fold them.
    """
    if not hours:
        return []
    checks: list[HourCheck] = []
    still = _between_folds(lake)
    waiting_players = set(waiting(still)["player_id"])
    seen = still.read_hours("sightings", hours)
    by_hour = hours_of(seen, hours)
    sighted = {
        hour: sorted(names - waiting_players)
        for hour, names in _sighted(still, seen, by_hour).items()
    }
    players = {name for names in sighted.values() for name in names}
    history, intervals = history_of(still, players), intervals_of(still, players)
    for hour, names in sighted.items():
        player_ids = pl.Series("player_id", names, dtype=pl.String).implode()
        rows = history.filter(pl.col("player_id").is_in(player_ids))
        runs = intervals.filter(pl.col("player_id").is_in(player_ids))
        checks += [
            _one_row_each(hour, names, rows),
            _no_overlap(hour, runs),
            few_names(FEW_VERSIONS, hour, by_hour[hour], ("version", "device")),
            *contract_checks("user_version_history", {hour: rows}),
            *contract_checks("user_version_intervals", {hour: runs}),
        ]
    return checks


def _between_folds(lake: Lake) -> Lake:
    """The lake at a moment at which no run is folding: its tables agree with each other, but for
    the players in the queue."""
    with lake_lock(lake.uri, FOLD_LOCK):
        return PinnedLake(lake.uri, _READ)


def _sighted(
    lake: Lake, seen: pl.DataFrame, by_hour: Mapping[datetime, pl.DataFrame]
) -> dict[datetime, set[str]]:
    """Per hour the players whom its sightings belong to."""
    sessions = sessions_of(lake, seen)
    return {
        hour: set(attribute_sightings(part, sessions)["player_id"])
        for hour, part in by_hour.items()
    }


def _one_row_each(hour: datetime, players: Sequence[str], rows: pl.DataFrame) -> HourCheck:
    repeated = rows.height - rows["player_id"].n_unique()
    missing = len(set(players) - set(rows["player_id"]))
    figures = {"players": len(players), "repeated": repeated, "missing": missing}
    return HourCheck(ONE_ROW_PER_PLAYER, hour, repeated + missing == 0, figures)


def _no_overlap(hour: datetime, intervals: pl.DataFrame) -> HourCheck:
    broken = overlapping_intervals(intervals).height
    figures = {"intervals": intervals.height, "broken": broken}
    return HourCheck(NO_OVERLAP, hour, broken == 0, figures)


def overlapping_intervals(intervals: pl.DataFrame) -> pl.DataFrame:
    """The intervals that do not end exactly where the next of their track begins."""
    following = pl.col("valid_from").shift(-1).over(_TRACK, order_by="valid_from")
    return intervals.filter(
        ~pl.col("valid_to").eq_missing(following) | (pl.col("valid_to") <= pl.col("valid_from"))
    )
