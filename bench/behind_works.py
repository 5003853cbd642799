"""The works of an hour behind many: `make`, `next` and `late`, each in a process of its own.

Belongs here: hours of telemetry and the lake's steps, in CPU seconds of all threads. Does not:
comparing.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from bench.telemetry import LINES_PER_SESSION, lines_of
from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.hour_steps import HourStep, work_through
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing

START = datetime(2026, 1, 1, 5, tzinfo=UTC)
SMALL, LARGE = 250, 5_000


def make(folder: Path, hours: int) -> None:
    """Hours behind of 250 lines, the last of them with 5,000, all worked through."""
    times = [START + timedelta(hours=number) for number in range(hours)]
    for time_ in times[:-1]:
        _arrive(folder, time_, SMALL)
    _arrive(folder, times[-1], LARGE)
    _run(folder, times)


def following(folder: Path, hours: int) -> None:
    """The next hour, of 5,000 lines."""
    hour = START + timedelta(hours=hours)
    _arrive(folder, hour, LARGE)
    _measured(folder, hour)


def late(folder: Path, hours: int) -> None:
    """One line more, of a player and a session that are there, in the newest hour."""
    hour = START + timedelta(hours=hours - 1)
    write_lines(folder, hour, "late", _lines(hour, LARGE + 1).tail(1))
    _measured(folder, hour)


def _arrive(folder: Path, hour: datetime, lines: int) -> None:
    write_lines(folder, hour, "part", _lines(hour, lines))


def _lines(hour: datetime, lines: int) -> pl.DataFrame:
    """Sessions are of their hour, players the same every hour."""
    number = int((hour - START) / timedelta(hours=1))
    found = lines_of(0, lines, LARGE // LINES_PER_SESSION + 1)
    return found.with_columns(
        pl.col("time").str.replace("2026-01-01T05", f"{hour:%Y-%m-%dT%H}", literal=True),
        session_id=pl.concat_str(pl.lit(f"{number:08X}"), pl.col("session_id").str.slice(8)),
    )


def write_lines(folder: Path, hour: datetime, name: str, lines: pl.DataFrame) -> None:
    """A file of telemetry that comes to an hour."""
    path = folder / f"landing/game/{hour:%Y/%m/%d/%H}/{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines.write_csv(path, include_header=False, separator="\t", quote_style="never")


def _measured(folder: Path, hour: datetime) -> None:
    began = time.process_time()
    _run(folder, [hour])
    sys.stdout.write(f"worked {time.process_time() - began}\n")


def _run(folder: Path, hours: list[datetime]) -> None:
    for step in steps_of(folder):
        for reports in work_through(lake_of(folder), step, hours, 1 << 30):
            if {report.status for report in reports} != {"written"}:
                raise SystemExit(f"not what was to be measured: {reports}")


def lake_of(folder: Path) -> Lake:
    """The lake of the world in this folder."""
    return Lake(str(folder / "lake"))


def steps_of(folder: Path) -> list[HourStep]:
    """The lake's steps from telemetry to histories, in order."""
    lake, landing = lake_of(folder), Landing(str(folder / "landing"))
    limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
    rules = PlayerIdRules(("PlayerId",))
    return [
        RawStep(lake, landing, Sources(), limits),
        EventsStep(lake, Sources()),
        SessionsStep(lake, rules, timedelta(hours=24)),
        HistoryStep(lake, rules),
    ]


if __name__ == "__main__":
    _works = {"make": make, "next": following, "late": late}
    _works[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
