"""A lake of one telemetry source in a folder: its files, and the lake's steps over them.

Belongs here: what several works do to such a folder. Does not: what comes to its hours, and what is
measured.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.hour_steps import HourStep, work_through
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing


def hour_file(folder: Path, hour: datetime, name: str) -> Path:
    """Where a file of telemetry that comes to an hour lies; its folder is made."""
    path = folder / f"landing/game/{hour:%Y/%m/%d/%H}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def steps_of(folder: Path) -> list[HourStep]:
    """The lake's steps from telemetry to histories, in order."""
    lake, landing = _lake_of(folder), Landing(str(folder / "landing"))
    limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
    rules = PlayerIdRules(("PlayerId",))
    return [
        RawStep(lake, landing, Sources(), limits),
        EventsStep(lake, Sources()),
        SessionsStep(lake, rules, timedelta(hours=24)),
        HistoryStep(lake, rules),
    ]


def run_steps(folder: Path, steps: Sequence[HourStep], hours: Sequence[datetime]) -> None:
    """Work the hours through the steps. Raises SystemExit unless each of them is written."""
    for step in steps:
        for reports in work_through(_lake_of(folder), step, hours, 1 << 30):
            if {report.status for report in reports} != {"written"}:
                raise SystemExit(f"not what was to be measured: {reports}")


def _lake_of(folder: Path) -> Lake:
    return Lake(str(folder / "lake"))
