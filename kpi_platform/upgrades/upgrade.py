"""Brings lake, KPI database and Dagster's state of an earlier release to this one.

Belongs here: which steps there are, in which order, and what stands in the lake meanwhile. Does
not: how a lake is judged (`engine/layout.py`), and what the steps of hours do.

Every step looks at what is there and does what is lacking: interrupted anywhere, the same command
goes on. Until the lake is done its note says that an upgrade began, and whatever else would write
to it is refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from kpi_platform.arrivals.feeds.console_step import ConsoleStep
from kpi_platform.arrivals.feeds.stream_step import StreamStep
from kpi_platform.arrivals.telemetry.raw_step import RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.hour_steps import HourStep, work_through
from kpi_platform.engine.layout import (
    LayoutError,
    is_half_upgraded,
    layout_differences,
    note_upgrade,
    said_of_layout,
    words_of,
)
from kpi_platform.engine.platform import Platform
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.settings import PARTITION_FORMAT
from kpi_platform.storage.kpi_database.embedded import LAYOUT, stored_layout
from kpi_platform.storage.lake.locks import file_lock, warehouse_lock
from kpi_platform.upgrades.dagster_work import build_kpis, stale_storages, upgrade_state
from kpi_platform.verification.mend import known_hours

# Stage, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]

_MEBIBYTE = 1024 * 1024
_ROWS_PER_CHUNK = 1_000_000
_HOURS_AT_A_TIME = 168


@dataclass(frozen=True)
class Step:
    """One step of an upgrade: what it does, in words, and the work, which gives the words for what
    did not go well."""

    says: str
    work: Callable[[Progress], list[str]]


def steps_of(platform: Platform) -> list[Step]:
    """What has to be done, in order; nothing if everything is of this release.

    Raises LayoutError for a lake of which this release knows no way here.
    """
    differences = layout_differences(platform.lake)
    if any(item.unknown for item in differences):
        raise LayoutError(said_of_layout(platform.lake))
    steps: list[Step] = []
    is_older = bool(differences) or is_half_upgraded(platform.lake)
    if is_older:
        steps += _steps_of_lake(platform, words_of(differences))
    if stale := stale_storages():
        said = f"Dagster's state: its tables of {', '.join(stale)} are brought to this Dagster"
        steps.append(Step(said, lambda _: upgrade_state()))
    if is_older or _database_is_older(platform):
        hours = known_hours(platform.lake)
        if hours:
            said = "KPI database: everything is loaded and built anew from the lake, and published"
            steps.append(Step(said, lambda _: build_kpis(hours[-1])))
    return steps


def _steps_of_lake(platform: Platform, differences: list[str]) -> Iterator[Step]:
    lake = platform.lake

    def lay_out(progress: Progress) -> list[str]:
        note_upgrade(lake, has_ended=False)
        tables = [item.table for item in layout_differences(lake)]
        for number, table in enumerate(tables, start=1):
            lake.lay_out(table)
            progress("tables", number, len(tables))
        return []

    hours = known_hours(lake)
    said = "; ".join(differences) or "every table has its columns already"
    yield Step(f"lake: {said}", lay_out)
    yield Step(
        f"lake: {len(hours):,} hours are looked at; what this release reads otherwise is made"
        " anew, from their files or from the lines that are stored",
        lambda progress: _look_at(platform, hours, progress),
    )


def _look_at(platform: Platform, hours: list[datetime], progress: Progress) -> list[str]:
    """Work every step through the hours, some at a time, then say in the lake that it is done.

    An hour that fails is as after any run: it is red in the ledger, and run again when mended.
    """
    failed: dict[datetime, str] = {}
    for start in range(0, len(hours), _HOURS_AT_A_TIME):
        part = hours[start : start + _HOURS_AT_A_TIME]
        for step, limit in _hourly_steps(platform):
            for reports in work_through(platform.lake, step, part, limit):
                failed.update({r.hour: r.error for r in reports if r.status == "failed"})
        progress("hours", start + len(part), len(hours))
    note_upgrade(platform.lake, has_ended=True)
    return [f"{hour.strftime(PARTITION_FORMAT)} failed: {failed[hour]}" for hour in sorted(failed)]


def _hourly_steps(platform: Platform) -> Iterator[tuple[HourStep, int]]:
    """The steps and the limit of a chunk of each. What studios' warehouses gave stays: rows that
    were captured only grow, and the next run of an hour asks for more."""
    read = platform.settings.chunk_megabytes * _MEBIBYTE
    yield RawStep.of(platform), read
    yield ConsoleStep.of(platform), read
    yield StreamStep.of(platform), read
    yield EventsStep.of(platform), _ROWS_PER_CHUNK
    yield SessionsStep.of(platform), _ROWS_PER_CHUNK
    yield HistoryStep.of(platform), _ROWS_PER_CHUNK


def _database_is_older(platform: Platform) -> bool:
    path = platform.settings.warehouse_file
    if not path.exists():
        return False
    with file_lock(warehouse_lock(path)):
        return stored_layout(path) not in {None, LAYOUT}
