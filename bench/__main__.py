"""`python -m bench`: the works of each group beside their peers, as a table per group.

Belongs here: choosing groups, and the temporary folder they leave nothing behind in. Does not:
what is measured.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import (
    behind,
    demo,
    history,
    hour,
    hours,
    late_files,
    marts,
    scattered,
    sqlmesh,
    typed,
    warehouses,
)
from bench.measure import ROOT, run_group

GROUPS = {
    "hour": hour.comparisons,
    "late": late_files.comparisons,
    "behind": behind.comparisons,
    "scattered": scattered.comparisons,
    "range": hours.comparisons,
    "demo": demo.comparisons,
    "typed": typed.comparisons,
    "sqlmesh": sqlmesh.comparisons,
    "warehouses": warehouses.comparisons,
    "history": history.hours,
    "history-rebuild": history.rebuilds,
    "history-questions": history.questions,
    "marts": marts.comparisons,
}
# What a group has to show beside its ratios, when it is done.
SHOWN_AFTER = {"sqlmesh": sqlmesh.show_exactness}

# A curve, not a comparison.
UPKEEP = "upkeep"


def main() -> None:
    """Run the groups that were asked for, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="The benchmarks, with their peers."
    )
    groups = [*GROUPS, UPKEEP]
    parser.add_argument("--only", choices=groups, help="one group instead of all")
    parser.add_argument(
        "--updates", type=int, default=240, help="hourly updates of the curve (default: 240)"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each work (default: 3)")
    arguments = parser.parse_args()
    # However it ends, it leaves neither processes nor files behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    for name, comparisons in GROUPS.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory(prefix=f"kpi-bench-{name}-") as folder:
                run_group(comparisons(Path(folder)), arguments.runs)
                if name in SHOWN_AFTER:
                    SHOWN_AFTER[name](Path(folder))
    if arguments.only in (None, UPKEEP):
        with tempfile.TemporaryDirectory(prefix=f"kpi-bench-{UPKEEP}-") as folder:
            curve = str(Path(folder) / "curve.csv")
            command = [sys.executable, "-m", "bench.upkeep", curve, str(arguments.updates)]
            subprocess.run(command, check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
