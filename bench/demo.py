"""The demo after installation, which has no peer but the patience of who tries it.

Belongs here: the command and its bar. Does not: installing.
"""

import shutil
import sys
from pathlib import Path

from bench.measure import ROOT, Comparison, Work


def comparisons(folder: Path) -> list[Comparison]:
    """What `make demo` runs, 48 hours of the default world: at most three minutes."""
    home = folder / "home"
    environment = {"KPI_HOME": str(home), "DAGSTER_HOME": str(ROOT)}
    command = [str(Path(sys.executable).with_name("kpi")), "demo"]
    demo = Work("demo", command, environment, lambda: shutil.rmtree(home, ignore_errors=True))
    return [Comparison("make demo, 48 hours", demo, None, 180)]
