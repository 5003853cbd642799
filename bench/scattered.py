"""Sessions whose events lie scattered over six ingest hours, beside the same lying together.

Belongs here: the comparison. Does not: the works (`scattered_works`), whose imports would count.
"""

import shutil
import sys
from pathlib import Path

from bench.measure import Comparison, Work, measure


def comparisons(folder: Path) -> list[Comparison]:
    """CPU seconds of `sessions` over six hours in one run: scattered at most twice together."""

    def work(name: str) -> Work:
        built, used = folder / name, folder / "used"

        def start_anew() -> None:
            shutil.rmtree(used, ignore_errors=True)
            shutil.copytree(built, used)

        measure(Work(f"make {name}", [*_WORKS, "make", str(built), name]))
        return Work(f"sessions, {name}", [*_WORKS, "sessions", str(used)], before=start_anew)

    return [
        Comparison(
            "sessions scattered over six hours / together", work("scattered"), work("together"), 2.0
        )
    ]


_WORKS = (sys.executable, "-m", "bench.scattered_works")
