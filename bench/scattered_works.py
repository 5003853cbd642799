"""The works of scattered sessions: `make` six hours up to their events, `sessions` of all of them.

Belongs here: hours of telemetry and the lake's steps, in CPU seconds of all threads. Does not:
comparing.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

import polars as pl

from bench.behind_works import START, write_lines
from bench.lake_steps import run_steps, steps_of
from bench.telemetry import LINES_PER_SESSION, lines_of

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
    run_steps(folder, steps_of(folder)[:2], TIMES)


def sessions(folder: Path) -> None:
    """The sessions of all hours, in one run."""
    steps = steps_of(folder)[2:3]
    began = time.process_time()
    run_steps(folder, steps, TIMES)
    sys.stdout.write(f"worked {time.process_time() - began}\n")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), sys.argv[3])
    else:
        sessions(Path(sys.argv[2]))
