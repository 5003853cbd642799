"""The works of one hour, each run in a process of its own: `make`, `raw`, `cleaned`.

Belongs here: the steps and the checks that block what comes after them. Does not: Dagster around
them, which costs an hour milliseconds.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kpi_platform.arrivals.checks import check_raw
from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.checks import check_events
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.books.hour_fingerprints import forget_consumed
from kpi_platform.engine.hour_steps import HourStep, work_through
from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing

HOUR = datetime(2026, 1, 1, 5, tzinfo=UTC)
SOURCES = "studios: [{key: s, games: [{key: g, sources: [{key: game, telemetry: game}]}]}]"


def _make(folder: Path, lines: int) -> None:
    # What it imports must not come before what the platform sets first.
    from bench.telemetry import write_hour

    write_hour(folder / f"landing/game/{HOUR:%Y/%m/%d/%H}/part-0.tsv", lines)


def _raw(folder: Path, lines: int) -> None:
    lake, sources = Lake(str(folder / "lake")), parse_sources(SOURCES, "bench")
    limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
    _work_through(lake, RawStep(lake, Landing(str(folder / "landing")), sources, limits), lines)
    assert all(check.passed for check in check_raw(lake, [HOUR]))


def _cleaned(folder: Path, lines: int) -> None:
    lake = Lake(str(folder / "lake"))
    forget_consumed(lake, "cleaned_events", [HOUR])
    _work_through(lake, EventsStep(lake, parse_sources(SOURCES, "bench")), lines)
    assert all(check.passed for check in check_events(lake, [HOUR], 0.05))


def _work_through(lake: Lake, step: HourStep, lines: int) -> None:
    (reports,) = work_through(lake, step, [HOUR], lines)
    if [(report.status, report.rows) for report in reports] != [("written", lines)]:
        raise SystemExit(f"not what was to be measured: {reports}")


if __name__ == "__main__":
    _works = {"make": _make, "raw": _raw, "cleaned": _cleaned}
    _started = time.monotonic()
    _works[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(f"worked {time.monotonic() - _started}\n")
