"""One late file in an hour of 1,000 files, beside the same file in an hour of its own.

Belongs here: the comparisons. Does not: the works (`late_works`), whose imports would
count as memory of every process started from here.
"""

import shutil
import sys
from pathlib import Path

from bench.measure import Comparison, Work, measure


def comparisons(folder: Path) -> list[Comparison]:
    """Raw and cleaned at most twice, with sessions and history at most three times as long."""
    built, used = folder / "built", folder / "used"
    built.mkdir()

    def start_anew() -> None:
        shutil.rmtree(used, ignore_errors=True)
        shutil.copytree(built, used)

    def work(name: str) -> Work:
        command = [sys.executable, "-m", "bench.late_works", name, str(used)]
        return Work(name, command, before=start_anew)

    measure(Work("make", [sys.executable, "-m", "bench.late_works", "make", str(built)]))
    return [
        Comparison("a late file, 1,000 others: raw, cleaned", work("late"), work("own"), 2.0),
        Comparison("the same with its chain", work("late-chain"), work("own-chain"), 3.0),
    ]
