"""What lies behind an hour: one late line beside a next hour, and few hours behind it or many.

Belongs here: the comparisons. Does not: the works (`behind_works`), whose imports would count.
"""

import shutil
import sys
from pathlib import Path

from bench.measure import Comparison, Work, measure

FEW, MANY = 48, 480


def comparisons(folder: Path) -> list[Comparison]:
    """CPU seconds of the lake's steps: a late line in an hour of 5,000 at most half a next hour,
    a next hour behind ten times as many at most 1.3 times as much."""

    def work(name: str, hours: int) -> Work:
        built, used = folder / f"built-{hours}", folder / "used"

        def start_anew() -> None:
            shutil.rmtree(used, ignore_errors=True)
            shutil.copytree(built, used)

        command = [sys.executable, "-m", "bench.behind_works", name, str(used), str(hours)]
        return Work(f"{name}, {hours} hours behind", command, before=start_anew)

    for hours in (FEW, MANY):
        built = str(folder / f"built-{hours}")
        command = [sys.executable, "-m", "bench.behind_works", "make", built, str(hours)]
        measure(Work(f"make {hours}", command))
    following = work("next", MANY)
    return [
        Comparison("one late line, 480 hours / a next hour", work("late", MANY), following, 0.5),
        Comparison("a next hour, 480 / 48 hours behind it", following, work("next", FEW), 1.3),
    ]
