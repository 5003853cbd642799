"""What a person types, beside Dagster's own command on an empty asset: CPU seconds, all processes.

Belongs here: the comparisons. Does not: the works (`typed_works`), whose imports would count.
"""

import sys
from pathlib import Path

from bench.measure import Comparison, Work, measure


def comparisons(folder: Path) -> list[Comparison]:
    """An unchanged hour at most 1.8 times, the next small hour at most 4 times the empty asset;
    `kpi --help` and `kpi version-at` at most 0.3 and 0.6 CPU seconds."""

    def work(name: str) -> Work:
        return Work(name, [sys.executable, "-m", "bench.typed_works", name, str(folder)])

    measure(work("make"))
    empty = work("empty")
    return [
        Comparison("unchanged hour, as typed", work("unchanged"), empty, 1.8),
        Comparison("next small hour, as typed", work("next"), empty, 4.0),
        Comparison("kpi --help", work("help"), None, 0.3),
        Comparison("kpi version-at", work("version-at"), None, 0.6),
    ]
