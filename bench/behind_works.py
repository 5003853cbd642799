"""The works of an hour behind many: `make`, `next` and `late`, each in a process of its own.

Belongs here: hours of telemetry and the lake's steps, in CPU seconds of all threads. Does not:
comparing.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from bench.lake_steps import hour_file, run_steps, steps_of
from bench.telemetry import LINES_PER_SESSION, lines_of

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
    path = hour_file(folder, hour, f"{name}.tsv")
    lines.write_csv(path, include_header=False, separator="\t", quote_style="never")


def _measured(folder: Path, hour: datetime) -> None:
    began = time.process_time()
    _run(folder, [hour])
    sys.stdout.write(f"worked {time.process_time() - began}\n")


def _run(folder: Path, hours: list[datetime]) -> None:
    run_steps(folder, steps_of(folder), hours)


if __name__ == "__main__":
    _works = {"make": make, "next": following, "late": late}
    _works[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
