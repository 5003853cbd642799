"""The works of the version history, each run in a process of its own.

Belongs here: what the steps do for an hour, the checks that follow, and making the world.
Does not: the peers (`history_peers`).
"""

import shutil
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

# First, as in every process of the platform: it says how Polars is to give memory back.
import kpi_platform  # noqa: F401
from bench.history_lake import (
    BY_HOUR,
    OLD_HOUR,
    old_events,
    put_events,
    write_active_hour,
    write_books,
    write_world,
)
from bench.history_questions import asked, median_of, sampled_events
from bench.history_world import HOUR, Population
from kpi_platform.cleaned.checks import check_sessions
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.hour_steps import work_through
from kpi_platform.history.checks import check_history
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.history.rebuild import rebuild_history
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.versions import Versions

RULES = PlayerIdRules(("PlayerId",))
FOLDED = ["user_version_history", "user_version_intervals"]


def population_of(players: str, recent: str) -> Population:
    """The population of so many players, so many of them seen in the last week."""
    return Population(int(players), int(recent))


def make(folder: Path, players: str, recent: str, active: str) -> None:
    """The world without the hour to be measured, table by table where there is none yet."""
    lake, population = Lake(str(folder)), population_of(players, recent)
    for table in [*FOLDED, *BY_HOUR]:
        if not (folder / table).exists():
            write_world(lake, population, [table])
    if not (folder / "hour_fingerprints").exists():
        write_books(lake, population)
        put_events(lake, OLD_HOUR, old_events(population, is_corrected=False))
        write_active_hour(lake, population, int(active), is_wide=False)


def widen(folder: Path, players: str, recent: str, active: str) -> None:
    """Let those return in the hour who were last seen at any time."""
    population = population_of(players, recent)
    write_active_hour(Lake(str(folder)), population, int(active), is_wide=True)


def correct(folder: Path, players: str, recent: str, _: str) -> None:
    """Give the hour 30 days ago its corrected events."""
    corrected = old_events(population_of(players, recent), is_corrected=True)
    put_events(Lake(str(folder)), OLD_HOUR, corrected)


def hour(folder: Path, *_: str) -> None:
    """The hour to be measured."""
    _run(Lake(str(folder)), HOUR, "written")


def wide_hour(folder: Path, *_: str) -> None:
    """The hour to be measured, with players who return after a long time."""
    hour(folder)


def again(folder: Path, *_: str) -> None:
    """The same hour once more."""
    _run(Lake(str(folder)), HOUR, "unchanged")


def check(folder: Path, *_: str) -> None:
    """The checks that follow the hour."""
    lake = Lake(str(folder))
    found = [*check_sessions(lake, [HOUR]), *check_history(lake, [HOUR])]
    assert found and all(check.passed for check in found), found


def old_hour(folder: Path, *_: str) -> None:
    """The corrected hour 30 days ago."""
    _run(Lake(str(folder)), OLD_HOUR, "written")


def rebuild(folder: Path, *_: str) -> None:
    """Both tables anew from the sightings and sessions of all hours, in bounded memory."""
    target = folder / "rebuilt"
    shutil.rmtree(target, ignore_errors=True)
    rebuild_history(Lake(str(folder)), Lake(str(target)))


def lookup(folder: Path, players: str, *_: str) -> float:
    """The version of one player after the other, of a lake opened once."""
    versions = Versions(str(folder))
    return median_of(lambda player, at: versions.at(player, at).height, asked(int(players)))


def as_of(folder: Path, players: str, *_: str) -> float:
    """The versions of very many events."""
    events = sampled_events(int(players))
    begun = time.monotonic()
    assert Versions(str(folder)).as_of(events).height == events.height
    return time.monotonic() - begun


def _run(lake: Lake, hour: datetime, status: str) -> None:
    for step in (SessionsStep(lake, RULES, timedelta(hours=24)), HistoryStep(lake, RULES)):
        for reports in work_through(lake, step, [hour], 10**9):
            sys.stdout.write(f"{step.table}: {reports}\n")
            if [report.status for report in reports] != [status]:
                raise SystemExit(f"not what was to be measured: {reports}")


WORKS: dict[str, Callable[..., float | None]] = {
    "make": make,
    "widen": widen,
    "correct": correct,
    "hour": hour,
    "wide_hour": wide_hour,
    "again": again,
    "check": check,
    "old_hour": old_hour,
    "rebuild": rebuild,
    "lookup": lookup,
    "as_of": as_of,
}

if __name__ == "__main__":
    started = time.monotonic()
    seconds = WORKS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
    sys.stdout.write(f"worked {time.monotonic() - started if seconds is None else seconds}\n")
