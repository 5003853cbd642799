"""The works of scattered sessions: `make` six hours up to their events, `sessions` of all of them.

Belongs here: hours of telemetry and the lake's steps, in CPU seconds of all threads. Does not:
comparing.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

import polars as pl

from bench.behind_works import START, lake_of, steps_of, write_lines
from bench.telemetry import LINES_PER_SESSION, lines_of
from kpi_platform.engine.hour_steps import HourStep, work_through

HOURS, LINES = 6, 240_000
TIMES = [START + timedelta(hours=number) for number in range(HOURS)]


def make(folder: Path, how: str) -> None:
    """All hours' events: those of a session in one hour (`together`), or in any (`scattered`)."""
    lines = lines_of(0, LINES, LINES // LINES_PER_SESSION).with_columns(
        service=pl.lit("ClientApp"),
        unit=pl.col("session_id" if how == "together" else "transaction"),
    )
    for number, time_ in enumerate(TIMES):
        of_hour = lines.filter(pl.col("unit").hash(9) % HOURS == number)
        write_lines(folder, time_, "part", of_hour.drop("unit"))
    for step in steps_of(folder)[:2]:
        _run(folder, step)


def sessions(folder: Path) -> None:
    """The sessions of all hours, in one run."""
    step = steps_of(folder)[2]
    began = time.process_time()
    _run(folder, step)
    sys.stdout.write(f"worked {time.process_time() - began}\n")


def _run(folder: Path, step: HourStep) -> None:
    for reports in work_through(lake_of(folder), step, TIMES, 1 << 30):
        if {report.status for report in reports} != {"written"}:
            raise SystemExit(f"not what was to be measured: {reports}")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), sys.argv[3])
    else:
        sessions(Path(sys.argv[2]))
