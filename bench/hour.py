"""One hour of five million lines: reading it raw and cleaning it, beside plain Polars.

Belongs here: the comparisons. Does not: the works (`hour_works`, `plain`), whose imports would
count as memory of every process started from here.
"""

import shutil
import sys
from pathlib import Path

from bench.measure import Comparison, Work, measure

LINES = 5_000_000
MEBIBYTES = 3 * 1024


def comparisons(folder: Path) -> list[Comparison]:
    """Raw at most 1.5 times plain, cleaned at most 2 times more, both with their checks."""

    def work(name: str, table: str, *command: str) -> Work:
        def remove_table() -> None:
            shutil.rmtree(folder / table, ignore_errors=True)

        return Work(name, [sys.executable, "-m", *command], before=remove_table)

    def ours(name: str, table: str) -> Work:
        return work(name, table, "bench.hour_works", name, str(folder), str(LINES))

    measure(ours("make", "landing"))
    plain = work("plain", "plain", "bench.plain", str(folder))
    raw, cleaned = ours("raw", "lake"), ours("cleaned", "lake/cleaned_events")
    return [
        Comparison(f"raw_telemetry, {LINES:,} lines", raw, plain, 1.5, MEBIBYTES),
        Comparison(f"cleaned_events, {LINES:,} lines", cleaned, plain, 2.0, MEBIBYTES),
    ]
